"""Any pair or triple of Datasets trains, the same for any number of workers, and is known by its content."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from dsd_lang.base.errors import DsdError
from dsd_runtime.cli import main
from dsd_runtime.data.datasets import source_of_datasets
from dsd_runtime.data.registry import open_data


class Noisy(Dataset):
    """Every kind of random draw that a transform makes."""

    def __init__(self, size: int = 20, shift: float = 0.0) -> None:
        self.size, self.shift = size, shift

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        noise = torch.rand(3) + random.random() + np.random.rand()
        return noise + index + self.shift, index % 4


class Alike(Noisy):
    """Samples that differ in what they draw alone."""

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return super().__getitem__(0)


class Streamed(IterableDataset):
    def __iter__(self):
        return iter(())


def tensors(size: int = 20, *, seed: int = 0) -> TensorDataset:
    draws = torch.Generator().manual_seed(seed)
    return TensorDataset(torch.rand(size, 1, 4, 4, generator=draws), torch.arange(size) % 5)


def same(one, other) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a.images, b.images) and torch.equal(a.labels, b.labels) for a, b in pairs)


@pytest.mark.parametrize("made", [lambda: (Noisy(), Noisy(8)), lambda: (tensors(), tensors(6), tensors(7))])
def test_batches_are_a_function_of_key_and_pass(made) -> None:
    source = source_of_datasets(made(), "mine")
    whole = list(source.train_batches(batch_size=6, epoch=1, key=2))
    assert [len(batch) for batch in whole] == [6, 6, 6, 2]
    assert same(source.train_batches(batch_size=6, epoch=1, key=2), whole)
    assert same(source.train_batches(batch_size=6, epoch=1, key=2, skip=2), whole[2:])
    assert same(source.train_batches(batch_size=6, epoch=1, key=2, workers=2), whole)
    assert not same(source.train_batches(batch_size=6, epoch=2, key=2), whole)
    evaluated = list(source.evaluation_batches("val", batch_size=5))
    assert same(source.evaluation_batches("val", batch_size=5, workers=2), evaluated)
    assert source.updates_per_epoch(6) == 4


@pytest.mark.parametrize("workers", [0, 2])
def test_what_a_sample_draws_is_its_own_in_every_pass_and_key(workers: int) -> None:
    source = source_of_datasets((Alike(), Alike(8)), "mine")
    passes = [
        batch.images
        for key, epoch in ((2, 1), (2, 2), (3, 1), (3, 0))
        for batch in source.train_batches(batch_size=6, epoch=epoch, key=key, workers=workers)
    ]
    samples = torch.cat(passes).tolist()
    assert len({tuple(sample) for sample in samples}) == len(samples) == 80


def test_the_global_generators_are_left_alone() -> None:
    def states() -> tuple[object, ...]:
        return torch.rand(1).item(), random.random(), np.random.rand()

    def seed() -> None:
        torch.manual_seed(1), random.seed(1), np.random.seed(1)

    seed()
    expected = states()
    for workers in (0, 1):
        seed()
        list(
            source_of_datasets((Noisy(), Noisy()), "mine").train_batches(batch_size=9, epoch=0, key=0, workers=workers)
        )
        assert states() == expected


def test_classes_and_shapes() -> None:
    source = source_of_datasets({"train": tensors(), "val": tensors(5), "classes": list("abcdefg")}, "mine")
    assert source.traits.class_names == tuple("abcdefg")
    assert source.traits.image_shape == (1, 4, 4)
    assert dict(source.sizes) == {"train": 20, "val": 5}
    vectors = source_of_datasets((Noisy(), Noisy(5)), "mine")
    assert (vectors.traits.num_classes, vectors.traits.num_features, vectors.traits.image_shape) == (4, 3, None)
    parts = source_of_datasets((ConcatDataset([tensors(3), Subset(tensors(), [4])]), tensors()), "mine")
    assert parts.traits.num_classes == 5


def test_the_fingerprint_follows_the_content() -> None:
    def fingerprint(*found: object) -> str:
        return source_of_datasets(found, "mine").fingerprint

    assert fingerprint(tensors(), tensors(5)) == fingerprint(tensors(), tensors(5))
    others = {
        fingerprint(tensors(), tensors(5)),
        fingerprint(tensors(seed=1), tensors(5)),
        fingerprint(Subset(tensors(), range(19)), tensors(5)),
        fingerprint(Subset(tensors(), [*range(18), 19]), tensors(5)),
        fingerprint(Noisy(), Noisy(5)),
        fingerprint(Noisy(shift=1e-3), Noisy(5)),
    }
    assert len(others) == 6
    assert fingerprint(Noisy(), Noisy(5)) == fingerprint(Noisy(), Noisy(5))
    told = source_of_datasets({"train": Noisy(), "val": Noisy(5), "fingerprint": "1"}, "mine").fingerprint
    assert (
        told == source_of_datasets({"train": Noisy(shift=9), "val": Noisy(5), "fingerprint": "1"}, "mine").fingerprint
    )


def test_a_large_set_that_tells_nothing_is_known_by_a_part(monkeypatch) -> None:
    monkeypatch.setattr("dsd_runtime.data.dataset_content.READ_WHOLE", 10)
    with pytest.raises(DsdError, match="how many classes"):
        source_of_datasets((Noisy(), Noisy()), "mine")
    with pytest.warns(UserWarning, match="compared by 10 of the 20 samples of its train set"):
        source_of_datasets({"train": Noisy(), "val": Noisy(5), "classes": list("abcd")}, "mine")


class Bare(Dataset):
    """Gives what it was made with, whatever the index."""

    def __init__(self, *samples: object) -> None:
        self.samples_given = samples

    def __len__(self) -> int:
        return len(self.samples_given)

    def __getitem__(self, index: int) -> object:
        return self.samples_given[index]


def _zero() -> torch.Tensor:
    return torch.zeros(2)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ((tensors(), Streamed()), "the val set of `mine` is the IterableDataset `Streamed`"),
        ((DataLoader(tensors()), tensors()), "the train set of `mine` is a DataLoader"),
        ((tensors(), Bare()), "the val set of `mine` is empty"),
        ((tensors(), 3), "the val set of `mine` is a `int`, which is not a Dataset"),
        (tensors(), "gave one `TensorDataset`"),
        ((tensors(),), "gave 1 things"),
        ({"train": tensors(), "test": tensors()}, "has no `val`"),
        ({"train": tensors(), "val": tensors(), "valid": tensors()}, "has the key `valid`"),
        ((Bare(_zero()), tensors()), "sample 0 of the train set of `mine` is a `Tensor`, not a pair"),
        ((Bare((_zero(), 0.5)), tensors()), "is `0.5`, not a class number"),
        ((Bare(("cat.png", 1)), tensors()), "the input of sample 0 of the train set of `mine` is a `str`"),
        ((Bare((_zero().byte(), 1)), tensors()), "is of torch.uint8"),
        ((Bare((_zero(), 1)), tensors()), "has samples of shape"),
        ((tensors(), lambda: 1), "which is not a Dataset"),
    ],
)
def test_what_is_no_data_is_told_in_a_sentence(found: object, message: str) -> None:
    with pytest.raises(DsdError, match=message.replace("(", r"\(")):
        source_of_datasets(found, "mine")


def test_a_bad_sample_further_on_is_named() -> None:
    train = Bare((_zero(), 0), (_zero(), 1), (torch.zeros(3), 0), (_zero(), 7))
    found = {"train": train, "val": Bare((_zero(), 0)), "classes": ["a", "b"], "fingerprint": "x"}
    source = source_of_datasets(found, "mine")
    for workers in (0, 1):
        with pytest.raises(DsdError, match=r"sample [23] of the train set of `mine` (has the shape|is of class 7)"):
            list(source.train_batches(batch_size=4, epoch=0, key=0, workers=workers))


MODULE = """
import torch
from torch import nn
from torch.utils.data import TensorDataset


def make(size=60):
    def part(count, seed):
        draws = torch.Generator().manual_seed(seed)
        inputs = torch.randn(count, 6, generator=draws)
        return TensorDataset(inputs, (inputs.sum(1) > 0).long())

    return part(size, 0), part(20, 1), part(20, 2)


def net(num_features, num_classes):
    return nn.Linear(num_features, num_classes)
"""


def test_dsd_run_trains_on_a_factorys_datasets(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "own_datasets.py").write_text(MODULE)
    (tmp_path / "a.dsd").write_text("dense 3ep lr=0.1 batch=20\nsparse 50% 1ep\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    command = ["a.dsd", "--model", "own_datasets:net", "--data", "own_datasets:make", "--out", "run"]
    assert main([*command, "--progress", "none"]) == 0
    assert "test.err" in capsys.readouterr().out
    assert main(["--evaluate", "run", "--trust-schedule"]) == 0
    assert open_data("own_datasets:make,size=30").sizes["train"] == 30
    assert main(["a.dsd", "--model", "lenet_300_100", "--data", "own_datasets:make", "--dry-run"]) == 2
    assert "takes images, and the data has feature vectors" in capsys.readouterr().err


def accuracy_of_ones(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return (logits.argmax(1)[labels == 1] == 1).float().mean()


def test_own_metrics_belong_to_the_data() -> None:
    """Phases measured without them are trained again."""
    splits = {"train": tensors(), "val": tensors(5)}
    plain = source_of_datasets(splits, "mine")
    source = source_of_datasets({**splits, "metrics": {"ones": (accuracy_of_ones, "higher")}}, "mine")
    assert [(metric.name, metric.better) for metric in source.own_metrics] == [("ones", "higher")]
    assert source.fingerprint != plain.fingerprint
    assert source.with_train_labels(torch.zeros(20, dtype=torch.long)).own_metrics == source.own_metrics


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ([accuracy_of_ones], "the `metrics` of `mine` are a `list`, not a dict"),
        ({"f-1": (accuracy_of_ones, "higher")}, "a metric named `f-1`"),
        ({"err": (accuracy_of_ones, "lower")}, "`err` of `mine` is measured by dsd itself"),
        ({"ones": accuracy_of_ones}, "whether a higher `ones` is better was not said"),
        ({"ones": (accuracy_of_ones, "up")}, "whether a higher `ones` is better was not said"),
        ({"ones": (lambda logits: 1.0, "higher")}, "`ones` of `mine` does not take \\(logits, labels\\)"),
        ({"ones": (0.5, "higher")}, "`ones` of `mine` has no function"),
    ],
)
def test_own_metrics_that_cannot_be_measured_are_refused(metrics: object, message: str) -> None:
    with pytest.raises(DsdError, match=message):
        source_of_datasets({"train": tensors(), "val": tensors(5), "metrics": metrics}, "mine")
