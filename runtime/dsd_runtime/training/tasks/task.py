"""The interface that every task implements for the training loop: a loss and an evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from torch import Tensor, nn

from dsd_runtime.data.batch import Batch

Prediction = dict[str, Any]
"""The output of a model for one item, as plain data."""


class Task(Protocol):
    """A loss for training and metrics for evaluation, for one kind of problem."""

    @property
    def name(self) -> str: ...

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names that `evaluate` may return, without a split prefix, each a row of `dsd_lang.base.metrics`.

        Some are returned only if the data allows it (BLEU).
        """
        ...

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The scalar to minimise, a mean over the batch."""
        ...

    def loss_and_rows(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss, and the logits [M, K] of everything it counts: samples, valid frames or words."""
        ...

    def rows(self, model: nn.Module, batch: Batch) -> Tensor:
        """These logits alone, for a teacher."""
        ...

    def evaluate(
        self, model: nn.Module, batches: Iterable[Batch], *, keep: list[Prediction] | None = None
    ) -> dict[str, float]:
        """Metrics over a whole split; the model is in evaluation mode and gradients are off.

        To ``keep``, what the model says to each item is added, in order (see :mod:`dsd_runtime.results.predictions`).
        """
        ...
