"""A folder or archive with ``train/``, ``val/`` and ``test/<class>/<image>`` in, its images in one fixed order out.

Archives are read in place, front to back, without being unpacked.
"""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dsd_lang.base.errors import DsdError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".gif", ".tif", ".tiff"})
SPLITS = ("train", "val", "test")
_SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True, slots=True, order=True)
class ImageEntry:
    """Where one image belongs: its split, its class's name, and its path inside the folder or archive."""

    split: str
    class_name: str
    path: str


def entry_of(path: str) -> ImageEntry | None:
    """The entry for a path inside the set, or None when it is no image below ``<split>/<class>/``.

    >>> entry_of("cifar/train/cat/0.jpg")
    ImageEntry(split='train', class_name='cat', path='cifar/train/cat/0.jpg')
    """
    parts = PurePosixPath(path).parts
    if PurePosixPath(path).suffix.lower() not in SUFFIXES or parts[-1].startswith("."):
        return None
    for position, part in enumerate(parts[:-2]):
        split = _SPLIT_NAMES.get(part)
        if split is not None:
            return ImageEntry(split, parts[position + 1], path)
    return None


def list_folder(root: Path) -> tuple[ImageEntry, ...]:
    """All images below ``root``, sorted by split, class and path."""
    found = (entry_of(file.relative_to(root).as_posix()) for file in root.rglob("*") if file.suffix.lower() in SUFFIXES)
    return tuple(sorted(entry for entry in found if entry is not None))


def read_archive(archive: Path) -> Iterator[tuple[ImageEntry, bytes]]:
    """Each image of an archive with its bytes, in the archive's own order."""
    try:
        yield from _read_zip(archive) if archive.suffix.lower() == ".zip" else _read_tar(archive)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise DsdError(
            f"the archive `{archive}` cannot be read: {error}", help="is the download complete? fetch it again"
        ) from error


def read_folder(root: Path, entries: tuple[ImageEntry, ...]) -> Iterator[tuple[ImageEntry, bytes]]:
    """Each listed image with its bytes; one that cannot be opened gives no bytes, to be counted as broken."""
    for entry in entries:
        try:
            content = (root / entry.path).read_bytes()
        except OSError:
            content = b""
        yield entry, content


def _read_tar(archive: Path) -> Iterator[tuple[ImageEntry, bytes]]:
    with tarfile.open(archive, "r|*") as members:
        for member in members:
            entry = entry_of(member.name) if member.isfile() else None
            stream = members.extractfile(member) if entry is not None else None
            if entry is not None and stream is not None:
                yield entry, stream.read()


def _read_zip(archive: Path) -> Iterator[tuple[ImageEntry, bytes]]:
    with zipfile.ZipFile(archive) as members:
        for name in members.namelist():
            entry = entry_of(name)
            if entry is not None:
                yield entry, members.read(name)
