"""Decodes small images into one array of bytes, each image once.

Shape legend: N images, C channels, H height, W width.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.images.encoded import DECODING_ERRORS, opened_image
from dsd_runtime.data.images.listing import ImageEntry
from dsd_runtime.data.images.source import channel_statistics

LARGEST_SMALL_SIDE = 64
MAX_BROKEN = 0.01


@dataclass(frozen=True, slots=True)
class DecodedImages:
    """Images [N, C, H, W] uint8 and the entry of each, sorted; the unreadable paths; a digest of everything.

    ``mean`` and ``deviation`` are those of the training images' channels, in byte units.
    """

    images: NDArray[np.uint8]
    entries: tuple[ImageEntry, ...]
    broken: tuple[str, ...]
    content: str
    mean: tuple[float, ...]
    deviation: tuple[float, ...]


def decode_all(
    pairs: Iterable[tuple[ImageEntry, bytes]], *, channels: int, size: int | None, name: str
) -> DecodedImages:
    """Decodes to grey (1) or RGB (3); ``size`` resizes to a square, else all images must have the size of the first."""
    decoded: list[tuple[ImageEntry, NDArray[np.uint8]]] = []
    broken: list[str] = []
    for entry, content in pairs:
        pixels = decode_image(content, channels=channels, size=size)
        if pixels is None:
            broken.append(entry.path)
        else:
            decoded.append((entry, pixels))
    refuse_too_many_broken(name, broken, len(decoded) + len(broken))
    decoded.sort(key=lambda pair: pair[0])
    _require_one_size(name, decoded)
    images = np.stack([pixels for _, pixels in decoded])
    return described(images, tuple(entry for entry, _ in decoded), broken)


def described(images: NDArray[np.uint8], entries: tuple[ImageEntry, ...], broken: Sequence[str] = ()) -> DecodedImages:
    """The set with its digest and the statistics of its training images."""
    digest = hashlib.blake2b(images.tobytes(), digest_size=32)
    digest.update("\n".join(f"{entry.split}/{entry.class_name}/{entry.path}" for entry in entries).encode())
    training = [position for position, entry in enumerate(entries) if entry.split == "train"]
    mean, deviation = channel_statistics(torch.from_numpy(images[training])) if training else ((), ())
    return DecodedImages(images, entries, tuple(sorted(broken)), digest.hexdigest(), mean, deviation)


def decode_image(content: bytes, *, channels: int, size: int | None) -> NDArray[np.uint8] | None:
    """One encoded image to [C, H, W] uint8, or None if it cannot be read."""
    try:
        with opened_image(content) as image:
            shown = image.convert("L" if channels == 1 else "RGB")
    except DECODING_ERRORS:
        return None
    if size is not None and shown.size != (size, size):
        shown = shown.resize((size, size), Image.Resampling.BICUBIC)
    pixels = np.asarray(shown, dtype=np.uint8)
    return np.ascontiguousarray(pixels[None] if channels == 1 else pixels.transpose(2, 0, 1))


def peek(content: bytes) -> tuple[int, int, int] | None:
    """Channels (1 or 3), height and width of an encoded image without decoding it, or None if it is broken."""
    try:
        with opened_image(content) as image:
            return (1 if image.mode in ("1", "L") else 3), image.height, image.width
    except DECODING_ERRORS:
        return None


def refuse_too_many_broken(name: str, broken: Sequence[str], total: int) -> None:
    """Raises DsdError with the first unreadable file if more than 1% are unreadable, or all of them."""
    if total == len(broken):
        first = f", the first is `{broken[0]}`" if broken else ""
        raise DsdError(f"no image of `{name}` could be read{first}", help="check that they are JPEG or PNG files")
    if len(broken) > MAX_BROKEN * total:
        raise DsdError(
            f"{len(broken)} of {total} images of `{name}` cannot be read, the first is `{broken[0]}`",
            help=f"at most {MAX_BROKEN:.0%} may be broken: repair or remove them",
        )


def warn_of_broken(name: str, broken: Sequence[str], total: int) -> None:
    """Warns about the files that are left out, by name if they are few."""
    if broken:
        shown = ", ".join(f"`{path}`" for path in broken[:5]) + (", ..." if len(broken) > 5 else "")
        message = f"{len(broken)} of {total} images of `{name}` cannot be read and are left out: {shown}"
        warnings.warn(message, stacklevel=3)


def _require_one_size(name: str, decoded: list[tuple[ImageEntry, NDArray[np.uint8]]]) -> None:
    first_entry, first = decoded[0]
    for entry, pixels in decoded:
        if pixels.shape != first.shape:
            raise DsdError(
                f"`{entry.path}` is {pixels.shape[2]}x{pixels.shape[1]} pixels and `{first_entry.path}` is "
                f"{first.shape[2]}x{first.shape[1]}",
                help=f"give one size for all, as in `{name},size={first.shape[1]}`",
            )
