"""The BVLC GoogLeNet of the paper (Caffe's model zoo), which differs from torchvision's.

No batch norm; biases; local response normalisation; real 5x5 branches; pooling in ceil mode; two auxiliary heads with
loss weight 0.3 each, which training mode returns beside the logits: ``(logits, aux1, aux2)``.
57 convolutions and 2 in the heads, 13,378,280 parameters at 1000 classes.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from dsd_lang.base.errors import DsdError
from dsd_runtime.models.inventories import GOOGLENET_BLOCKS

INCEPTION_BLOCKS = {name: widths for name, _, widths in GOOGLENET_BLOCKS}
AUXILIARY_WEIGHT = 0.3
SMALLEST_SIDE = 80


def _conv(inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding)
    return nn.Sequential(OrderedDict(conv=conv, relu=nn.ReLU(inplace=True)))


def _halving_pool() -> nn.MaxPool2d:
    return nn.MaxPool2d(3, 2, ceil_mode=True)


class Inception(nn.Module):
    """Four parallel branches, concatenated over channels."""

    def __init__(self, inputs: int, widths: tuple[int, int, int, int, int, int]) -> None:
        super().__init__()
        one, reduce3, three, reduce5, five, pooled = widths
        self.branch1 = _conv(inputs, one, 1)
        self.branch3 = nn.Sequential(_conv(inputs, reduce3, 1), _conv(reduce3, three, 3, padding=1))
        self.branch5 = nn.Sequential(_conv(inputs, reduce5, 1), _conv(reduce5, five, 5, padding=2))
        self.branch_pool = nn.Sequential(nn.MaxPool2d(3, 1, 1, ceil_mode=True), _conv(inputs, pooled, 1))
        self.outputs = one + three + five + pooled

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([branch(images) for branch in self.children()], dim=1)


def _auxiliary_head(inputs: int, side: int, classes: int) -> nn.Sequential:
    pooled_side = -(-(side - 5) // 3) + 1
    return nn.Sequential(
        OrderedDict(
            pool=nn.AvgPool2d(5, 3, ceil_mode=True),
            conv=nn.Conv2d(inputs, 128, 1),
            relu1=nn.ReLU(inplace=True),
            flatten=nn.Flatten(),
            fc=nn.Linear(128 * pooled_side * pooled_side, 1024),
            relu2=nn.ReLU(inplace=True),
            dropout=nn.Dropout(0.7),
            output=nn.Linear(1024, classes),
        )
    )


def _side_of_block4(side: int) -> int:
    side = (side - 1) // 2 + 1
    for _ in range(3):
        side = -(-(side - 3) // 2) + 1
    return side


class GoogLeNet(nn.Module):
    """``model(images [N, C, S, S])``: logits [N, classes]; in training mode with the two auxiliary heads' logits."""

    aux_weights = (AUXILIARY_WEIGHT, AUXILIARY_WEIGHT)

    def __init__(self, *, classes: int = 1000, image_shape: tuple[int, int, int] = (3, 224, 224)) -> None:
        super().__init__()
        channels, height, width = image_shape
        if height != width or height < SMALLEST_SIDE:
            raise DsdError(
                f"`googlenet` takes square images of {SMALLEST_SIDE} pixels or more on a side, not {height}x{width}",
                help="use `resnet20` for small images, or data with larger ones",
            )
        self.stem = nn.Sequential(
            OrderedDict(
                conv1=_conv(channels, 64, 7, stride=2, padding=3),
                pool1=_halving_pool(),
                norm1=nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0),
                conv2_reduce=_conv(64, 64, 1),
                conv2=_conv(64, 192, 3, padding=1),
                norm2=nn.LocalResponseNorm(5, 1e-4, 0.75, 1.0),
                pool2=_halving_pool(),
            )
        )
        inputs = 192
        for name, widths in INCEPTION_BLOCKS.items():
            block = Inception(inputs, widths)
            self.add_module(f"inception_{name}", block)
            inputs = block.outputs
        side = _side_of_block4(height)
        self.aux1 = _auxiliary_head(sum(INCEPTION_BLOCKS["4a"][i] for i in (0, 2, 4, 5)), side, classes)
        self.aux2 = _auxiliary_head(sum(INCEPTION_BLOCKS["4d"][i] for i in (0, 2, 4, 5)), side, classes)
        self.pool3, self.pool4 = _halving_pool(), _halving_pool()
        self.dropout = nn.Dropout(0.4)
        self.fc = nn.Linear(inputs, classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Caffe's `xavier` filler (uniform, variance 1 / fan-in); biases 0.2, the classifiers' 0."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                bound = (3 / module.weight[0].numel()) ** 0.5
                nn.init.uniform_(module.weight, -bound, bound)
                assert module.bias is not None
                nn.init.constant_(module.bias, 0.2)
        for classifier in (self.fc, self.aux1.output, self.aux2.output):
            assert isinstance(classifier, nn.Linear)
            nn.init.zeros_(classifier.bias)

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        values = self.stem(images)
        auxiliary: list[Tensor] = []
        for name in INCEPTION_BLOCKS:
            values = self.get_submodule(f"inception_{name}")(values)
            if name == "3b":
                values = self.pool3(values)
            elif name == "4e":
                values = self.pool4(values)
            elif self.training and name == "4a":
                auxiliary.append(self.aux1(values))
            elif self.training and name == "4d":
                auxiliary.append(self.aux2(values))
        logits: Tensor = self.fc(self.dropout(values.mean(dim=(2, 3))))
        return (logits, auxiliary[0], auxiliary[1]) if self.training else logits
