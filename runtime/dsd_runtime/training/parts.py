"""The samples of each batch that one of several processes trains on, and a task that computes with them.

Every process reads the whole batch, which is a function of its key and number, and keeps its rows. So the samples,
their order and augmentation do not depend on the number of processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from dsd_runtime.data.batch import Batch
from dsd_runtime.training.loop import TrainingBatches
from dsd_runtime.training.shared_dropout import SharedDropout
from dsd_runtime.training.tasks.task import Prediction, Task


@dataclass(frozen=True, slots=True)
class Part:
    """Rows ``start`` to ``end`` of a batch of ``total`` samples.

    If there are fewer samples than processes, some get one that counts nothing: all must compute.
    """

    batch: Batch
    start: int
    end: int
    total: int
    weight: float

    def __len__(self) -> int:
        return len(self.batch)

    def to(self, device: torch.device | str) -> Part:
        """The same on a device."""
        return Part(self.batch.to(device), self.start, self.end, self.total, self.weight)


def part_of(batch: Batch, index: int, count: int) -> Part:
    """The part of process ``index`` of ``count``; they differ by one sample at most.

    The mean over the processes of ``weight`` x the mean over the part is the mean over the batch.
    """
    total = len(batch)
    start, end = total * index // count, total * (index + 1) // count
    weight = (end - start) * count / total
    if start == end:
        start, end = (start, start + 1) if start < total else (total - 1, total)
    return Part(batch.rows(start, end), start, end, total, weight)


@dataclass(frozen=True, slots=True)
class PartBatches(TrainingBatches):
    """The parts of one process."""

    index: int = 0
    count: int = 1

    def read_pass(self, epoch: int, *, skip: int) -> Iterator[Any]:
        """The parts of the batches of a pass from batch ``skip`` on."""
        whole = TrainingBatches(self.data, self.batch_size, self.key, self.workers)
        for batch in whole.read_pass(epoch, skip=skip):
            yield part_of(batch, self.index, self.count)


def parts_of(batches: TrainingBatches, index: int, count: int) -> PartBatches:
    """The parts of process ``index`` of ``count``."""
    return PartBatches(batches.data, batches.batch_size, batches.key, batches.workers, index, count)


class Computing(nn.Module):
    """A task's computations as the forward pass of one module, so that DDP and FSDP2 see them, whatever they call.

    ``forward`` is the model or its compiled form. The model keeps its names: the session looks through `_orig_mod`.
    """

    def __init__(self, task: Task, model: nn.Module, forward: nn.Module) -> None:
        super().__init__()
        self._orig_mod = model
        self._used = (task, forward)

    def forward(self, what: str, *arguments: Any, **options: Any) -> Any:
        """``task.what(model, ...)``."""
        task, used = self._used
        return getattr(task, what)(used if what.startswith("loss") else self._orig_mod, *arguments, **options)


class PartTask:
    """A task on parts of batches; its model computes inside ``computing`` (wrapped), a teacher as it is."""

    def __init__(self, task: Task, computing: nn.Module, model: nn.Module, dropout: SharedDropout,
                 *, is_sharded: bool) -> None:  # fmt: skip
        self._task, self._computing, self._model, self._dropout = task, computing, model, dropout
        self._is_sharded = is_sharded

    @property
    def name(self) -> str:
        return self._task.name

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those of the task itself."""
        return self._task.metrics

    def loss(self, model: nn.Module, batch: Any) -> Tensor:
        """The mean over the part."""
        with self._dropout.of(batch.start, batch.end, batch.total):
            return cast(Tensor, self._computing("loss", batch.batch))

    def loss_and_rows(self, model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        """The loss, and the logits of the part."""
        with self._dropout.of(batch.start, batch.end, batch.total):
            return cast(tuple[Tensor, Tensor], self._computing("loss_and_rows", batch.batch))

    def rows(self, model: nn.Module, batch: Any) -> Tensor:
        """The logits of a part, or of a whole batch."""
        own = batch.batch if isinstance(batch, Part) else batch
        if model is self._model and self._is_sharded:
            return cast(Tensor, self._computing("rows", own))
        return self._task.rows(model, own)

    def evaluate(
        self, model: nn.Module, batches: Iterable[Batch], *, keep: list[Prediction] | None = None
    ) -> dict[str, float]:
        """Metrics over a whole split."""
        if model is self._model and self._is_sharded:
            return cast(dict[str, float], self._computing("evaluate", batches, keep=keep))
        return self._task.evaluate(model, batches, keep=keep)
