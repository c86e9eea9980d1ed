"""A model in, where the inputs of its weights lie out: dim 1, but dim 0 in transposed convolutions."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from torch.nn.modules.conv import _ConvTransposeNd


@dataclass(frozen=True, slots=True)
class InputAxis:
    """The dimension of a weight that its inputs lie along, which holds those of `blocks` separate groups in turn.

    No output sums over inputs of two blocks, so a pattern must fit each block by itself.
    """

    dim: int = 1
    blocks: int = 1


COLUMNS = InputAxis()
"""Linear and recurrent matrices [out, in], and convolutions [out, in / groups, ...]."""


def input_axes(model: nn.Module) -> dict[str, InputAxis]:
    """The axis of each weight that is not [out, in, ...], by its qualified name: those of transposed convolutions.

    `nn.ConvTranspose1d`, `2d` and `3d` have weights [in, out / groups, ...], the groups one after another along dim 0.

    >>> input_axes(nn.Sequential(nn.Linear(4, 8), nn.ConvTranspose2d(8, 4, 3, groups=2)))
    {'1.weight': InputAxis(dim=0, blocks=2)}
    """
    return {
        f"{name}.weight" if name else "weight": InputAxis(dim=0, blocks=module.groups)
        for name, module in model.named_modules(remove_duplicate=False)
        if isinstance(module, _ConvTransposeNd)
    }
