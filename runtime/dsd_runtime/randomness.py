"""One key for each stream of random numbers, from what determines it and nothing else.

A key is a pure function of (seed, seed index, stream, place), so that branches that share a stream share its numbers,
and no stream depends on how many numbers another has drawn.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal

import torch

Stream = Literal["init", "data", "dropout", "mask", "noise"]


def stream_key(seed: int, seed_index: int, stream: Stream, place: str = "") -> int:
    """A 63-bit key for `torch.manual_seed` and for generators."""
    text = json.dumps([seed, seed_index, stream, place])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator_states() -> dict[str, Any]:
    """Where torch's global generators stand, on the CPU and on every GPU in use."""
    is_cuda_in_use = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return {"cpu": torch.get_rng_state(), "cuda": list(torch.cuda.get_rng_state_all()) if is_cuda_in_use else []}


def set_generator_states(states: Mapping[str, Any]) -> None:
    """Puts torch's global generators back where they stood."""
    torch.set_rng_state(states["cpu"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])
