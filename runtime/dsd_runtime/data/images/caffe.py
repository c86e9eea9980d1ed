"""Turns a photograph into a 224x224 training or test image: the recipe of the paper's Caffe baselines.

BVLC GoogLeNet and VGG-16 (models.md 2.2, 2.3): resized to 256x256 whatever the shape, a random 224 crop, mirrored half
the time, ImageNet's mean colour subtracted; test: the centre 224. Pixels stay in byte units (-124 to 151), as in
Caffe's data layer. Channels are RGB, while Caffe's were BGR; the means are reordered accordingly. This makes no
difference for training from a random start, but weights converted from Caffe need the input channels of their first
convolution reversed. Resizing is bilinear with antialiasing, while OpenCV's has none. Shape legend: H height, W width;
images are [3, H, W].
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional

GOOGLENET_MEAN = (123.0, 117.0, 104.0)
VGG_MEAN = (123.68, 116.779, 103.939)


@dataclass(frozen=True, slots=True)
class CaffeRecipe:
    """The mean colour (red, green, blue) in byte units, and the side of the output image in pixels."""

    mean: tuple[float, float, float]
    side: int = 224
    augment: bool = True

    @property
    def name(self) -> str:
        return "googlenet" if self.mean == GOOGLENET_MEAN else "vgg"

    @property
    def resize(self) -> int:
        """The side of the square that is cropped: 256 for 224."""
        return round(self.side * 256 / 224)

    def training(self, image: Image.Image, generator: torch.Generator) -> Tensor:
        """A uniform random crop, mirrored half the time."""
        if not self.augment:
            return self.evaluation(image)
        top, left = torch.randint(0, self.resize - self.side + 1, (2,), generator=generator).tolist()
        shown = self._cut(image, top, left)
        return shown.flip(-1) if float(torch.rand((), generator=generator)) < 0.5 else shown

    def evaluation(self, image: Image.Image) -> Tensor:
        """The centre crop."""
        margin = (self.resize - self.side) // 2
        return self._cut(image, margin, margin)

    def _cut(self, image: Image.Image, top: int, left: int) -> Tensor:
        square = image.resize((self.resize, self.resize), Image.Resampling.BILINEAR)
        cut = square.crop((left, top, left + self.side, top + self.side))
        pixels: Tensor = functional.pil_to_tensor(cut)
        return pixels.to(torch.float32) - torch.tensor(self.mean)[:, None, None]
