"""Caches decoded images on disk: one array for each set, keyed by content.

A cache entry is a folder that gets its final name when it is complete; a damaged one is built again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dsd_runtime.data.images.decode import DecodedImages
from dsd_runtime.data.images.listing import ImageEntry
from dsd_runtime.storage.cache_folder import cache_folder
from dsd_runtime.storage.content import content_digest, content_digests

LAYOUT_VERSION = 2
"""Part of every key: raised when the same files would be decoded to other bytes."""


UNREADABLE = "unreadable"
"""Replaces the digest of a file that cannot be read, which is then counted as broken."""


def folder_key(root: Path, entries: tuple[ImageEntry, ...], *options: object) -> str:
    """A key that changes when any file of the folder is added, removed, renamed or changed."""
    contents = content_digests([root / entry.path for entry in entries], unreadable=UNREADABLE)
    digest = hashlib.sha256(repr((LAYOUT_VERSION, options)).encode())
    for entry, content in zip(entries, contents, strict=True):
        digest.update(f"{entry.path}\0{content}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def archive_key(archive: Path, *options: object) -> str:
    """A key that changes with the archive's content."""
    parts = (LAYOUT_VERSION, content_digest(archive), options)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def cached_images(key: str, build: Callable[[], DecodedImages]) -> DecodedImages:
    """The result of ``build``, read from the cache folder if it is there, and stored in it otherwise."""
    folder = cache_folder() / "images" / key
    found = _read(folder)
    if found is not None:
        return found
    built = build()
    try:
        _write(folder, built)
    except OSError as error:
        warnings.warn(f"the decoded images cannot be kept in `{folder}` for the next time: {error}", stacklevel=2)
    return built


def _read(folder: Path) -> DecodedImages | None:
    try:
        listing = json.loads((folder / "entries.json").read_text(encoding="utf-8"))
        images = np.load(folder / "images.npy", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    entries = tuple(ImageEntry(*parts) for parts in listing["entries"])
    if images.dtype != np.uint8 or images.ndim != 4 or len(images) != len(entries):
        return None
    mean, deviation = tuple(listing["mean"]), tuple(listing["deviation"])
    return DecodedImages(images, entries, tuple(listing["broken"]), listing["content"], mean, deviation)


def _write(folder: Path, decoded: DecodedImages) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        np.save(part / "images.npy", decoded.images, allow_pickle=False)
        listing = {
            "entries": [[entry.split, entry.class_name, entry.path] for entry in decoded.entries],
            "broken": decoded.broken,
            "content": decoded.content,
            "mean": decoded.mean,
            "deviation": decoded.deviation,
        }
        (part / "entries.json").write_text(json.dumps(listing), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(part, folder)
    except FileExistsError:
        shutil.rmtree(part)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
