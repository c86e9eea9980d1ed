"""ResNet-20 for CIFAR-10 with parameter-free (type-A) shortcuts.

As in fb.resnet.torch: 3x3 convolution, three groups of three basic blocks of 16, 32 and 64 channels, global average,
classifier; a shortcut that changes size takes every second pixel and appends zero channels. 269,722 parameters.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

BLOCKS_PER_GROUP = 3


def _conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, added to the (subsampled, zero-extended) input."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _conv3x3(inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = _conv3x3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU(inplace=True)
        self.stride, self.extra_channels = stride, outputs - inputs

    def forward(self, images: Tensor) -> Tensor:
        shortcut = images
        if self.stride != 1 or self.extra_channels:
            shortcut = functional.pad(
                images[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra_channels)
            )
        values = self.relu1(self.bn1(self.conv1(images)))
        summed: Tensor = self.relu2(self.bn2(self.conv2(values)) + shortcut)
        return summed


class ResNet20(nn.Module):
    """``model(images [N, C, H, W]) -> logits [N, classes]`` for images of any size."""

    def __init__(self, *, width: int = 16, classes: int = 10, channels: int = 3) -> None:
        super().__init__()
        self.conv1 = _conv3x3(channels, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        blocks: list[BasicBlock] = []
        inputs = width
        for group in range(3):
            for block in range(BLOCKS_PER_GROUP):
                outputs = width << group
                blocks.append(BasicBlock(inputs, outputs, 2 if group and not block else 1))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.fc = nn.Linear(inputs, classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Convolutions N(0, 2 / (9 * outputs)); batch norm 1 and 0; the classifier PyTorch's own with bias 0."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, 0.0, math.sqrt(2 / (9 * module.out_channels)))
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
        self.fc.reset_parameters()
        nn.init.zeros_(self.fc.bias)

    def forward(self, images: Tensor) -> Tensor:
        values = self.blocks(self.relu(self.bn1(self.conv1(images))))
        logits: Tensor = self.fc(values.mean(dim=(2, 3)))
        return logits
