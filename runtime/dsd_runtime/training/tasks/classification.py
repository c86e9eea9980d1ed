"""The classification task: cross entropy, top-1 and top-5 errors.

Shape legend: N batch, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from dsd_runtime.data.batch import Batch, ImageBatch
from dsd_runtime.data.own_metrics import OwnMetric
from dsd_runtime.training.tasks.task import Prediction


@dataclass(frozen=True, slots=True)
class ClassificationTask:
    """Cross entropy; in training, a network with auxiliary heads returns a tuple, weighted by its ``aux_weights``.

    ``own_metrics`` are measured too, on the outputs of a whole split.
    """

    own_metrics: tuple[OwnMetric, ...] = ()
    name: str = "classification"

    @property
    def metrics(self) -> tuple[str, ...]:
        return ("loss", "err", "acc", "top1_err", "top5_err", *(metric.name for metric in self.own_metrics))

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Mean cross entropy of the main head plus each auxiliary head's times its weight (GoogLeNet: 0.3 each)."""
        return self.loss_and_rows(model, batch)[0]

    def rows(self, model: nn.Module, batch: Batch) -> Tensor:
        """The logits [N, K] of the main head."""
        assert isinstance(batch, ImageBatch)
        output = model(batch.images)
        return output if isinstance(output, Tensor) else output[0]

    def loss_and_rows(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """The loss of all heads, and the logits [N, K] of the main one."""
        assert isinstance(batch, ImageBatch)
        output = model(batch.images)
        if isinstance(output, Tensor):
            return functional.cross_entropy(output, batch.labels), output
        main, *auxiliary = output
        weights: tuple[float, ...] = tuple(getattr(model, "aux_weights", (0.3,) * len(auxiliary)))
        loss = functional.cross_entropy(main, batch.labels)
        for weight, logits in zip(weights, auxiliary, strict=True):
            loss = loss + weight * functional.cross_entropy(logits, batch.labels)
        return loss, main

    def evaluate(
        self, model: nn.Module, batches: Iterable[Batch], *, keep: list[Prediction] | None = None
    ) -> dict[str, float]:
        """Mean loss and errors in percent points over all samples; counts stay on the device until the end."""
        total = 0
        sums: Tensor | None = None
        outputs: list[tuple[Tensor, Tensor]] = []
        for batch in batches:
            assert isinstance(batch, ImageBatch)
            logits = model(batch.images)
            logits = (logits if isinstance(logits, Tensor) else logits[0]).float()
            loss = functional.cross_entropy(logits, batch.labels, reduction="sum").double()
            top1, top5 = top_hits(logits, batch.labels)
            counted = torch.stack([loss, top1.double(), top5.double()])
            sums = counted if sums is None else sums + counted
            total += len(batch)
            if keep is not None:
                keep += _predictions(logits, batch.labels)
            if self.own_metrics:
                outputs.append((logits.cpu(), batch.labels.cpu()))
        if sums is None:
            return {}
        loss_sum, hits1, hits5 = sums.tolist()
        top1_err, top5_err = 100 * (total - hits1) / total, 100 * (total - hits5) / total
        return {
            "loss": loss_sum / total,
            "err": top1_err,
            "acc": 100 - top1_err,
            "top1_err": top1_err,
            "top5_err": top5_err,
            **self._own(outputs),
        }

    def _own(self, outputs: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
        """The values of the user's own metrics over the outputs and labels of all batches."""
        if not self.own_metrics:
            return {}
        logits, labels = (torch.cat(parts) for parts in zip(*outputs, strict=True))
        return {metric.name: metric.value(logits, labels) for metric in self.own_metrics}


def _predictions(logits: Tensor, labels: Tensor) -> list[Prediction]:
    """The class guessed for each of [N, K]; -1 for a row that holds a NaN, as it counts as a miss."""
    guesses = logits.argmax(dim=1).where(~logits.isnan().any(dim=1), -1)
    pairs = zip(labels.tolist(), guesses.tolist(), strict=True)
    return [{"target": target, "guess": guess} for target, guess in pairs]


def top_hits(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """How many rows of [N, K] have their label first, and among the first five (all, with five classes or fewer).

    A row with a NaN counts as a miss.
    """
    finite = ~logits.isnan().any(dim=1)
    ranked = logits.topk(min(5, logits.shape[1]), dim=1).indices
    hits = (ranked == labels[:, None]) & finite[:, None]
    return hits[:, 0].sum(), hits.any(dim=1).sum()
