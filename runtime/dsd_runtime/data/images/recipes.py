"""The registry of recipes that turn photographs into training and test images."""

from __future__ import annotations

from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from dsd_runtime.data.images.caffe import GOOGLENET_MEAN, VGG_MEAN, CaffeRecipe
from dsd_runtime.data.images.photo import PhotoRecipe


class ImageRecipe(Protocol):
    """Photographs to normalised pictures [3, side, side] float32; the `repr` is part of a data set's fingerprint."""

    @property
    def name(self) -> str:
        """The name by which :func:`recipe_named` gives it."""
        ...

    @property
    def side(self) -> int: ...

    def training(self, image: Image.Image, generator: torch.Generator) -> Tensor:
        """A picture to train on; every draw comes from ``generator``."""
        ...

    def evaluation(self, image: Image.Image) -> Tensor:
        """The one picture to test on."""
        ...


def recipe_named(name: str, *, side: int, augment: bool) -> ImageRecipe:
    """The recipe of `resnet`, `googlenet` or `vgg`."""
    if name == "googlenet":
        return CaffeRecipe(GOOGLENET_MEAN, side, augment)
    if name == "vgg":
        return CaffeRecipe(VGG_MEAN, side, augment)
    if name == "resnet":
        return PhotoRecipe(side=side, augment=augment)
    raise ValueError(f"unknown recipe `{name}`")
