"""The random generators of several processes in one saved state, for a trainer that does not save them itself."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist

from dsd_runtime.engine.generators import generator_states, set_generator_states
from dsd_runtime.masks.processes import Processes


def generators_of_all(processes: Processes) -> list[dict[str, Any]]:
    """The states of the generators of every process, in their order; a collective call."""
    written = io.BytesIO()
    torch.save(generator_states(), written)
    return [torch.load(io.BytesIO(text), weights_only=True) for text in processes.every(written.getvalue())]


def set_own_generators(states: Sequence[dict[str, Any]]) -> None:
    """Restores those of this process; if there were fewer processes, new ones keep theirs."""
    rank = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
    if rank < len(states):
        set_generator_states(states[rank])
