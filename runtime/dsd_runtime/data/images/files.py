"""Batches of large image files, decoded on demand by threads that run ahead of training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.batch import ImageBatch
from dsd_runtime.data.broken_files import BrokenFiles
from dsd_runtime.data.draws import epoch_order, generator
from dsd_runtime.data.images.encoded import DECODING_ERRORS, opened_image
from dsd_runtime.data.images.recipes import ImageRecipe, recipe_named
from dsd_runtime.data.images.source import IMAGE_RECIPE_VERSION
from dsd_runtime.data.parts import Part, Share, read_parts
from dsd_runtime.data.prefetch import ordered_map
from dsd_runtime.data.preprocessing import PhotoPreprocessing
from dsd_runtime.data.splits import fingerprint_of, num_batches, sizes_of, split_named
from dsd_runtime.data.traits import DataTraits, image_traits


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A path relative to the set's folder, and the class index."""

    path: str
    label: int


@dataclass(frozen=True, slots=True)
class ImagesOnDisk:
    """A data source over files; augmentation depends on (key, epoch, position of the sample in the epoch)."""

    name: str
    root: Path
    splits: Mapping[str, tuple[ImageFile, ...]]
    class_names: tuple[str, ...]
    recipe: ImageRecipe
    content: str
    broken: BrokenFiles
    task: str = field(default="classification", init=False)

    @property
    def fingerprint(self) -> str:
        return fingerprint_of(IMAGE_RECIPE_VERSION, self.content, self.recipe, sorted(self.sizes.items()))

    @property
    def traits(self) -> DataTraits:
        return image_traits(self.class_names, (3, self.recipe.side, self.recipe.side))

    @property
    def preprocessing(self) -> PhotoPreprocessing:
        """The evaluation preprocessing of these photographs, for a run's manifest."""
        return PhotoPreprocessing(self.recipe.name, self.recipe.side)

    def with_preprocessing(self, preprocessing: PhotoPreprocessing) -> ImagesOnDisk:
        """The same photographs with the recipe that a network was trained with; DsdError if it was for small images."""
        if not isinstance(preprocessing, PhotoPreprocessing):
            raise DsdError(
                f"the pictures of `{self.name}` are photographs, and the network was trained on small pictures",
                help="give data of the same size, for instance with the option `size=`",
            )
        how = preprocessing
        return replace(self, recipe=recipe_named(how.recipe, side=how.side, augment=False))

    @property
    def sizes(self) -> Mapping[str, int]:
        return sizes_of(self.splits)

    @property
    def train_labels(self) -> Tensor:
        return torch.tensor([file.label for file in self.splits["train"]])

    def with_train_labels(self, labels: Tensor) -> ImagesOnDisk:
        """The same photographs with other training labels [N]."""
        pairs = zip(self.splits["train"], labels.tolist(), strict=True)
        train = tuple(ImageFile(file.path, label) for file, label in pairs)
        return replace(self, splits={**self.splits, "train": train})

    def updates_per_epoch(self, batch_size: int) -> int:
        """Every file once; the last batch may be smaller."""
        return num_batches(len(self.splits["train"]), batch_size)

    def train_batches(
        self, *, batch_size: int, epoch: int, key: int, skip: int = 0, workers: int = 0
    ) -> Iterator[ImageBatch]:
        train = self.splits["train"]
        order = epoch_order(len(train), key=key, epoch=epoch).tolist()

        samples = _Pictures(self, [train[index] for index in order], key, epoch)
        positions = range(skip * batch_size, len(train))
        pictures = ordered_map(samples.read, positions, workers=workers, ahead=_ahead(batch_size, workers))
        labels = [train[index].label for index in order[skip * batch_size :]]
        yield from _batches(pictures, labels, batch_size)

    def train_parts(
        self, *, batch_size: int, epoch: int, key: int, share: Share, skip: int = 0, workers: int = 0
    ) -> Iterator[Part[ImageBatch]]:
        """What one of several processes trains on: it opens the files of its own samples only."""
        train = self.splits["train"]
        order = epoch_order(len(train), key=key, epoch=epoch).tolist()
        samples = _Pictures(self, [train[index] for index in order], key, epoch)
        starts = range(skip * batch_size, len(train), batch_size)
        batches = [range(start, min(start + batch_size, len(train))) for start in starts]
        parts = read_parts(samples, batches, share, workers=workers, ahead=_ahead(batch_size, workers))
        yield from (part for part in parts if part is not None)

    def evaluation_batches(self, split: str, *, batch_size: int, workers: int = 0) -> Iterator[ImageBatch]:
        files = split_named(self.splits, split)

        def sample(file: ImageFile) -> Tensor | None:
            image = self.open(file.path)
            return None if image is None else self.recipe.evaluation(image)

        pictures = ordered_map(sample, files, workers=workers, ahead=_ahead(batch_size, workers))
        yield from _batches(pictures, [file.label for file in files], batch_size)

    def open(self, path: str) -> Image.Image | None:
        """A photograph; None if it is broken, which is reported."""
        try:
            with opened_image(self.root / path) as image:
                return image.convert("RGB")
        except DECODING_ERRORS as error:
            self.broken.report(self.root / path, f"the image `{path}` cannot be read: {error}")
            return None


@dataclass(frozen=True, slots=True)
class _Pictures:
    """The training samples of one pass, in its order."""

    source: ImagesOnDisk
    files: Sequence[ImageFile]
    key: int
    epoch: int

    def read(self, position: int) -> Tensor | None:
        """The picture at a position, augmented."""
        image = self.source.open(self.files[position].path)
        if image is None:
            return None
        return self.source.recipe.training(image, generator(self.key, "sample", self.epoch, position))

    def size(self, sample: Tensor) -> int:
        """All are of one size."""
        return 0

    def report_broken(self, position: int) -> None:
        """Another process could not read it."""
        path = self.files[position].path
        self.source.broken.report(self.source.root / path, f"the image `{path}` cannot be read")

    def batch(self, positions: Sequence[int], samples: Sequence[Tensor], sizes: Tensor) -> ImageBatch:
        """Pictures with their classes."""
        return ImageBatch(torch.stack(list(samples)), torch.tensor([self.files[one].label for one in positions]))


def _ahead(batch_size: int, workers: int) -> int:
    """How many samples each thread may be ahead: two batches over all threads."""
    return max(2, 2 * batch_size // max(1, workers))


def _batches(pictures: Iterator[Tensor | None], labels: list[int], batch_size: int) -> Iterator[ImageBatch]:
    """Batches in order. A broken image makes its batch smaller; a batch with only broken images is left out."""
    for start in range(0, len(labels), batch_size):
        wanted = labels[start : start + batch_size]
        pairs = [(next(pictures), label) for label in wanted]
        good = [(picture, label) for picture, label in pairs if picture is not None]
        if good:
            images = torch.stack([picture for picture, _ in good])
            yield ImageBatch(images, torch.tensor([label for _, label in good]))
