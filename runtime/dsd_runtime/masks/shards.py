"""Sharded weights (FSDP2): this process's rows of a weight, and whole weights from the rows of all.

A weight that is sharded by `Shard(0)` is a DTensor: a tensor of the whole shape whose memory has only some rows of
dimension 0. The rows are dealt out as by `torch.chunk`: each process has as many as the first, the last ones fewer or
none. For a plain tensor this process has all rows, and nothing is sent.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from dsd_runtime.masks.processes import ONE, Processes

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh
    from torch.distributed.tensor import DTensor

_PLAIN = (Tensor, nn.Parameter)


def is_sharded(value: object) -> bool:
    """Whether a tensor is a DTensor; imports nothing."""
    if type(value) in _PLAIN:
        return False
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(value, module.DTensor)


def local_of(value: Tensor) -> Tensor:
    """The memory of this process: the rows of a sharded tensor, a plain tensor itself."""
    return cast("DTensor", value.detach()).to_local() if is_sharded(value) else value


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of dimension 0 of a tensor of that whole shape that this process has: ``start`` to ``end``."""

    shape: tuple[int, ...]
    start: int
    end: int
    most: int
    """The rows of the first process; no other has more."""

    @property
    def row_size(self) -> int:
        """Elements of a row."""
        return torch.Size(self.shape[1:]).numel()

    def owner(self, row: int) -> int:
        """The process that has a row."""
        return row // max(1, self.most)


def rows_of(value: Tensor) -> Rows:
    """The rows that this process has; all of a plain tensor."""
    shape = tuple(value.shape)
    total = shape[0] if shape else 1
    if not is_sharded(value):
        return Rows(shape, 0, total, total)
    processes = processes_of([value])
    most = -(-total // processes.count)
    start = min(processes.index * most, total)
    return Rows(shape, start, min(start + most, total), most)


def processes_of(values: Iterable[Tensor]) -> Processes:
    """The processes that share the first sharded tensor; one process if none is sharded."""
    for value in values:
        if is_sharded(value):
            return Processes(cast("DTensor", value).device_mesh.get_group())
    return ONE


def mesh_of(values: Iterable[Tensor]) -> DeviceMesh | None:
    """The mesh of the first sharded tensor; None if none is sharded."""
    return next((cast("DTensor", value).device_mesh for value in values if is_sharded(value)), None)


def own_rows(values: Tensor, like: Tensor) -> Tensor:
    """The part of ``values``, whole or sharded as ``like`` is, that belongs to this process's rows of ``like``."""
    if not is_sharded(like):
        return values
    if is_sharded(values):
        return local_of(values)
    rows = rows_of(like)
    return values[rows.start : rows.end]


def sharded_as(like: Tensor, values: Tensor) -> Tensor:
    """A whole tensor's rows, sharded as ``like`` is; ``values`` themselves if ``like`` is not sharded."""
    if not is_sharded(like) or is_sharded(values) or values.shape != like.shape:
        return values
    made = torch.empty_like(like.detach(), dtype=values.dtype)
    local_of(made).copy_(own_rows(values, like))
    return made


def whole(value: Tensor) -> Tensor:
    """The whole tensor on the CPU, from the rows of all processes; a plain tensor itself. A collective operation."""
    return gathered(local_of(value), value) if is_sharded(value) else value


def gathered(own: Tensor, like: Tensor) -> Tensor:
    """The whole tensor on the CPU, from each process's rows, which are those of ``like``. A collective operation."""
    rows = rows_of(like)
    padded = own.new_zeros((rows.most, *rows.shape[1:]))
    padded[: own.shape[0]].copy_(own)
    received = processes_of([like]).gathered(padded.reshape(-1).view(torch.uint8)).reshape(-1)
    return received.view(own.dtype).view(-1, *rows.shape[1:])[: rows.shape[0]].clone()


def whole_tree(tree: Any) -> Any:
    """A tree of mappings, lists and tuples with every sharded tensor made whole. A collective operation."""
    if isinstance(tree, Tensor):
        return whole(tree)
    if isinstance(tree, Mapping):
        return {key: whole_tree(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(whole_tree(value) for value in tree)
    return tree
