"""Torch's global generators: where they stand out, and back in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch


def generator_states() -> dict[str, Any]:
    """Where torch's global generators stand, on the CPU and on every GPU in use."""
    is_cuda_in_use = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return {"cpu": torch.get_rng_state(), "cuda": list(torch.cuda.get_rng_state_all()) if is_cuda_in_use else []}


def set_generator_states(states: Mapping[str, Any]) -> None:
    """Puts torch's global generators back where they stood."""
    torch.set_rng_state(states["cpu"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])
