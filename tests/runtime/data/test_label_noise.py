"""Label noise changes exactly the share it says, never to the true label, and only in the training data."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

import dsd_lang
import dsd_runtime
from dsd_lang.base.errors import DsdError
from dsd_runtime.data.datasets import source_of_datasets
from dsd_runtime.data.images.cifar10 import CLASSES
from dsd_runtime.data.images.digits import open_digits
from dsd_runtime.data.images.imagefolder import open_imagefolder
from dsd_runtime.data.label_noise import RelabelledSource
from dsd_runtime.engine.randomness import stream_key

LABELS = torch.arange(1003) % 10
PAIRS = {"truck": "automobile", "bird": "airplane", "deer": "horse", "cat": "dog", "dog": "cat"}


def noisy(noise: str, labels: Tensor = LABELS, **options) -> Tensor:
    plan = dsd_lang.compile(f"set noise={noise}; dense 1ep lr=0.1")
    return dsd_runtime.noisy_labels(plan, labels, **{"num_classes": 10, **options})


@pytest.mark.parametrize("kind", ["symmetric", "asymmetric", "pairflip"])
@pytest.mark.parametrize("share", ["0%", "20%", "1/3", "50%", "100%"])
def test_exactly_the_share_of_labels_changes(kind: str, share: str) -> None:
    changed = noisy(f"{kind}({share})")
    expected = round(Fraction(share[:-1]) / 100 * 1003 if share.endswith("%") else Fraction(share) * 1003)
    assert int((changed != LABELS).sum()) == expected
    assert int(changed.min()) >= 0
    assert int(changed.max()) < 10


def test_half_a_label_is_rounded_to_even() -> None:
    assert [int((noisy("symmetric(50%)", LABELS[:size]) != LABELS[:size]).sum()) for size in (3, 5, 7)] == [2, 2, 4]


def test_symmetric_gives_every_other_class_alike() -> None:
    changed = noisy("symmetric(100%)", torch.full((9000,), 3))
    counts = torch.bincount(changed, minlength=10)
    assert counts[3] == 0
    others = counts[counts > 0].double()
    assert len(others) == 9
    assert float(((others - 1000) ** 2 / 1000).sum()) < 26.1  # chi-squared, 8 degrees of freedom, p = 0.001


def test_pairflip_gives_the_next_class() -> None:
    changed = noisy("pairflip(30%)")
    moved = changed != LABELS
    assert torch.equal(changed[moved], (LABELS[moved] + 1) % 10)


def test_asymmetric_takes_cifar10s_classes_for_those_that_look_alike() -> None:
    changed = noisy("asymmetric(40%)", class_names=CLASSES)
    sources = torch.tensor([CLASSES[label] in PAIRS for label in LABELS.tolist()])
    moved = changed != LABELS
    assert int(moved.sum()) == round(Fraction(2, 5) * int(sources.sum()))
    assert not moved[~sources].any()
    pairs = {(CLASSES[a], CLASSES[b]) for a, b in zip(LABELS[moved].tolist(), changed[moved].tolist(), strict=True)}
    assert pairs == set(PAIRS.items())


def test_the_draw_is_a_function_of_seed_and_index_and_grows_with_the_share() -> None:
    first = noisy("symmetric(20%)")
    assert torch.equal(first, noisy("symmetric(20%)"))
    assert not torch.equal(first, noisy("symmetric(20%)", seed=1))
    assert not torch.equal(first, noisy("symmetric(20%)", seed_index=1))
    moved = first != LABELS
    assert torch.equal(noisy("symmetric(60%)")[moved], first[moved])
    assert stream_key(0, 0, "noise") != stream_key(0, 0, "data")


def test_no_noise_changes_nothing() -> None:
    assert torch.equal(noisy("none"), LABELS)


def test_one_class_has_no_other() -> None:
    with pytest.raises(DsdError, match="at least two classes"):
        noisy("pairflip(20%)", torch.zeros(5, dtype=torch.int64), num_classes=1)


# --- files ------------------------------------------------------------------------------------------------------------


def in_file(tmp_path: Path, text: str | bytes) -> str:
    path = tmp_path / "noisy labels.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return f'file("{path}")'


def test_a_file_names_the_labels_of_some_samples(tmp_path: Path) -> None:
    changed = noisy(in_file(tmp_path, "index,label\n0,7\n\n2, 5\n3,three\n"), class_names=[*"abcdefghi", "three"])
    assert changed[:4].tolist() == [7, 1, 5, 9]
    assert torch.equal(changed[4:], LABELS[4:])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 of .* is not `index,label`"),
        ("0,1\n", "line 1 of .* is not `index,label`"),
        ("index,label\n1,2\n1,3\n", "line 3 of .* gives sample 1 a label again, after line 2"),
        ("index,label\n1003,2\n", "line 2 of .* names the sample `1003`, and the training samples are 0 to 1002"),
        ("index,label\n-1,2\n", "line 2 of .* names the sample `-1`"),
        ("index,label\n" + "9" * 5000 + ",2\n", "line 2 of .* names the sample `99"),
        ("index,label\n1,10\n", "line 2 of .* has the label `10`, which is not a class"),
        ("index,label\n\n1,cat\n", "line 3 of .* has the label `cat`"),
        ("index,label\n1\n", "line 2 of .* has 1 values, expected 2"),
        ("index,label\n1," + "x" * 200_000, "line 2 of .* cannot be read"),
        (b"index,label\n1,\xff\n", "is not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence_with_its_line(tmp_path: Path, text, message: str) -> None:
    with pytest.raises(DsdError, match=message):
        noisy(in_file(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DsdError, match="cannot be read: no such file"):
        noisy(f'file("{tmp_path / "none.csv"}")')


# --- data sources -----------------------------------------------------------------------------------------------------


class Pairs(Dataset):
    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.full((3,), float(index)), index % 4


def _photographs(tmp_path: Path):
    for split in ("train", "val", "test"):
        for index in range(8):
            path = tmp_path / split / f"class{index % 2}" / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (80, 80), (index, 0, 0)).save(path)
    return open_imagefolder(str(tmp_path), side=32)


SOURCES = {
    "digits": lambda path: open_digits(),
    "photographs": _photographs,
    "tensors": lambda path: source_of_datasets(
        [TensorDataset(torch.rand(20, 3), torch.arange(20) % 4) for _ in range(3)], "mine"
    ),
    "dataset": lambda path: source_of_datasets((Pairs(), Pairs(), Pairs()), "mine"),
}


@pytest.mark.parametrize("made", SOURCES.values(), ids=SOURCES)
def test_other_labels_reach_the_training_batches_and_no_others(tmp_path: Path, made) -> None:
    source = made(tmp_path)
    assert isinstance(source, RelabelledSource)
    count = source.traits.num_classes
    other = source.with_train_labels((source.train_labels + 1) % count)
    before = list(source.train_batches(batch_size=6, epoch=0, key=1))
    after = list(other.train_batches(batch_size=6, epoch=0, key=1))
    assert all(torch.equal(a.images, b.images) for a, b in zip(before, after, strict=True))
    assert all(torch.equal((a.labels + 1) % count, b.labels) for a, b in zip(before, after, strict=True))
    for split in ("val", "test"):
        as_before, now = (one.evaluation_batches(split, batch_size=6) for one in (source, other))
        assert all(torch.equal(a.labels, b.labels) for a, b in zip(as_before, now, strict=True))
