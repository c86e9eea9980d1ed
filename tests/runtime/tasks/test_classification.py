"""Cross entropy, auxiliary heads and top-k errors against values worked out by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.batch import ImageBatch
from dsd_runtime.data.own_metrics import OwnMetric
from dsd_runtime.training.tasks.classification import ClassificationTask, top_hits

LOGITS = torch.tensor(
    [
        [6.0, 5, 4, 3, 2, 1, 0],  # label 0: first
        [6.0, 5, 4, 3, 2, 1, 0],  # label 4: fifth
        [6.0, 5, 4, 3, 2, 1, 0],  # label 5: sixth
        [0.0, 1, 2, 3, 4, 5, 6],  # label 6: first
    ]
)
LABELS = torch.tensor([0, 4, 5, 6])


class Fixed(nn.Module):
    """Gives the images back as logits."""

    def forward(self, images):
        return images.flatten(1)


def _batch(rows=slice(None)):
    return ImageBatch(LOGITS[rows, :, None, None], LABELS[rows])


def test_top_1_and_top_5_by_hand():
    top1, top5 = top_hits(LOGITS, LABELS)
    assert (int(top1), int(top5)) == (2, 3)


def test_metrics_over_uneven_batches():
    metrics = ClassificationTask().evaluate(Fixed(), [_batch(slice(0, 3)), _batch(slice(3, 4))])
    assert metrics["top1_err"] == metrics["err"] == 50.0
    assert metrics["acc"] == 50.0
    assert metrics["top5_err"] == 25.0
    assert metrics["loss"] == pytest.approx(float(functional.cross_entropy(LOGITS, LABELS)), rel=1e-6)
    assert set(ClassificationTask().metrics) == set(metrics)


def test_own_metrics_see_the_whole_split_at_once():
    def misses(logits, labels):
        return (logits.argmax(1) != labels).sum() + 10 * len(labels)

    task = ClassificationTask((OwnMetric("misses", misses, "lower"),))
    assert task.evaluate(Fixed(), [_batch(slice(0, 3)), _batch(slice(3, 4))])["misses"] == 42
    assert "misses" in task.metrics
    assert task.evaluate(Fixed(), []) == {}
    with pytest.raises(DsdError, match="the metric `many` gave a `Tensor`"):
        ClassificationTask((OwnMetric("many", lambda logits, labels: logits, "lower"),)).evaluate(Fixed(), [_batch()])


def test_few_classes_are_all_among_the_first_five():
    assert int(top_hits(torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2]))[1]) == 6


def test_each_guess_is_kept_where_asked_for():
    logits = torch.tensor([[0.0, 2, 1], [3, 2, 1], [torch.nan, 9, 0]])
    batch = ImageBatch(logits[:, :, None, None], torch.tensor([1, 2, 1]))
    kept = []
    ClassificationTask().evaluate(Fixed(), [batch, batch], keep=kept)
    assert kept == [{"target": 1, "guess": 1}, {"target": 2, "guess": 0}, {"target": 1, "guess": -1}] * 2


def test_nan_is_a_miss():
    assert [int(hits) for hits in top_hits(torch.full((2, 7), torch.nan), torch.zeros(2, dtype=torch.int64))] == [0, 0]


def test_no_batches_no_metrics():
    assert ClassificationTask().evaluate(Fixed(), []) == {}


def test_auxiliary_heads_are_weighted():
    class Headed(Fixed):
        aux_weights = (0.3, 0.1)

        def forward(self, images):
            logits = super().forward(images)
            return logits, 2 * logits, 3 * logits

    expected = sum(
        weight * functional.cross_entropy(factor * LOGITS, LABELS) for weight, factor in ((1, 1), (0.3, 2), (0.1, 3))
    )
    assert torch.allclose(ClassificationTask().loss(Headed(), _batch()), expected)
    assert ClassificationTask().evaluate(Headed(), [_batch()])["err"] == 50.0
