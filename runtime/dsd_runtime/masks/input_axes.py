"""Where a weight's inputs and outputs lie: usually [out, in]; [in, out] in transposed convolutions and `Conv1D`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dsd_lang.base.layers import LayerInfo


@dataclass(frozen=True, slots=True)
class InputAxis:
    """The dimension of a weight's inputs, which has those of `blocks` separate groups one after the other.

    No output sums over inputs of two blocks, so a pattern must fit each block. The outputs of a grouped convolution lie
    in `output_blocks` groups along dimension 0.
    """

    dim: int = 1
    blocks: int = 1
    output_blocks: int = 1

    @property
    def groups(self) -> int:
        """The groups that lie one after the other along dimension 0, of outputs or of inputs."""
        return self.output_blocks if self.dim else self.blocks


COLUMNS = InputAxis()
"""Linear and recurrent matrices [out, in], and convolutions [out, in / groups, ...]."""


def input_axes(layers: Iterable[LayerInfo]) -> dict[str, InputAxis]:
    """The axis of each weight that is not [out, in, ...], by its qualified name.

    >>> from dsd_lang.base.layers import WeightInfo
    >>> input_axes([LayerInfo("up", "conv", (WeightInfo("up.weight", (8, 2, 3, 3), input_dim=0, input_blocks=2),))])
    {'up.weight': InputAxis(dim=0, blocks=2, output_blocks=1)}
    """
    axes = {
        weight.name: InputAxis(weight.input_dim, weight.input_blocks, weight.output_blocks)
        for layer in layers
        for weight in layer.weights
    }
    return {name: axis for name, axis in axes.items() if axis != COLUMNS}
