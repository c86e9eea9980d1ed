"""Reads CIFAR-10, from its binary version or an image folder, with the paper's augmentation.

Binary version (https://www.cs.toronto.edu/~kriz/cifar.html): ``data_batch_1.bin`` to ``data_batch_5.bin`` and
``test_batch.bin`` of 3,073-byte records: the label, then 1,024 red, green and blue bytes each, row by row.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dsd_lang.base.errors import DsdError
from dsd_lang.base.regular_files import read_regular
from dsd_runtime.data.archive import resolve_archive
from dsd_runtime.data.images.decode import DecodedImages, described
from dsd_runtime.data.images.imagefolder import Val, decoded_small_images, in_memory
from dsd_runtime.data.images.listing import ImageEntry
from dsd_runtime.data.images.source import ImagesInMemory, Presentation
from dsd_runtime.data.unpacking import is_archive

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR_MEAN = (125.3, 123.0, 113.9)
CIFAR_DEVIATION = (63.0, 62.1, 66.7)
_RECORD_BYTES = 1 + 3 * 32 * 32


def open_cifar10(path: str | None, *, val: Val = 0.1, augment: bool = True) -> ImagesInMemory:
    """CIFAR-10 from a folder or archive of ``.bin`` files, or from an image folder ``train/<class>/``.

    ``val`` is the share of each class held out of the 50,000 training images (0: none; ``test``: train on all of them
    and validate on the test images, as the paper's baseline did).
    """
    if path is None:
        raise DsdError("the data set `cifar10` needs a path", help="write `cifar10:PATH`")
    root = Path(path).expanduser()
    if not root.exists():
        raise DsdError(f"`{root}` does not exist", help="fetch cifar-10-binary.tar.gz and give its path")
    decoded = _decode(root)
    presentation = Presentation(CIFAR_MEAN, CIFAR_DEVIATION)
    return in_memory("cifar10", decoded, presentation, val=val, augment=augment)


def _decode(root: Path) -> DecodedImages:
    _refuse_pickles(root.name, root)
    if is_archive(root) and "binary" not in root.name:
        return _decode_folder(root)
    folder = _folder_of_batches(resolve_archive(root))
    return _decode_folder(root) if folder is None else _read_binary(folder)


def _decode_folder(root: Path) -> DecodedImages:
    decoded = decoded_small_images(root, 3, None)
    if decoded.images.shape[2:] != (32, 32):
        height, width = decoded.images.shape[2:]
        raise DsdError(
            f"the images of `{root}` are {width}x{height} pixels, CIFAR-10's are 32x32",
            help=f"open them as `imagefolder:{root}`",
        )
    return decoded


def _folder_of_batches(root: Path) -> Path | None:
    """The folder with the ``.bin`` files, at most one level down; pickles are refused."""
    for folder in (root, *sorted(child for child in root.iterdir() if child.is_dir())):
        if (folder / "test_batch.bin").is_file():
            return folder
        if (folder / "data_batch_1").is_file():
            _refuse_pickles("cifar-10-python", folder)
    return None


def _refuse_pickles(name: str, where: Path) -> None:
    if "cifar-10-python" in name or name == "cifar-10-batches-py":
        raise DsdError(
            f"`{where}` holds python pickles, which could run any code when they are read",
            help="fetch the binary version, cifar-10-binary.tar.gz, or use an image folder",
        )


def _read_binary(folder: Path) -> DecodedImages:
    files = sorted(folder.glob("data_batch_*.bin"))
    if not files:
        raise DsdError(f"there is no `data_batch_1.bin` in `{folder}`", help="unpack cifar-10-binary.tar.gz again")
    images: list[NDArray[np.uint8]] = []
    entries: list[ImageEntry] = []
    for file in (*files, folder / "test_batch.bin"):
        split = "test" if file.name == "test_batch.bin" else "train"
        labels, pixels = _read_records(file)
        images.append(pixels)
        entries.extend(ImageEntry(split, CLASSES[label], f"{file.name}/{row:05d}") for row, label in enumerate(labels))
    return described(np.concatenate(images), tuple(entries))


def _bytes_of(file: Path) -> bytes:
    try:
        return read_regular(file)
    except OSError as error:
        raise DsdError(
            f"`{file}` cannot be read: {(error.strerror or str(error)).lower()}",
            help="unpack cifar-10-binary.tar.gz again",
        ) from error


def _read_records(file: Path) -> tuple[list[int], NDArray[np.uint8]]:
    content = np.frombuffer(_bytes_of(file), dtype=np.uint8)
    if content.size == 0 or content.size % _RECORD_BYTES:
        raise DsdError(
            f"`{file}` has {content.size} bytes, not a whole number of {_RECORD_BYTES}-byte records",
            help="check that the download is complete, and unpack cifar-10-binary.tar.gz again",
        )
    records = content.reshape(-1, _RECORD_BYTES)
    if records[:, 0].max() >= len(CLASSES):
        raise DsdError(f"`{file}` has a label above 9", help="this is not CIFAR-10's binary version")
    return records[:, 0].tolist(), np.ascontiguousarray(records[:, 1:]).reshape(-1, 3, 32, 32)
