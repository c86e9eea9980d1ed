"""Training by several processes: the model wrapped, its batches in parts, decisions and files of the first process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dsd_runtime.engine.references import Snapshot
from dsd_runtime.experiment.blocks import blocks_of, shard
from dsd_runtime.experiment.references import FolderReferences
from dsd_runtime.experiment.torchrun import Group
from dsd_runtime.training.parts import Computing, PartTask
from dsd_runtime.training.shared_dropout import SharedDropout
from dsd_runtime.training.sharing import Alone
from dsd_runtime.training.synced_batch_norm import sync_batch_norms
from dsd_runtime.training.tasks.task import Task

_LOOK_SECONDS = 0.2
_MOST_UPDATES = 1000


class Together(Alone):
    """One phase in training by a group of processes."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._left, self._every, self._looked = 1, 1, time.monotonic()

    def weighted(self, loss: Tensor, batch: Any) -> Tensor:
        """The mean of this over the processes is the mean over the batch."""
        return cast(Tensor, loss * batch.weight)

    def samples(self, batch: Any) -> int:
        """Those of all processes."""
        return cast(int, batch.total)

    def mean(self, total: Tensor) -> float:
        """The same number in every process."""
        rows = self._group.processes.gathered(total.double().reshape(1))
        return float(rows.mean())

    def stops(self, should_stop: Callable[[], bool], *, update: int) -> bool:
        """All stop where one wants to; they ask each other a few times a second."""
        self._left -= 1
        if self._left > 0:
            return False
        now = time.monotonic()
        per_update = max(1e-6, (now - self._looked) / self._every)
        said = torch.tensor([int(should_stop()), min(_MOST_UPDATES, max(1, int(_LOOK_SECONDS / per_update)))])
        rows = self._group.processes.gathered(said)
        self._left = self._every = int(rows[0, 1])
        self._looked = now
        return bool(rows[:, 0].any())

    def decided(self, flag: bool) -> bool:
        """The first process tells the others."""
        return cast(bool, self._group.told(flag))

    def evaluated(self, evaluate: Callable[[], dict[str, float]]) -> dict[str, float]:
        """The first process evaluates its copy of the model; shards are evaluated by all."""
        if self._group.is_sharded:
            return cast(dict[str, float], self._group.told(evaluate()))
        return cast(dict[str, float], self._group.first_does(evaluate))

    def saved(self, save: Callable[[], None]) -> None:
        """All processes write shards; the first one writes a copy of the model."""
        if self._group.is_sharded:
            save()
        else:
            self.written(save)

    def written(self, write: Callable[[], None]) -> None:
        """The first process writes; an error is that of all."""
        self._group.first_does(write)


class SharedReferences:
    """The snapshots of a run folder, which the first process writes."""

    def __init__(self, folder: FolderReferences, group: Group) -> None:
        self._folder, self._group = folder, group

    def save(self, key: str, snapshot: Snapshot) -> None:
        """Every process calls it, with its rows of sharded weights."""
        if self._group.is_sharded:
            self._folder.save(key, snapshot, is_writing=self._group.is_first)
        else:
            self._group.first_does(lambda: self._folder.save(key, snapshot))

    def load(self, key: str) -> Snapshot:
        """Every process reads what it needs."""
        return self._folder.load(key)


def wrapped(model: nn.Module, forward: nn.Module, task: Task, group: Group) -> tuple[nn.Module, PartTask]:
    """A model on all processes for `attach()`, and the task that computes with it.

    ``forward`` is the model or its compiled form.
    """
    if group.syncs_batch_norm:
        sync_batch_norms(model, group.processes)
    dropout = SharedDropout(model, group.index)
    computing: nn.Module = Computing(task, model, forward)
    if group.is_sharded:
        shard(computing, blocks_of(model) if forward is model else ())  # a compiled network is one group
    else:
        computing = DistributedDataParallel(computing, find_unused_parameters=True)
    return computing, PartTask(task, computing, model, dropout, is_sharded=group.is_sharded)
