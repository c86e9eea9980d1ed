"""Augments a whole batch of images at once: the CIFAR-10 recipe of the paper's baseline.

fb.resnet.torch: normalise first, then pad 4 with zeros, crop back at random, mirror half (models.md 2.5).
Shape legend: N batch, C channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dsd_runtime.data.parts import Rows


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Zero padding in pixels on each side before a random crop, and whether half of the images are mirrored."""

    padding: int = 0
    mirror: bool = False

    @property
    def is_identity(self) -> bool:
        return self.padding == 0 and not self.mirror


PLAIN = Augmentation()
CIFAR = Augmentation(padding=4, mirror=True)


def augment(images: Tensor, how: Augmentation, generator: torch.Generator, rows: Rows | None = None) -> Tensor:
    """Normalised images [N, C, H, W] float32 to a new tensor of the same shape; random draws use ``generator``.

    If the images are some rows of a batch, the draws are those that the whole batch has.
    """
    rows = rows or Rows(0, len(images), len(images), 1.0)
    if how.is_identity:
        return images
    if how.padding:
        images = _random_crop(images, how.padding, generator, rows)
    if how.mirror:
        flip = torch.rand(rows.total, generator=generator)[rows.start : rows.end] < 0.5
        images = torch.where(flip[:, None, None, None], images.flip(-1), images)
    return images


def _random_crop(images: Tensor, padding: int, generator: torch.Generator, rows: Rows) -> Tensor:
    """Crops of the original size at uniform random offsets in the zero-padded images."""
    count, channels, height, width = images.shape
    padded = images.new_zeros(count, channels, height + 2 * padding, width + 2 * padding)
    padded[:, :, padding : padding + height, padding : padding + width] = images
    offsets = torch.randint(0, 2 * padding + 1, (2, rows.total), generator=generator)[:, rows.start : rows.end]
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(count), :, offsets[0], offsets[1]]
