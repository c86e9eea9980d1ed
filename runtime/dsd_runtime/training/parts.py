"""The samples of each batch that one of several processes trains on, and a task that computes with them.

The samples of a batch, their order and augmentation do not depend on the number of processes. Each one reads its own
samples (`data/parts.py`); of a source that cannot do that it reads the whole batch, and keeps its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from torch import Tensor, nn

from dsd_runtime.data.batch import Batch, ImageBatch
from dsd_runtime.data.parts import Part, Share
from dsd_runtime.data.source import SourceOfParts
from dsd_runtime.training.loop import TrainingBatches
from dsd_runtime.training.shared_dropout import SharedDropout
from dsd_runtime.training.tasks.task import Prediction, Task


def part_of(batch: Batch, share: Share) -> Part[Batch]:
    """The part of a process; they differ by one sample at most."""
    rows = share.rows(len(batch))
    lengths = None if isinstance(batch, ImageBatch) else batch.lengths
    return rows.part(batch.rows(rows.start, rows.end), lengths)


@dataclass(frozen=True, slots=True)
class PartBatches(TrainingBatches):
    """The parts of one process."""

    share: Share = field(kw_only=True)

    def read_pass(self, epoch: int, *, skip: int) -> Iterator[Any]:
        """The parts of the batches of a pass from batch ``skip`` on."""
        how: dict[str, int] = {
            "batch_size": self.batch_size, "epoch": epoch, "key": self.key, "skip": skip, "workers": self.workers,
        }  # fmt: skip
        if isinstance(self.data, SourceOfParts):
            yield from self.data.train_parts(**how, share=self.share)
        else:
            for batch in self.data.train_batches(**how):
                yield part_of(batch, self.share)


def parts_of(batches: TrainingBatches, share: Share) -> PartBatches:
    """The parts of a process."""
    return PartBatches(batches.data, batches.batch_size, batches.key, batches.workers, share=share)


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
        with self._dropout.of(batch):
            return cast(Tensor, self._computing("loss", batch.batch))

    def loss_and_rows(self, model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        """The loss, and the logits of the part."""
        with self._dropout.of(batch):
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
