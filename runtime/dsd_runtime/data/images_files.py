"""Large image files in, batches out: each is decoded when it is needed, by threads ahead of the training step."""

from __future__ import annotations

import hashlib
import threading
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import torch
from PIL import Image
from torch import Tensor

from dsd_lang.errors import DsdError
from dsd_runtime.data.batch import ImageBatch
from dsd_runtime.data.draws import epoch_order, generator
from dsd_runtime.data.images import RECIPE_VERSION, num_batches
from dsd_runtime.data.images_decode import MAX_BROKEN
from dsd_runtime.data.images_recipes import Recipe
from dsd_runtime.data.prefetch import ordered_map
from dsd_runtime.data.traits import DataTraits


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A path below the set's folder and the index of its class."""

    path: str
    label: int


@dataclass(slots=True)
class BrokenFiles:
    """The unreadable files met so far: each is named once, too many are an error."""

    limit: int
    paths: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, path: str, reason: str) -> None:
        with self.lock:
            if path in self.paths:
                return
            self.paths.add(path)
            count = len(self.paths)
        if count > self.limit:
            raise DsdError(
                f"{count} images cannot be read, the last is `{path}`: {reason}",
                help=f"at most {MAX_BROKEN:.0%} may be broken: repair or remove them",
            )
        warnings.warn(f"the image `{path}` cannot be read and is left out: {reason}", stacklevel=2)


@dataclass(frozen=True, slots=True)
class ImagesOnDisk:
    """A data source over files: a sample's augmentation is drawn from (key, epoch, its place in the epoch)."""

    name: str
    root: Path
    splits: Mapping[str, tuple[ImageFile, ...]]
    class_names: tuple[str, ...]
    recipe: Recipe
    content: str
    broken: BrokenFiles
    task: str = field(default="classification", init=False)

    @property
    def fingerprint(self) -> str:
        parts = (RECIPE_VERSION, self.content, self.recipe, sorted(self.sizes.items()))
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def traits(self) -> DataTraits:
        return DataTraits(
            task=self.task,
            num_classes=len(self.class_names),
            class_names=self.class_names,
            image_shape=(3, self.recipe.side, self.recipe.side),
        )

    @property
    def sizes(self) -> Mapping[str, int]:
        return MappingProxyType({name: len(split) for name, split in self.splits.items()})

    def updates_per_epoch(self, batch_size: int) -> int:
        """Every file once; the last batch may be smaller."""
        return num_batches(len(self.splits["train"]), batch_size)

    def train_batches(
        self, *, batch_size: int, epoch: int, key: int, skip: int = 0, workers: int = 0
    ) -> Iterator[ImageBatch]:
        train = self.splits["train"]
        order = epoch_order(len(train), key=key, epoch=epoch).tolist()

        def sample(place: int) -> Tensor | None:
            image = self._open(train[order[place]].path)
            return None if image is None else self.recipe.training(image, generator(key, "sample", epoch, place))

        places = range(skip * batch_size, len(train))
        pictures = ordered_map(sample, places, workers=workers, ahead=_ahead(batch_size, workers))
        labels = [train[index].label for index in order[skip * batch_size :]]
        yield from _batches(pictures, labels, batch_size)

    def evaluation_batches(self, split: str, *, batch_size: int, workers: int = 0) -> Iterator[ImageBatch]:
        files = self.splits.get(split)
        if files is None:
            raise ValueError(f"no split `{split}`: there are {', '.join(self.splits)}")

        def sample(file: ImageFile) -> Tensor | None:
            image = self._open(file.path)
            return None if image is None else self.recipe.evaluation(image)

        pictures = ordered_map(sample, files, workers=workers, ahead=_ahead(batch_size, workers))
        yield from _batches(pictures, [file.label for file in files], batch_size)

    def _open(self, path: str) -> Image.Image | None:
        try:
            with Image.open(self.root / path) as image:
                return image.convert("RGB")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            self.broken.add(path, str(error))
            return None


def _ahead(batch_size: int, workers: int) -> int:
    """Samples each thread may be ahead: two batches among all of them."""
    return max(2, 2 * batch_size // max(1, workers))


def _batches(pictures: Iterator[Tensor | None], labels: list[int], batch_size: int) -> Iterator[ImageBatch]:
    """Batches in order; a broken picture makes its batch smaller, a batch of nothing but broken ones is left out."""
    for start in range(0, len(labels), batch_size):
        wanted = labels[start : start + batch_size]
        pairs = [(next(pictures), label) for label in wanted]
        good = [(picture, label) for picture, label in pairs if picture is not None]
        if good:
            images = torch.stack([picture for picture, _ in good])
            yield ImageBatch(images, torch.tensor([label for _, label in good]))
