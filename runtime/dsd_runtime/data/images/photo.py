"""Turns a photograph into a 224x224 training or test image: the recipe of the paper's ResNet baselines.

fb.resnet.torch: RandomSizedCrop, ColorJitter .4, Lighting .1, normalise, flip; test: Scale 256, centre 224 (models.md
2.4). Random draws use the sample's own generator, so that threads can share the work. Shape legend: C channels, H
height, W width; images are [3, H, W].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
_EIGENVALUES = torch.tensor([0.2175, 0.0188, 0.0045])
_EIGENVECTORS = torch.tensor([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])


@dataclass(frozen=True, slots=True)
class PhotoRecipe:
    """The image's side in pixels, strength of colour jitter and lighting; ``resize`` is the test's shorter side."""

    side: int = 224
    jitter: float = 0.4
    lighting: float = 0.1
    augment: bool = True

    @property
    def name(self) -> str:
        return "resnet"

    @property
    def resize(self) -> int:
        return round(self.side * 256 / 224)

    def training(self, image: Image.Image, generator: torch.Generator) -> Tensor:
        """A random crop of 8 to 100% of the area, jittered, lit, normalised and mirrored half the time."""
        if not self.augment:
            return self.evaluation(image)
        top, left, height, width = _random_sized_crop(image.width, image.height, generator)
        box = (left, top, left + width, top + height)
        cut = image.resize((self.side, self.side), Image.Resampling.BICUBIC, box=box)
        shown = functional.to_dtype(functional.pil_to_tensor(cut), torch.float32, scale=True)
        shown = _light(_jitter(shown, self.jitter, generator), self.lighting, generator)
        shown = _normalise(shown)
        return shown.flip(-1) if _uniform(0, 1, generator) < 0.5 else shown

    def evaluation(self, image: Image.Image) -> Tensor:
        """The shorter side resized to ``resize`` (bicubic), the centre cropped, normalised."""
        scaled = functional.resize(image, [self.resize], interpolation=functional.InterpolationMode.BICUBIC)
        cut = functional.center_crop(scaled, [self.side, self.side])
        shown = functional.to_dtype(functional.pil_to_tensor(cut), torch.float32, scale=True)
        return _normalise(shown)


def _normalise(image: Tensor) -> Tensor:
    return (image - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _random_sized_crop(width: int, height: int, generator: torch.Generator) -> tuple[int, int, int, int]:
    """Top, left, height and width: ten attempts at 8-100% of the area and aspect 3/4-4/3, else the centre square."""
    for _ in range(10):
        area = width * height * _uniform(0.08, 1.0, generator)
        aspect = _uniform(3 / 4, 4 / 3, generator)
        cut_width, cut_height = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if _uniform(0, 1, generator) < 0.5:
            cut_width, cut_height = cut_height, cut_width
        if 0 < cut_width <= width and 0 < cut_height <= height:
            top = int(torch.randint(0, height - cut_height + 1, (), generator=generator))
            left = int(torch.randint(0, width - cut_width + 1, (), generator=generator))
            return top, left, cut_height, cut_width
    side = min(width, height)
    return (height - side) // 2, (width - side) // 2, side, side


def _jitter(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """Changes brightness, contrast and saturation by factors from 1 +- strength, in a random order."""
    changes = (functional.adjust_brightness, functional.adjust_contrast, functional.adjust_saturation)
    for index in torch.randperm(len(changes), generator=generator).tolist():
        image = changes[index](image, _uniform(1 - strength, 1 + strength, generator))
    return image


def _light(image: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """AlexNet's PCA noise: a shift along the colours' principal axes."""
    amount = torch.randn(3, generator=generator) * strength
    return image + (_EIGENVECTORS @ (amount * _EIGENVALUES))[:, None, None]
