"""The networks of the lottery-ticket paper: Lenet-300-100 and Conv-2, Conv-4, Conv-6.

Weights have the Gaussian Glorot initialisation and biases are 0, as in that paper.
"""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn

from dsd_lang.base.errors import DsdError

HIDDEN = (300, 100)
CONV_CHANNELS = (64, 128, 256)
CONV_HIDDEN = (256, 256)


def _glorot(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_normal_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)


def _dense_stack(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers[:-1])


class Lenet300100(nn.Module):
    """Flattened image, 300, 100, classes; 266,610 parameters for 1x28x28 images and 10 classes."""

    def __init__(self, *, classes: int = 10, image_shape: tuple[int, int, int] = (1, 28, 28)) -> None:
        super().__init__()
        self.fc = _dense_stack((math.prod(image_shape), *HIDDEN, classes))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        _glorot(self)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(images.flatten(1))
        return logits


class ConvN(nn.Module):
    """``depth`` (2, 4 or 6) convolutions in pairs of 64, 128, 256 channels with pooling; then 256, 256, classes."""

    def __init__(self, *, depth: int, classes: int = 10, image_shape: tuple[int, int, int] = (3, 32, 32)) -> None:
        super().__init__()
        channels, height, width = image_shape
        pairs = depth // 2
        if min(height, width) >> pairs < 1:
            raise DsdError(
                f"`conv{depth}` halves the image {pairs} times and cannot take {height}x{width} pixels",
                help="use `conv2` or `lenet_300_100`",
            )
        layers: list[nn.Module] = []
        for outputs in CONV_CHANNELS[:pairs]:
            for _ in range(2):
                layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.ReLU(inplace=True)]
                channels = outputs
            layers.append(nn.MaxPool2d(2))
        self.conv = nn.Sequential(*layers)
        self.fc = _dense_stack((channels * (height >> pairs) * (width >> pairs), *CONV_HIDDEN, classes))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        _glorot(self)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.conv(images).flatten(1))
        return logits


def conv2(*, classes: int = 10, image_shape: tuple[int, int, int] = (3, 32, 32)) -> ConvN:
    """Conv-2: 4,301,642 parameters on 3x32x32 images."""
    return ConvN(depth=2, classes=classes, image_shape=image_shape)


def conv4(*, classes: int = 10, image_shape: tuple[int, int, int] = (3, 32, 32)) -> ConvN:
    """Conv-4: 2,425,930 parameters on 3x32x32 images."""
    return ConvN(depth=4, classes=classes, image_shape=image_shape)


def conv6(*, classes: int = 10, image_shape: tuple[int, int, int] = (3, 32, 32)) -> ConvN:
    """Conv-6: 2,262,602 parameters on 3x32x32 images."""
    return ConvN(depth=6, classes=classes, image_shape=image_shape)
