"""What a source tells of its preprocessing makes, from raw items alone, the very batches it gave itself."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from speech_folders import RATE, tone, write_manifest_folder

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.preprocessing import read_preprocessing
from dsd_runtime.data.registry import open_data


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "cache"))


def through_json(source):
    """The preprocessing as a run folder gives it back."""
    return read_preprocessing(json.loads(json.dumps(source.preprocessing.describe())))


def pictures(root: Path, side: int) -> Path:
    draws = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (root / split / name).mkdir(parents=True)
            for number in range(4):
                pixels = draws.integers(0, 256, (side, side, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / split / name / f"{number}.png")
    return root


@pytest.mark.parametrize(
    ("side", "options"), [(12, ""), (12, ",size=8,channels=1"), (80, ",side=32"), (80, ",side=32,recipe=vgg")]
)
def test_pictures(tmp_path: Path, side: int, options: str) -> None:
    root = pictures(tmp_path / "set", side)
    source = open_data(f"imagefolder:{root}{options},val=0.25")
    files = [root / "test" / name / f"{number}.png" for name in ("cat", "dog") for number in range(4)]
    batch = next(source.evaluation_batches("test", batch_size=8))
    (images,) = through_json(source)(files)
    assert torch.equal(images, batch.images)
    assert torch.equal(through_json(source)(str(files[2]))[0], batch.images[2:3])
    for damaged in (b"junk", b""):
        (root / "bad.png").write_bytes(damaged)
        with pytest.raises(DsdError, match=r"bad\.png` cannot be read"):
            through_json(source)(root / "bad.png")


@pytest.mark.parametrize("normalise", ["train", "utterance"])
def test_sound(tmp_path: Path, normalise: str) -> None:
    source = open_data(f"manifest:{write_manifest_folder(tmp_path / 'set')}", normalise=normalise)
    batch = next(source.evaluation_batches("test", batch_size=2))
    seconds = [0.2 + 0.03 * ((number * 7) % 10) for number in range(2)]
    features, lengths = through_json(source)([tmp_path / "set" / "test" / f"{number}.flac" for number in range(2)])
    order = sorted(range(2), key=lambda number: seconds[number])
    assert torch.equal(lengths[order], batch.lengths)
    assert torch.allclose(features[order], batch.features)
    one, length = through_json(source)(torch.from_numpy(tone(0.5)))
    assert one.shape == (1, int(length), 161)
    assert math.isclose(int(length), 0.49 * RATE / 160, abs_tol=1)


def test_features() -> None:
    source = open_data("scenes")
    batch = next(source.evaluation_batches("test", batch_size=3))
    rows = [source.features[source.splits["test"].rows[0]]] * 3
    assert torch.equal(through_json(source)(rows)[0], batch.features)


def test_another_version_is_one_sentence() -> None:
    for described in ({}, {"kind": "smell"}, {"kind": "pixels", "colour": 1}):
        with pytest.raises(DsdError, match="written by a different version"):
            read_preprocessing(described)
