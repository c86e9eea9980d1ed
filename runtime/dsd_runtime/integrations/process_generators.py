"""The random generators of several processes in one saved state, for a trainer that does not save them itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import torch.distributed as dist
from safetensors.torch import load, save

from dsd_runtime.engine.generators import generator_states, set_generator_states
from dsd_runtime.masks.processes import Processes
from dsd_runtime.storage.trees import EncodedTree, decoded


def generators_of_all(processes: Processes) -> list[dict[str, Any]]:
    """The states of the generators of every process, in their order; a collective call."""
    own = EncodedTree(generator_states())
    skeletons = processes.every(json.dumps(own.skeleton).encode())
    tensors = processes.every(save(own.whole))
    return [decoded(json.loads(text), load(data)) for text, data in zip(skeletons, tensors, strict=True)]


def set_own_generators(states: Sequence[dict[str, Any]]) -> None:
    """Restores those of this process; if there were fewer processes, new ones keep theirs."""
    rank = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
    if rank < len(states):
        set_generator_states(states[rank])
