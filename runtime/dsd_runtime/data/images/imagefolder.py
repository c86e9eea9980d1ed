"""The data set `imagefolder`: a folder or archive of images by split and class.

Layout: ``train/<class>/*.jpg`` with ``test/`` and optionally ``val/`` beside it (``.jpg``, ``.png``, ...), possibly one
folder deeper. Small images (at most 64 pixels a side, or any with ``size=``) are decoded once, kept as one array in
memory and in the cache folder, and augmented by the CIFAR recipe. Larger ones are decoded on demand, cropped and
normalised by the recipe of one of the paper's ImageNet baselines.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from dsd_lang.base.errors import DsdError, nearest
from dsd_lang.base.regular_files import require_regular
from dsd_runtime.data.archive import resolve_archive
from dsd_runtime.data.broken_files import BrokenFiles
from dsd_runtime.data.images.augment import CIFAR, PLAIN
from dsd_runtime.data.images.cache import UNREADABLE, archive_key, cached_images, folder_key
from dsd_runtime.data.images.decode import (
    LARGEST_SMALL_SIDE,
    MAX_BROKEN,
    DecodedImages,
    decode_all,
    peek,
    warn_of_broken,
)
from dsd_runtime.data.images.listing import ImageEntry, list_folder, read_archive, read_folder
from dsd_runtime.data.images.source import ImagesInMemory, LabelledImages, Presentation, require_side
from dsd_runtime.data.images.split import held_out
from dsd_runtime.data.unpacking import is_archive
from dsd_runtime.storage.content import content_digests

if TYPE_CHECKING:
    from dsd_runtime.data.images.files import ImagesOnDisk

Val = float | str

CROP_RECIPES = ("resnet", "googlenet", "vgg")


@dataclass(frozen=True, slots=True)
class _FirstImage:
    channels: int
    height: int
    width: int

    @property
    def is_small(self) -> bool:
        return max(self.height, self.width) <= LARGEST_SMALL_SIDE


def open_imagefolder(
    path: str | None,
    *,
    val: Val = 0.1,
    size: int | None = None,
    channels: int | None = None,
    augment: bool = True,
    side: int = 224,
    recipe: str = "resnet",
) -> ImagesInMemory | ImagesOnDisk:
    """The images in ``path`` as a data source.

    ``val`` is the share of each class held out of ``train/`` if there is no ``val/`` folder (0: none; ``test``: train
    on all of it and validate on the test images, as the paper's baselines did). ``size`` resizes all images to a square
    kept in memory; ``channels`` makes them grey (1) or RGB (3). ``augment=false`` turns augmentation off.

    For large images only: ``side`` is the side of the crop, and ``recipe`` the baseline whose crops, colours and
    normalisation are used: ``resnet`` (crops of 8 to 100% of the area, jitter and lighting, mean 0 and deviation 1), or
    ``googlenet`` and ``vgg`` (resized to 256x256, crops of 224, the mean subtracted from bytes). The presets of the
    models `googlenet` and `vgg16` select their own.
    """
    _require_recipe(recipe)
    root = _existing(path)
    require_side("imagefolder", size)
    require_side("imagefolder", side)
    first = _first_image(root)
    if size is None and not first.is_small:
        return _on_disk(resolve_archive(root), val, recipe_name=recipe, side=side, augment=augment)
    decoded = decoded_small_images(root, channels or first.channels, size)
    presentation = Presentation(decoded.mean, decoded.deviation)
    return in_memory("imagefolder", decoded, presentation, val=val, augment=augment)


def decoded_small_images(root: Path, channels: int, size: int | None) -> DecodedImages:
    """Every image of a folder or archive as one array, from the cache folder if it is there."""
    name = f"imagefolder:{root}"
    if is_archive(root):
        key = archive_key(root, channels, size)
        pairs = read_archive(root)
    else:
        entries = list_folder(root)
        key = folder_key(root, entries, channels, size)
        pairs = read_folder(root, entries)
    decoded = cached_images(key, lambda: decode_all(pairs, channels=channels, size=size, name=name))
    warn_of_broken(name, decoded.broken, len(decoded.entries) + len(decoded.broken))
    return decoded


def in_memory(
    name: str, decoded: DecodedImages, presentation: Presentation, *, val: Val, augment: bool
) -> ImagesInMemory:
    """Decoded images as a data source, with a validation split held out of training if there is none."""
    classes = class_names_of(decoded.entries)
    splits = split_positions(decoded.entries, val)
    images = torch.from_numpy(decoded.images)
    labels = torch.tensor([classes.index(entry.class_name) for entry in decoded.entries])
    everything = LabelledImages(images, labels)
    return ImagesInMemory(
        name=name,
        splits={split: everything.take(torch.tensor(where, dtype=torch.int64)) for split, where in splits.items()},
        class_names=classes,
        presentation=presentation,
        content=decoded.content + f" val={val}",
        augmentation=CIFAR if augment else PLAIN,
    )


def class_names_of(entries: tuple[ImageEntry, ...]) -> tuple[str, ...]:
    """The training classes in alphabetical order; a class that occurs only in other splits is an error."""
    classes = tuple(sorted({entry.class_name for entry in entries if entry.split == "train"}))
    for entry in entries:
        if entry.class_name not in classes:
            raise DsdError(
                f"`{entry.path}` is of the class `{entry.class_name}`, which has no folder in `train`",
                help="every class of val and test needs training images",
            )
    return classes


def split_positions(entries: tuple[ImageEntry, ...], val: Val) -> dict[str, list[int]]:
    """Indices of the training, validation and test samples; which are held out depends only on the file names."""
    if isinstance(val, str) and val != "test":
        raise DsdError(f"the option `val={val}` is not a share or `test`", help="write val=0.1, val=0 or val=test")
    if not isinstance(val, str) and not 0 <= val < 1:
        raise DsdError(
            f"the option `val={val}` is not a share from 0 to below 1", help="write val=0.1, or val=0 for none"
        )
    found: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    for position, entry in enumerate(entries):
        found[entry.split].append(position)
    if not found["train"] or not (found["val"] or found["test"]):
        raise DsdError(
            f"there are {len(found['train'])} training and {len(found['test'])} test images",
            help="a data set has train/<class>/<image> and test/<class>/<image>",
        )
    if not found["test"]:
        return {**found, "test": found["val"]}
    if found["val"]:
        return found
    if isinstance(val, str):
        return {**found, "val": found["test"]}
    train = found["train"]
    names = [f"{entries[position].class_name}/{entries[position].path.rpartition('/')[2]}" for position in train]
    classes = {name: index for index, name in enumerate(class_names_of(entries))}
    chosen = held_out(names, [classes[entries[position].class_name] for position in train], val)
    out = {train[index] for index in chosen}
    return {**found, "train": [position for position in train if position not in out], "val": sorted(out)}


def _existing(path: str | None) -> Path:
    if path is None:
        raise DsdError("the data set `imagefolder` needs a path", help="write `imagefolder:PATH`")
    root = Path(path).expanduser()
    if root.exists() and not root.is_dir():
        require_regular(root)
    if not root.is_dir() and not (root.is_file() and is_archive(root)):
        reason = "is neither a folder nor an archive" if root.exists() else "does not exist"
        raise DsdError(
            f"`{root}` {reason}", help="give a folder with train/<class>/, or a .tar, .tar.gz or .zip of one"
        )
    return root


def _require_recipe(name: str) -> None:
    if name not in CROP_RECIPES:
        guess = nearest(name, CROP_RECIPES)
        known = f"there are {', '.join(CROP_RECIPES)}"
        raise DsdError(
            f"the data set `imagefolder` has no recipe `{name}`",
            help=f"did you mean `{guess}`? {known}" if guess else known,
        )


def _first_image(root: Path) -> _FirstImage:
    """The shape of the first readable image; no other is decoded."""
    pairs: Iterator[tuple[ImageEntry, bytes]]
    pairs = read_archive(root) if is_archive(root) else read_folder(root, list_folder(root))
    seen = 0
    for _, content in pairs:
        seen += 1
        shape = peek(content)
        if shape is not None:
            return _FirstImage(*shape)
    raise DsdError(
        f"no readable image found under `{root}` ({seen} unreadable)" if seen else f"no image found under `{root}`",
        help="a data set has train/<class>/<image> and test/<class>/<image>",
    )


def _on_disk(root: Path, val: Val, *, recipe_name: str, side: int, augment: bool) -> ImagesOnDisk:
    from dsd_runtime.data.images.files import ImageFile, ImagesOnDisk
    from dsd_runtime.data.images.recipes import recipe_named  # torchvision takes a second to import: only where needed

    recipe = recipe_named(recipe_name, side=side, augment=augment)
    entries = list_folder(root)
    classes = class_names_of(entries)
    numbers = {name: index for index, name in enumerate(classes)}
    splits = {
        split: tuple(ImageFile(entries[position].path, numbers[entries[position].class_name]) for position in where)
        for split, where in split_positions(entries, val).items()
    }
    digest = hashlib.sha256(f"val={val}\n".encode())
    contents = content_digests([root / entry.path for entry in entries], unreadable=UNREADABLE)
    for entry, content in zip(entries, contents, strict=True):
        digest.update(f"{entry.path}\0{content}\n".encode("utf-8", "surrogateescape"))
    broken = BrokenFiles("images", num_files=len(entries), allowed=max(1, int(MAX_BROKEN * len(entries))))
    return ImagesOnDisk("imagefolder", root, splits, classes, recipe, digest.hexdigest(), broken)
