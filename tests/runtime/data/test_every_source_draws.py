"""Laws that hold for every data source: another pass, key, batch or sample draws otherwise; statistics are training's.

To see augmentation by itself, every sample is the same picture or sound, so that order changes nothing.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image
from speech_folders import RATE, tone, write_manifest_folder
from torch import Tensor
from torch.utils.data import Dataset

from dsd_runtime.data import datasets
from dsd_runtime.data.broken_files import BrokenFiles
from dsd_runtime.data.captions.source import CaptionSource, captioned_splits
from dsd_runtime.data.datasets import source_of_datasets
from dsd_runtime.data.images.augment import CIFAR
from dsd_runtime.data.images.digits import open_digits
from dsd_runtime.data.images.imagefolder import open_imagefolder
from dsd_runtime.data.images.source import ImagesInMemory, LabelledImages, Presentation
from dsd_runtime.data.parts import Share
from dsd_runtime.data.speech.augment import SpecAugment
from dsd_runtime.data.speech.manifest import open_manifest

Open = Callable[[Path], Any]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "cache"))


def _picture(file: Path, pixels: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, dtype=np.uint8)).save(file)


def _random_pixels(side: int, seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3))


def _pictures(root: Path, side: int, seed_of: Callable[[int], int]) -> Path:
    for split in ("train", "val", "test"):
        for index in range(12):
            _picture(root / split / f"class{index % 2}" / f"{index:02d}.png", _random_pixels(side, seed_of(index)))
    return root


def _captions(_: Path) -> CaptionSource:
    words = ["red", "green", "blue", "dog", "cat", "hat"]
    images = {
        split: [(row, [[words[row % 6], words[(row + k) % 6]] for k in range(3)]) for row in rows]
        for split, rows in {"train": range(12), "val": range(12, 15), "test": range(15, 18)}.items()
    }
    splits, vocabulary = captioned_splits(images, 1)
    return CaptionSource("made", torch.arange(36.0).reshape(18, 2), splits, vocabulary, "content")


SOURCES: dict[str, Open] = {
    "digits": lambda _: open_digits(),
    "small pictures": lambda path: open_imagefolder(str(_pictures(path / "set", 12, lambda i: i)), augment=False),
    "large pictures": lambda path: open_imagefolder(
        str(_pictures(path / "set", 80, lambda i: i)), side=16, augment=False
    ),
    "speech": lambda path: open_manifest(str(write_manifest_folder(path / "set"))),
    "captions": _captions,
}


def _epoch(source: Any, *, batch_size: int = 4, **options: Any) -> list[Any]:
    return list(source.train_batches(**{"batch_size": batch_size, "epoch": 1, "key": 5, **options}))


def _numbers(batch: Any) -> Tensor:
    return next(getattr(batch, name) for name in ("images", "features") if hasattr(batch, name))


def _is_same(some: list[Any], others: list[Any]) -> bool:
    pairs = list(zip(some, others, strict=True))
    return all(_numbers(a).shape == _numbers(b).shape and torch.equal(_numbers(a), _numbers(b)) for a, b in pairs)


@pytest.mark.parametrize("name", SOURCES)
def test_passes_and_keys_have_orders_of_their_own(name: str, tmp_path: Path) -> None:
    """In the first passes, where a recipe may sort, and in later ones."""
    source = SOURCES[name](tmp_path)
    first = _epoch(source, batch_size=1)
    assert _is_same(first, _epoch(source, batch_size=1))
    for other in ({"epoch": 0}, {"epoch": 2}, {"epoch": 9}, {"key": 6}, {"key": 1 << 62}):
        assert not _is_same(first, _epoch(source, batch_size=1, **other)), other


@pytest.mark.parametrize("name", SOURCES)
def test_evaluation_draws_nothing(name: str, tmp_path: Path) -> None:
    source = SOURCES[name](tmp_path)
    torch.manual_seed(1)
    first = list(source.evaluation_batches("val", batch_size=3))
    torch.manual_seed(2)
    assert _is_same(first, list(source.evaluation_batches("val", batch_size=3)))


# --- several processes ------------------------------------------------------------------------------------------------


class Exchange:
    """What processes tell each other, here threads: each gets the rows of all."""

    def __init__(self, count: int) -> None:
        self.rows: dict[int, Tensor] = {}
        self.barrier = threading.Barrier(count)

    def of(self, index: int) -> Callable[[Tensor], Tensor]:
        def exchange(row: Tensor) -> Tensor:
            self.rows[index] = row
            self.barrier.wait(60)
            rows = torch.stack([row for _, row in sorted(self.rows.items())])
            self.barrier.wait(60)
            return rows

        return exchange


def _parts(sources: list[Any], *, batch_size: int = 4, **options: Any) -> list[list[Any]]:
    """The parts of a pass that each of several processes reads, each from a source of its own."""
    exchange = Exchange(len(sources))

    def read(index: int) -> list[Any]:
        share = Share(index, len(sources), exchange.of(index))
        return list(sources[index].train_parts(batch_size=batch_size, epoch=1, key=5, share=share, **options))

    with ThreadPoolExecutor(len(sources)) as threads:
        return list(threads.map(read, range(len(sources))))


def _rows(batch: Any, start: int, end: int) -> dict[str, Any]:
    rows = batch.rows(start, end)
    return {name: getattr(rows, name) for name in rows.__slots__}


def _assert_parts_are(parts: list[list[Any]], whole: list[Any]) -> None:
    for index, batch in enumerate(whole):
        own = [several[index] for several in parts]
        counted = [part for part in own if part.weight]
        assert [part.end - part.start for part in counted] == [
            round(part.weight * len(batch) / len(own)) for part in counted
        ]
        assert sum(len(part) for part in counted) == len(batch)
        for part in own:
            assert part.total == len(batch)
            expected, found = _rows(batch, part.start, part.end), _rows(part.batch, 0, len(part))
            for name, value in expected.items():
                is_same = torch.equal(found[name], value) if isinstance(value, Tensor) else found[name] == value
                assert is_same, (index, name)
    assert all(len(several) == len(whole) for several in parts)


class Squares(Dataset[Any]):
    """Numbers its samples, and notes which were read."""

    def __init__(self) -> None:
        self.read: list[int] = []

    def __len__(self) -> int:
        return 11

    def __getitem__(self, index: int) -> Any:
        self.read.append(index)
        return torch.tensor([float(index), float(torch.rand(()))]), index % 2


def _broken_pictures(path: Path) -> Any:
    """Of twelve, three cannot be read."""
    folder = _pictures(path / "set", 80, lambda i: i)
    for name in ("class0/00", "class1/03", "class1/05"):
        (folder / "train" / f"{name}.png").write_bytes(b"no picture")
    source = open_imagefolder(str(folder), side=16)
    return replace(source, broken=BrokenFiles("images", num_files=36, allowed=3))


OF_PARTS: dict[str, Open] = {
    **SOURCES,
    "broken": _broken_pictures,
    "masked speech": lambda path: _same_sounds(path),
    "augmented": lambda path: _same_pictures(path),
    "datasets": lambda _: source_of_datasets((Squares(), Squares()), "squares"),
}


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads that stand for processes share the global generator, which some samples are drawn from."""
    lock = threading.RLock()

    def locked(act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*arguments: Any, **named: Any) -> Any:
            with lock:
                return act(*arguments, **named)

        return acted

    monkeypatch.setattr(SpecAugment, "apply", locked(SpecAugment.apply))
    untouched = datasets.untouched_generators

    @contextmanager
    def locked_and_untouched() -> Iterator[None]:
        with lock, untouched():  # what it restores must not come between the seed of a sample and its draws
            yield

    monkeypatch.setattr(datasets, "untouched_generators", locked_and_untouched)
    monkeypatch.setattr(datasets, "read_sample", locked(datasets.read_sample))


@pytest.mark.usefixtures("one_at_a_time")
@pytest.mark.filterwarnings("ignore::dsd_runtime.data.broken_files.BrokenFileWarning")
@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("name", OF_PARTS)
def test_processes_read_the_rows_of_the_batches_of_one(name: str, count: int, tmp_path: Path) -> None:
    """Every bit, also of uneven batches, of fewer samples than processes, of broken files, and with worker threads."""
    folders = [tmp_path / str(index) for index in range(count + 1)]
    for folder in folders:
        folder.mkdir()
    one, *sources = [OF_PARTS[name](folder) for folder in folders]
    whole = _epoch(one)
    parts = _parts(sources)
    _assert_parts_are(parts, whole)
    workers = 0 if name == "datasets" else 2
    _assert_parts_are(_parts(sources, skip=1, workers=workers), whole[1:])


def test_a_process_reads_no_sample_of_another() -> None:
    train = [Squares(), Squares()]
    sources = [source_of_datasets({"train": one, "val": Squares(), "fingerprint": "f", "classes": "ab"}, "squares")
               for one in train]  # fmt: skip
    for one in train:
        one.read.clear()
    _parts(sources)
    first, second = (set(one.read) for one in train)
    assert first | second == set(range(11))
    assert not first & second


# --- augmentation -----------------------------------------------------------------------------------------------------


def _same_pictures(_: Path) -> ImagesInMemory:
    picture = torch.randint(0, 256, (1, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    every = LabelledImages(picture.expand(12, -1, -1, -1).clone(), torch.arange(12) % 2)
    shown = Presentation((120.0,) * 3, (60.0,) * 3)
    return ImagesInMemory("made", dict.fromkeys(("train", "val", "test"), every), ("a", "b"), shown, "content", CIFAR)


def _same_sounds(path: Path) -> Any:
    for split in ("train", "val", "test"):
        lines = []
        for index in range(12):
            (path / split).mkdir(exist_ok=True)
            soundfile.write(path / split / f"{index}.flac", tone(1.0), RATE)
            lines.append(json.dumps({"audio_filepath": f"{split}/{index}.flac", "duration": 1.0, "text": "A"}))
        (path / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return open_manifest(str(path), spec_augment=True)


AUGMENTED: dict[str, Open] = {
    "in memory": _same_pictures,
    "on disk": lambda path: open_imagefolder(str(_pictures(path / "set", 80, lambda _: 0)), side=16),
    "speech": _same_sounds,
}


def _samples(source: Any, **options: Any) -> list[Tensor]:
    return [sample for batch in _epoch(source, **options) for sample in _numbers(batch)]


def _num_different(samples: list[Tensor]) -> int:
    return len({tuple(sample.flatten().tolist()) for sample in samples})


@pytest.mark.parametrize("name", AUGMENTED)
def test_every_sample_is_changed_in_its_own_way(name: str, tmp_path: Path) -> None:
    """Of twelve equal samples nearly all look different, within a batch and across batches."""
    source = AUGMENTED[name](tmp_path)
    samples = _samples(source)
    assert _num_different(samples) >= 10
    assert _num_different([*samples, *_samples(source, epoch=2)]) >= 19
    assert _num_different([*samples, *_samples(source, key=6)]) >= 19
    assert _num_different([*samples, *_samples(source)]) == _num_different(samples)
    firsts = [batch[0] for batch in map(_numbers, _epoch(source, batch_size=3))]
    assert _num_different(firsts) >= 3


@pytest.mark.parametrize("name", AUGMENTED)
def test_evaluation_changes_no_sample(name: str, tmp_path: Path) -> None:
    source = AUGMENTED[name](tmp_path)
    shown = [sample for batch in source.evaluation_batches("test", batch_size=4) for sample in _numbers(batch)]
    assert len(shown) == 12
    assert _num_different(shown) == 1


def test_half_the_pictures_are_mirrored_and_all_places_of_the_crop_occur() -> None:
    """A picture whose only bright pixel says where it went: 9 x 9 places, of which a mirrored one shows the mirror."""
    pixels = torch.zeros(400, 1, 16, 16, dtype=torch.uint8)
    pixels[:, 0, 6, 5] = 255
    every = LabelledImages(pixels, torch.zeros(400, dtype=torch.int64))
    source = ImagesInMemory("made", {"train": every}, ("a",), Presentation((0.0,), (255.0,)), "content", CIFAR)
    images = torch.cat([_numbers(batch) for batch in _epoch(source, batch_size=100)])
    places = [tuple(int(i) for i in (image[0] == 1).nonzero()[0]) for image in images]
    assert {row for row, _ in places} == set(range(2, 11))
    plain, mirrored = set(range(1, 10)), {15 - column for column in range(1, 10)}
    columns = [column for _, column in places]
    assert set(columns) == plain | mirrored
    only_mirrored = sum(column in mirrored - plain for column in columns)
    assert 400 * (5 / 18) * 0.7 < only_mirrored < 400 * (5 / 18) * 1.3


# --- statistics -------------------------------------------------------------------------------------------------------


def test_digits_are_normalised_by_the_training_digits() -> None:
    """Exactly: the mean and deviation of the training bytes, which those of all digits are not."""
    digits = open_digits()
    raw = digits.splits["train"].images.double()
    assert digits.presentation.mean == pytest.approx((float(raw.mean()),), abs=1e-4)
    assert digits.presentation.deviation == pytest.approx((float(raw.std(correction=0)),), abs=1e-4)


def test_pictures_are_normalised_by_the_training_pictures(tmp_path: Path) -> None:
    for split, brightness in {"train": 40, "val": 200, "test": 240}.items():
        for index in range(4):
            noise = np.random.default_rng(index).integers(-20, 21, (8, 8, 3))
            _picture(tmp_path / "set" / split / f"class{index % 2}" / f"{index}.png", brightness + noise)
    source = open_imagefolder(str(tmp_path / "set"), augment=False)
    train = torch.cat([_numbers(batch) for batch in _epoch(source)])
    test = torch.cat([_numbers(batch) for batch in source.evaluation_batches("test", batch_size=4)])
    assert abs(float(train.mean())) < 0.01
    assert float(train.std(correction=0)) == pytest.approx(1, abs=0.01)
    assert float(test.mean()) > 10


def _spectra(batches: Iterator[Any]) -> Tensor:
    return torch.cat([f[:n] for batch in batches for f, n in zip(batch.features, batch.lengths, strict=True)])


def test_speech_is_normalised_by_the_training_speech(tmp_path: Path) -> None:
    for split, loudness in {"train": 0.01, "val": 0.5, "test": 1.0}.items():
        (tmp_path / split).mkdir()
        lines = []
        for index in range(4):
            sound = loudness * np.random.default_rng(index).normal(0, 0.3, RATE // 2).clip(-0.99, 0.99)
            soundfile.write(tmp_path / split / f"{index}.flac", sound, RATE)
            lines.append(json.dumps({"audio_filepath": f"{split}/{index}.flac", "duration": 0.5, "text": "A"}))
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    source = open_manifest(str(tmp_path))
    train = _spectra(source.train_batches(batch_size=2, epoch=1, key=0))
    assert float(train.mean(dim=0).abs().max()) < 1e-2
    assert float((train.std(dim=0, correction=0) - 1).abs().max()) < 1e-2
    assert float(_spectra(source.evaluation_batches("test", batch_size=2)).mean()) > 2


def test_the_vocabulary_is_that_of_the_training_captions() -> None:
    images = {
        "train": [(0, [["a", "dog"]]), (1, [["a", "cat"]])],
        "val": [(2, [["a", "bird"]])],
        "test": [(3, [["a", "fish", "dog"]])],
    }
    splits, vocabulary = captioned_splits(images, 1)
    assert set(vocabulary.words) >= {"a", "dog", "cat"}
    assert not {"bird", "fish"} & set(vocabulary.words)
    assert [len(caption) for caption in splits["val"].tokens[0]] == [1]
