"""Batches of small images kept in memory as bytes; training reads no file and runs no Python loop over images.

Shape legend: N batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.batch import ImageBatch
from dsd_runtime.data.draws import epoch_order, generator
from dsd_runtime.data.images.augment import PLAIN, Augmentation, augment
from dsd_runtime.data.parts import Part, Share
from dsd_runtime.data.prefetch import ordered_map
from dsd_runtime.data.preprocessing import PixelPreprocessing
from dsd_runtime.data.splits import fingerprint_of, num_batches, sizes_of, split_named
from dsd_runtime.data.traits import DataTraits, image_traits

IMAGE_RECIPE_VERSION = 1
"""Part of every fingerprint: raised when the same files would give other numbers."""


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Images [N, C, H, W] uint8 with their class indices [N] int64."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return int(self.labels.shape[0])

    def take(self, indices: Tensor) -> LabelledImages:
        """The samples at ``indices`` [M], copied."""
        return LabelledImages(self.images[indices], self.labels[indices])


@dataclass(frozen=True, slots=True)
class Presentation:
    """How bytes become the network's input: per-channel mean and deviation in byte units, then size and channels.

    ``size`` resizes to a square of that side (bilinear); ``channels`` repeats a grey image.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    size: int | None = None
    channels: int | None = None

    def __call__(self, images: Tensor) -> Tensor:
        """[N, C, H, W] uint8 to normalised [N, C', H', W'] float32, a new contiguous tensor."""
        mean = torch.tensor(self.mean)[:, None, None]
        scale = torch.tensor(self.deviation).reciprocal()[:, None, None]
        shown = images.to(torch.float32).sub_(mean).mul_(scale)
        if self.size is not None and tuple(shown.shape[-2:]) != (self.size, self.size):
            side = (self.size, self.size)
            shown = functional.interpolate(shown, side, mode="bilinear", align_corners=False, antialias=True)
        if self.channels is not None and self.channels != shown.shape[1]:
            shown = shown.expand(-1, self.channels, -1, -1).contiguous()
        return shown

    def shape(self, images: Tensor) -> tuple[int, int, int]:
        """Channels, height and width of the output for ``images``."""
        channels, height, width = (int(extent) for extent in images.shape[1:])
        return self.channels or channels, self.size or height, self.size or width


@dataclass(frozen=True, slots=True)
class ImagesInMemory:
    """A data source over arrays: the order depends on (key, epoch), augmentation also on the batch's index."""

    name: str
    splits: Mapping[str, LabelledImages]
    class_names: tuple[str, ...]
    presentation: Presentation
    content: str
    augmentation: Augmentation = PLAIN
    task: str = field(default="classification", init=False)

    @property
    def fingerprint(self) -> str:
        sizes = sorted(self.sizes.items())
        return fingerprint_of(IMAGE_RECIPE_VERSION, self.content, self.presentation, self.augmentation, sizes)

    @property
    def traits(self) -> DataTraits:
        return image_traits(self.class_names, self.presentation.shape(self.splits["train"].images))

    @property
    def preprocessing(self) -> PixelPreprocessing:
        """The preprocessing of these images, for a run's manifest."""
        channels, height, width = self.splits["train"].images.shape[1:]
        shown = self.presentation
        return PixelPreprocessing((channels, height, width), shown.mean, shown.deviation, shown.size, shown.channels)

    def with_preprocessing(self, preprocessing: PixelPreprocessing) -> ImagesInMemory:
        """The same images with the preprocessing that a network was trained with; DsdError if it does not fit."""
        if not isinstance(preprocessing, PixelPreprocessing) or preprocessing.shape != self.preprocessing.shape:
            raise DsdError(
                f"the pictures of `{self.name}` are {list(self.preprocessing.shape)}, and the network was trained on "
                f"{list(getattr(preprocessing, 'shape', ())) or 'photographs'}",
                help="give data of the same size, for instance with the option `size=`",
            )
        how = preprocessing
        return replace(self, presentation=Presentation(how.mean, how.deviation, how.size, how.channels))

    @property
    def sizes(self) -> Mapping[str, int]:
        return sizes_of(self.splits)

    @property
    def train_labels(self) -> Tensor:
        return self.splits["train"].labels

    def with_train_labels(self, labels: Tensor) -> ImagesInMemory:
        """The same images with other training labels [N]."""
        train = LabelledImages(self.splits["train"].images, labels)
        return replace(self, splits={**self.splits, "train": train})

    def updates_per_epoch(self, batch_size: int) -> int:
        """Every sample once; the last batch may be smaller."""
        return num_batches(len(self.splits["train"]), batch_size)

    def train_batches(
        self, *, batch_size: int, epoch: int, key: int, skip: int = 0, workers: int = 0
    ) -> Iterator[ImageBatch]:
        alone = Share(0, 1, lambda row: row[None])
        parts = self.train_parts(batch_size=batch_size, epoch=epoch, key=key, share=alone, skip=skip, workers=workers)
        yield from (part.batch for part in parts)

    def train_parts(
        self, *, batch_size: int, epoch: int, key: int, share: Share, skip: int = 0, workers: int = 0
    ) -> Iterator[Part[ImageBatch]]:
        """What one of several processes trains on: it prepares its own samples only."""
        train = self.splits["train"]
        order = epoch_order(len(train), key=key, epoch=epoch)

        def part(index: int) -> Part[ImageBatch]:
            members = order[index * batch_size : (index + 1) * batch_size]
            rows = share.rows(len(members))
            chosen = train.take(members[rows.start : rows.end])
            draws = generator(key, "augment", epoch, index)
            images = augment(self.presentation(chosen.images), self.augmentation, draws, rows)
            return rows.part(ImageBatch(images, chosen.labels))

        yield from ordered_map(part, range(skip, self.updates_per_epoch(batch_size)), workers=workers)

    def evaluation_batches(self, split: str, *, batch_size: int, workers: int = 0) -> Iterator[ImageBatch]:
        chosen = split_named(self.splits, split)

        def batch(index: int) -> ImageBatch:
            rows = slice(index * batch_size, (index + 1) * batch_size)
            return ImageBatch(self.presentation(chosen.images[rows]), chosen.labels[rows])

        yield from ordered_map(batch, range(num_batches(len(chosen), batch_size)), workers=workers)


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel of [N, C, H, W] uint8 in byte units, over all pixels (sums are exact)."""
    channels = images.shape[1]
    total, squares = torch.zeros(channels, dtype=torch.float64), torch.zeros(channels, dtype=torch.float64)
    for chunk in torch.split(images, 1024):
        values = chunk.to(torch.float32)
        total += values.sum(dim=(0, 2, 3), dtype=torch.float64)
        squares += values.square_().sum(dim=(0, 2, 3), dtype=torch.float64)
    mean = total / (images.numel() // channels)
    deviation = (squares / (images.numel() // channels) - mean**2).clamp_(min=1e-6).sqrt_()
    return tuple(round(float(value), 4) for value in mean), tuple(round(float(value), 4) for value in deviation)


def require_side(name: str, size: int | None) -> None:
    """Refuses an image size that is not a positive number."""
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise DsdError(f"the option `size={size}` of `{name}` is not a number of pixels", help="write size=32")
