"""Lists the images of ``train/``, ``val/`` and ``test/<class>/<image>`` in one fixed order.

Archives are read in place, front to back, without being unpacked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dsd_lang.base.regular_files import NotRegular, open_regular
from dsd_runtime.data.unpacking import members_of

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".gif", ".tif", ".tiff"})
LARGEST_IMAGE_BYTES = 256 << 20
_SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True, slots=True, order=True)
class ImageEntry:
    """The split, class name and path (inside the folder or archive) of one image."""

    split: str
    class_name: str
    path: str


def entry_of(path: str) -> ImageEntry | None:
    """The entry for a path inside the set, or None if it is not an image in ``<split>/<class>/``.

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
    """Each image of an archive with its bytes, in the archive's order; one that is too large has no bytes.

    Images without bytes count as broken. Raises DsdError for an archive that cannot be read or is not safe, see
    unpacking.py.
    """
    with members_of(archive) as members:
        for member in members:
            entry = entry_of(member.name)
            if entry is not None:
                yield entry, member.stream.read() if member.size <= LARGEST_IMAGE_BYTES else b""


def read_folder(root: Path, entries: tuple[ImageEntry, ...]) -> Iterator[tuple[ImageEntry, bytes]]:
    """Each listed image with its bytes; one that cannot be opened has no bytes and counts as broken."""
    for entry in entries:
        try:
            with open_regular(root / entry.path) as file:
                content = file.read(LARGEST_IMAGE_BYTES + 1)
        except (OSError, NotRegular):
            content = b""
        yield entry, content if len(content) <= LARGEST_IMAGE_BYTES else b""
