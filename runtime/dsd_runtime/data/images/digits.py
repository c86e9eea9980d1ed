"""The data set `digits`: scikit-learn's 1,797 real handwritten digits, 8x8 grey images, without a download.

E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI; shipped with scikit-learn.
"""

from __future__ import annotations

import hashlib
from gzip import decompress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.images.source import (
    ImagesInMemory,
    LabelledImages,
    Presentation,
    channel_statistics,
    require_side,
)
from dsd_runtime.data.images.split import held_out

TEST_SHARE = 0.2
VAL_SHARE = 0.125


def open_digits(path: str | None = None, *, size: int = 8, channels: int = 1) -> ImagesInMemory:
    """Digits split 70 / 10 / 20 within each class; ``size`` and ``channels`` adapt them to networks for larger images.

    >>> open_digits().traits.image_shape, open_digits(size=32, channels=3).traits.image_shape
    ((1, 8, 8), (3, 32, 32))
    """
    if path is not None:
        raise DsdError(
            f"the data set `digits` is built in and takes no path, not `{path}`",
            help="write `digits`, or `digits:size=32,channels=3` to fit a network for larger images",
        )
    require_side("digits", size)
    if channels not in (1, 3):
        raise DsdError(f"the option `channels={channels}` of `digits` must be 1 or 3", help="write channels=3")
    rows = _rows()
    images = (rows[:, :-1].reshape(-1, 8, 8) * (255 / 16)).round().to(torch.uint8)[:, None]
    labels = rows[:, -1].to(torch.int64)
    splits = _split(LabelledImages(images, labels))
    mean, deviation = channel_statistics(splits["train"].images)
    content = hashlib.sha256(images.numpy().tobytes() + labels.numpy().tobytes()).hexdigest()
    return ImagesInMemory(
        name="digits",
        splits=splits,
        class_names=tuple(str(digit) for digit in range(10)),
        presentation=Presentation(mean, deviation, size=size, channels=channels),
        content=content,
    )


def _rows() -> Tensor:
    """64 pixels from 0 to 16 and the class of every digit, float64.

    They are read from scikit-learn's file: importing scikit-learn takes longer than a short training.
    """
    package = find_spec("sklearn")
    file = Path((package and package.origin) or "").parent / "datasets" / "data" / "digits.csv.gz"
    if file.is_file():
        return torch.from_numpy(np.loadtxt(decompress(file.read_bytes()).decode().splitlines(), delimiter=","))
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return torch.from_numpy(np.column_stack((pixels, labels)))


def _split(everything: LabelledImages) -> dict[str, LabelledImages]:
    """The fixed split: a fifth of each class for test, an eighth of the rest for validation."""
    names = [str(index) for index in range(len(everything))]
    labels = everything.labels.tolist()
    test = held_out(names, labels, TEST_SHARE)
    rest = sorted(set(range(len(everything))) - set(test))
    chosen = held_out([f"val {index}" for index in rest], [labels[index] for index in rest], VAL_SHARE)
    val = [rest[position] for position in chosen]
    train = sorted(set(rest) - set(val))
    parts = {"train": train, "val": val, "test": test}
    return {name: everything.take(torch.tensor(indices)) for name, indices in parts.items()}
