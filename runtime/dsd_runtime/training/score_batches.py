"""The loss and the batches that `dsd-run` gives for scores: its own task, and training batches of their own order.

They are the first batches of an order that depends only on the random key of the phase's masks. Every process reads
them whole, and computes as one process does, so the scores do not depend on where a node is trained. The loss is the
task's (without a teacher), in float32 whatever the precision of the training.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count as count_from_zero
from typing import Any

from torch import Tensor, nn

from dsd_runtime.data.batch import Batch
from dsd_runtime.data.draws import derived_seed
from dsd_runtime.training.loop import PhaseRun, TrainingBatches
from dsd_runtime.training.synced_batch_norm import by_own_samples
from dsd_runtime.training.tasks.task import Task


class _ByForward(nn.Module):
    """A model of which a task sees the forward pass and no shorter way: scores look at what goes in and out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.whole = model

    def forward(self, *arguments: Any, **named: Any) -> Any:
        """The model's own."""
        return self.whole(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        if name == "states":  # what a captioning model has for a loss that leaves out padding
            raise AttributeError(name)
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.whole, name)


def give_scores(run: PhaseRun, task: Task) -> None:
    """Gives them to the session of a phase; ``task`` computes on whole batches."""
    own, device = run.batches, run.precision.device

    def loss(model: nn.Module, batch: Any) -> Tensor:
        with by_own_samples(model):
            return task.loss(_ByForward(model), batch.to(device))

    def batches(key: int) -> Iterator[Batch]:
        order = TrainingBatches(own.data, own.batch_size, derived_seed(key, "score"))
        for epoch in count_from_zero():
            yield from order.read_pass(epoch, skip=0)

    run.session.score(loss, batches, same_on_all_ranks=True)
