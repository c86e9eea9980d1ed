"""The layers of the built-in models by their options, without torch: the linter resolves selectors on them.

Each function returns what ``dsd_runtime.engine.layers.inventory`` returns for the built model; a test compares them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

from dsd_lang.base.layers import LayerInfo, WeightInfo, with_inferred_roles

Options = Mapping[str, object]
Inventory = tuple[LayerInfo, ...]

# block, input channels, widths: 1x1, 3x3 reduction, 3x3, 5x5 reduction, 5x5, pooled projection
GOOGLENET_BLOCKS = (
    ("3a", 192, (64, 96, 128, 16, 32, 32)),
    ("3b", 256, (128, 128, 192, 32, 96, 64)),
    ("4a", 480, (192, 96, 208, 16, 48, 64)),
    ("4b", 512, (160, 112, 224, 24, 64, 64)),
    ("4c", 512, (128, 128, 256, 24, 64, 64)),
    ("4d", 512, (112, 144, 288, 32, 64, 64)),
    ("4e", 528, (256, 160, 320, 32, 128, 128)),
    ("5a", 832, (256, 160, 320, 32, 128, 128)),
    ("5b", 832, (384, 192, 384, 48, 128, 128)),
)


def _number(options: Options, name: str) -> int:
    value = options[name]
    assert isinstance(value, int)
    return value


def _layer(name: str, kind: str, *shapes: tuple[str, tuple[int, ...]]) -> LayerInfo:
    return LayerInfo(name, kind, tuple(WeightInfo(f"{name}.{key}", shape) for key, shape in shapes))


def _fc(name: str, inputs: int, outputs: int, *, bias: bool = True) -> LayerInfo:
    weight = ("weight", (outputs, inputs))
    return _layer(name, "fc", weight, ("bias", (outputs,))) if bias else _layer(name, "fc", weight)


def _conv(name: str, inputs: int, outputs: int, *kernel: int, bias: bool = True) -> LayerInfo:
    weight = ("weight", (outputs, inputs, *kernel))
    return _layer(name, "conv", weight, ("bias", (outputs,))) if bias else _layer(name, "conv", weight)


def _norm(name: str, width: int) -> LayerInfo:
    return _layer(name, "norm", ("weight", (width,)), ("bias", (width,)))


def _ctc(name: str, inputs: int, symbols: int) -> LayerInfo:
    return LayerInfo(name, "ctc", _fc(name, inputs, symbols).weights, roles=("output",))


def _birnn(name: str, inputs: int, hidden: int, *, batch_norm: bool) -> list[LayerInfo]:
    parts: tuple[tuple[str, int, Literal["ih", "hh"]], ...] = (
        ("weight_ih", inputs, "ih"),
        ("weight_hh_forward", hidden, "hh"),
        ("weight_hh_backward", hidden, "hh"),
    )
    weights = [WeightInfo(f"{name}.{key}", (hidden, width), part) for key, width, part in parts]
    if not batch_norm:
        weights.append(WeightInfo(f"{name}.bias", (hidden,)))
    layer = LayerInfo(name, "rnn", tuple(weights), bidirectional=True)
    return [layer, _norm(f"{name}.norm", hidden)] if batch_norm else [layer]


def deep_speech_1(options: Options) -> Inventory:
    """`ds1`."""
    features, hidden, symbols = (_number(options, name) for name in ("features", "hidden", "symbols"))
    return with_inferred_roles(
        [
            _conv("conv", features, hidden, 11),
            _fc("fc1", hidden, hidden),
            _fc("fc2", hidden, hidden),
            *_birnn("birnn3", hidden, hidden, batch_norm=False),
            _fc("fc4", hidden, hidden),
            _ctc("ctc", hidden, symbols),
        ]
    )


def deep_speech_2(options: Options) -> Inventory:
    """`ds2`."""
    features, hidden, layers, channels, symbols = (
        _number(options, name) for name in ("features", "hidden", "layers", "channels", "symbols")
    )
    bins = (features + 1) // 2
    last_bins = (bins + 1) // 2
    recurrent: list[LayerInfo] = []
    for index in range(layers):
        inputs = hidden if index else last_bins * channels
        recurrent += _birnn(f"birnn.{index}", inputs, hidden, batch_norm=True)
    return with_inferred_roles(
        [
            _conv("conv0", 1, channels, 41, 11, bias=False),
            _norm("norm0", bins * channels),
            _conv("conv1", channels, channels, 21, 11, bias=False),
            _norm("norm1", last_bins * channels),
            *recurrent,
            _fc("fc", hidden, hidden, bias=False),
            _norm("norm", hidden),
            _ctc("ctc", hidden, symbols),
        ]
    )


def neural_talk(options: Options) -> Inventory:
    """`neuraltalk`."""
    features, hidden, vocabulary = (_number(options, name) for name in ("features", "hidden", "vocabulary"))
    return with_inferred_roles(
        [
            _fc("We", features, hidden),
            _layer("Ws", "embed", ("weight", (vocabulary, hidden))),
            _layer("WLSTM", "lstm", ("weight", (4 * hidden, 2 * hidden)), ("bias", (4 * hidden,))),
            _fc("Wd", hidden, vocabulary),
        ]
    )


def bvlc_googlenet(options: Options) -> Inventory:
    """`googlenet` at 224x224."""
    classes = _number(options, "classes")
    layers = [
        _conv("stem.conv1.conv", 3, 64, 7, 7),
        _conv("stem.conv2_reduce.conv", 64, 64, 1, 1),
        _conv("stem.conv2.conv", 64, 192, 3, 3),
    ]
    for name, inputs, (one, reduce3, three, reduce5, five, pooled) in GOOGLENET_BLOCKS:
        layers += [
            _conv(f"inception_{name}.branch1.conv", inputs, one, 1, 1),
            _conv(f"inception_{name}.branch3.0.conv", inputs, reduce3, 1, 1),
            _conv(f"inception_{name}.branch3.1.conv", reduce3, three, 3, 3),
            _conv(f"inception_{name}.branch5.0.conv", inputs, reduce5, 1, 1),
            _conv(f"inception_{name}.branch5.1.conv", reduce5, five, 5, 5),
            _conv(f"inception_{name}.branch_pool.1.conv", inputs, pooled, 1, 1),
        ]
    for head, inputs in (("aux1", 512), ("aux2", 528)):
        layers += [
            _conv(f"{head}.conv", inputs, 128, 1, 1),
            _fc(f"{head}.fc", 2048, 1024),
            _fc(f"{head}.output", 1024, classes),
        ]
    return with_inferred_roles([*layers, _fc("fc", 1024, classes)])


def resnet20(options: Options) -> Inventory:
    """`resnet20`."""
    width, classes, channels = (_number(options, name) for name in ("width", "classes", "channels"))
    layers = [_conv("conv1", channels, width, 3, 3, bias=False), _norm("bn1", width)]
    widths = [width, *(width << group for group in range(3) for _ in range(3))]
    for index, (inputs, outputs) in enumerate(pairwise(widths)):
        layers += [
            _conv(f"blocks.{index}.conv1", inputs, outputs, 3, 3, bias=False),
            _norm(f"blocks.{index}.bn1", outputs),
            _conv(f"blocks.{index}.conv2", outputs, outputs, 3, 3, bias=False),
            _norm(f"blocks.{index}.bn2", outputs),
        ]
    return with_inferred_roles([*layers, _fc("fc", widths[-1], classes)])


def lenet_300_100(options: Options) -> Inventory:
    """`lenet_300_100` on 1x28x28 images."""
    widths = (math.prod((1, 28, 28)), 300, 100, _number(options, "classes"))
    return with_inferred_roles([_fc(f"fc.{2 * index}", *pair) for index, pair in enumerate(pairwise(widths))])


def _conv_n(depth: int, options: Options) -> Inventory:
    layers: list[LayerInfo] = []
    channels, position = 3, 0
    for outputs in (64, 128, 256)[: depth // 2]:
        for _ in range(2):
            layers.append(_conv(f"conv.{position}", channels, outputs, 3, 3))
            channels, position = outputs, position + 2
        position += 1
    side = 32 >> (depth // 2)
    widths = (channels * side * side, 256, 256, _number(options, "classes"))
    layers += [_fc(f"fc.{2 * index}", *pair) for index, pair in enumerate(pairwise(widths))]
    return with_inferred_roles(layers)


def conv2(options: Options) -> Inventory:
    """`conv2` on 3x32x32 images."""
    return _conv_n(2, options)


def conv4(options: Options) -> Inventory:
    """`conv4` on 3x32x32 images."""
    return _conv_n(4, options)


def conv6(options: Options) -> Inventory:
    """`conv6` on 3x32x32 images."""
    return _conv_n(6, options)


def vgg16(options: Options) -> Inventory:
    """`vgg16`, with torchvision's names."""
    layers: list[LayerInfo] = []
    channels, position = _number(options, "channels"), 0
    for outputs, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(repeats):
            layers.append(_conv(f"features.{position}", channels, outputs, 3, 3))
            channels, position = outputs, position + 2
        position += 1
    widths = (512 * 7 * 7, 4096, 4096, _number(options, "classes"))
    layers += [_fc(f"classifier.{3 * index}", *pair) for index, pair in enumerate(pairwise(widths))]
    return with_inferred_roles(layers)


def _residual_block(name: str, inputs: int, width: int, outputs: int, *, downsample: bool) -> list[LayerInfo]:
    if outputs == width:
        convolutions = [(inputs, width, 3), (width, outputs, 3)]
    else:
        convolutions = [(inputs, width, 1), (width, width, 3), (width, outputs, 1)]
    layers: list[LayerInfo] = []
    for index, (before, after, kernel) in enumerate(convolutions, start=1):
        layers += [
            _conv(f"{name}.conv{index}", before, after, kernel, kernel, bias=False),
            _norm(f"{name}.bn{index}", after),
        ]
    if downsample:
        layers += [
            _conv(f"{name}.downsample.0", inputs, outputs, 1, 1, bias=False),
            _norm(f"{name}.downsample.1", outputs),
        ]
    return layers


def _resnet(depths: tuple[int, ...], expansion: int, options: Options) -> Inventory:
    layers = [_conv("conv1", _number(options, "channels"), 64, 7, 7, bias=False), _norm("bn1", 64)]
    channels = 64
    for group, depth in enumerate(depths):
        width = 64 << group
        outputs = width * expansion
        for index in range(depth):
            name = f"layer{group + 1}.{index}"
            downsample = index == 0 and (group > 0 or channels != outputs)
            layers += _residual_block(name, channels, width, outputs, downsample=downsample)
            channels = outputs
    return with_inferred_roles([*layers, _fc("fc", channels, _number(options, "classes"))])


def resnet18(options: Options) -> Inventory:
    """`resnet18`, with torchvision's names."""
    return _resnet((2, 2, 2, 2), 1, options)


def resnet50(options: Options) -> Inventory:
    """`resnet50`, with torchvision's names."""
    return _resnet((3, 4, 6, 3), 4, options)
