"""The input dimension of a model's weights: usually 1, but 0 in transposed convolutions and `Conv1D`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dsd_lang.base.layers import LayerInfo


@dataclass(frozen=True, slots=True)
class InputAxis:
    """The dimension of a weight's inputs, which has those of `blocks` separate groups one after the other.

    No output sums over inputs of two blocks, so a pattern must fit each block.
    """

    dim: int = 1
    blocks: int = 1


COLUMNS = InputAxis()
"""Linear and recurrent matrices [out, in], and convolutions [out, in / groups, ...]."""


def input_axes(layers: Iterable[LayerInfo]) -> dict[str, InputAxis]:
    """The axis of each weight that is not [out, in, ...], by its qualified name.

    >>> from dsd_lang.base.layers import WeightInfo
    >>> input_axes([LayerInfo("up", "conv", (WeightInfo("up.weight", (8, 2, 3, 3), input_dim=0, input_blocks=2),))])
    {'up.weight': InputAxis(dim=0, blocks=2)}
    """
    axes = {
        weight.name: InputAxis(weight.input_dim, weight.input_blocks) for layer in layers for weight in layer.weights
    }
    return {name: axis for name, axis in axes.items() if axis != COLUMNS}
