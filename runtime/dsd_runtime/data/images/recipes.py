"""The registry of recipes that turn photographs into training and test images."""

from __future__ import annotations

from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from dsd_runtime.data.images.caffe import GOOGLENET_MEAN, VGG_MEAN, CaffeRecipe
from dsd_runtime.data.images.photo import PhotoRecipe


class ImageRecipe(Protocol):
    """Photographs to normalised images [3, side, side] float32; the `repr` is part of a data set's fingerprint."""

    @property
    def name(self) -> str:
        """The name for :func:`recipe_named`."""
        ...

    @property
    def side(self) -> int: ...

    def training(self, image: Image.Image, generator: torch.Generator) -> Tensor:
        """A training image; random draws use ``generator``."""
        ...

    def evaluation(self, image: Image.Image) -> Tensor:
        """The evaluation image."""
        ...


def recipe_named(name: str, *, side: int, augment: bool) -> ImageRecipe:
    """The recipe called `resnet`, `googlenet` or `vgg`."""
    if name == "googlenet":
        return CaffeRecipe(GOOGLENET_MEAN, side, augment)
    if name == "vgg":
        return CaffeRecipe(VGG_MEAN, side, augment)
    if name == "resnet":
        return PhotoRecipe(side=side, augment=augment)
    raise ValueError(f"unknown recipe `{name}`")
