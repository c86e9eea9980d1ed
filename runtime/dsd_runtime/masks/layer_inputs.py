"""The inputs of linear layers and convolutions, while the model computes, as rows of a matrix.

Shape legend: G groups (1 but for grouped convolutions), O outputs of a group, C inputs of a group and kernel position,
R rows: every position of every sample at which the layer computes. A weight is [G, O, C] as a matrix, and its inputs
are [G, R, C]; the columns of a convolution are ordered by kernel position and then by channel, so that the M inputs of
an N:M pattern are neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from dsd_lang.base.errors import DsdError
from dsd_runtime.masks.input_axes import InputAxis
from dsd_runtime.masks.measuring import Measuring

Taker = Callable[[str, Tensor], None]


@contextmanager
def watched_inputs(measuring: Measuring, take: Taker) -> Iterator[None]:
    """Within the block ``take(name, inputs)`` gets [G, R, C] of every weight of ``measuring`` at every use.

    Raises :class:`DsdError` for a weight of another kind of layer, and at the end for a layer that was not called.
    """
    owners = _owners(measuring)
    called: set[str] = set()
    hooks = [module.register_forward_pre_hook(_hook(name, take, called)) for name, module in owners.items()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
    for name in owners:
        if name not in called:
            raise _undefined(measuring.by, name, "is used without a call of its layer, so its inputs are not seen")


def require_inputs(by: str, model: nn.Module, names: Mapping[str, InputAxis]) -> None:
    """Raises :class:`DsdError` naming the first weight of a layer whose inputs are not known (recurrences, ...)."""
    modules = dict(model.named_modules(remove_duplicate=False))
    for name, axis in names.items():
        owner, _, key = name.rpartition(".")
        module = modules[owner]
        if not _is_known(module, key, axis):
            kind = type(module).__name__
            raise _undefined(by, name, f"belongs to a `{kind}`, whose inputs are not those of one linear layer")


def _undefined(by: str, name: str, why: str) -> DsdError:
    help_line = f'leave it out with `except="{name.rpartition(".")[0] or name}"`, or use another score'
    return DsdError(f"`by={by}` ranks weights by the inputs of their layer, and `{name}` {why}", help=help_line)


def _owners(measuring: Measuring) -> dict[str, nn.Module]:
    require_inputs(measuring.by, measuring.model, {name: measuring.axis(name) for name in measuring.weights})
    modules = dict(measuring.model.named_modules(remove_duplicate=False))
    return {name: modules[name.rpartition(".")[0]] for name in measuring.weights}


def _is_known(module: nn.Module, key: str, axis: InputAxis) -> bool:
    if key != "weight" or isinstance(module, _ConvTransposeNd | NonDynamicallyQuantizableLinear):
        return False  # the second is the output of `nn.MultiheadAttention`, which does not call it
    if isinstance(module, _ConvNd):
        return True
    weight, inputs = module.weight, getattr(module, "in_features", getattr(module, "nx", None))  # `nx`: of `Conv1D`
    return isinstance(weight, Tensor) and weight.dim() == 2 and inputs == weight.shape[axis.dim]


def _hook(name: str, take: Taker, called: set[str]) -> Callable[[nn.Module, tuple[Any, ...]], None]:
    def watch(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        called.add(name)
        inputs = arguments[0].detach()
        for rows in _rows(module, inputs):
            take(name, rows)

    return watch


def _rows(module: nn.Module, inputs: Tensor) -> Iterator[Tensor]:
    """The rows of a layer's input: of a convolution sample by sample, since they take much memory."""
    if not isinstance(module, _ConvNd):
        yield inputs.reshape(1, -1, inputs.shape[-1])
        return
    dims = len(module.kernel_size)
    samples = inputs if inputs.dim() == dims + 2 else inputs[None]
    for sample in samples:
        yield patches(module, sample)


def patches(module: _ConvNd, sample: Tensor) -> Tensor:
    """The inputs [G, R, C] of a convolution for one sample [channels, ...]: its patches."""
    dims = len(module.kernel_size)
    sides = module._reversed_padding_repeated_twice
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    found = functional.pad(sample[None], sides, mode=mode)[0]
    for dim, (size, step, gap) in enumerate(zip(module.kernel_size, module.stride, module.dilation, strict=True)):
        found = found.unfold(dim + 1, gap * (size - 1) + 1, step)[..., ::gap]
    groups = module.groups  # [channels, *positions, *kernel]
    found = found.reshape(groups, -1, *found.shape[1:])
    positions, kernel = range(2, 2 + dims), range(2 + dims, 2 + 2 * dims)
    ordered = found.permute(0, *positions, *kernel, 1)
    return ordered.reshape(groups, prod(ordered.shape[1 : 1 + dims]), -1)


def as_matrix(weight: Tensor, axis: InputAxis, groups: int) -> Tensor:
    """A weight as [G, O, C]: a matrix [out, in] or [in, out], or a convolution [out, in / G, ...]."""
    ordered = weight.t() if axis.dim == 0 else weight.movedim(1, -1)
    return ordered.reshape(groups, ordered.shape[0] // groups, -1)


def of_matrix(matrix: Tensor, like: Tensor, axis: InputAxis) -> Tensor:
    """The inverse of :func:`as_matrix`, of the shape of the weight ``like``."""
    if axis.dim == 0:
        return matrix.reshape(like.shape[1], like.shape[0]).t().contiguous()
    shape = (like.shape[0], *like.shape[2:], like.shape[1])
    return matrix.reshape(shape).movedim(-1, 1).contiguous()


def groups_of(measuring: Measuring, name: str) -> int:
    """The groups of a weight's layer."""
    module = measuring.model.get_submodule(name.rpartition(".")[0])
    return module.groups if isinstance(module, _ConvNd) else 1


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Within the block the model is in evaluation mode, and gradients are off; the caller restores the modes."""
    model.eval()
    with torch.no_grad():
        yield
