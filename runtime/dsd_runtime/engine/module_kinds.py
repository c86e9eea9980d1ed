"""Determines a module's kind and the input dimension of its weights.

Known are torch's modules and their subclasses, the `Conv1D` of transformers (a linear layer whose weight is [in, out]),
and any module with `in_features`, `out_features` and a `weight` of these two sizes, as in linear layers of other
packages.
"""

from __future__ import annotations

from torch import nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from dsd_runtime.engine.named_classes import descends_from

_KINDS: tuple[tuple[tuple[type[nn.Module], ...], str], ...] = (
    ((nn.MultiheadAttention, nn.modules.linear.NonDynamicallyQuantizableLinear), "attention"),
    ((nn.Linear, nn.Bilinear), "fc"),
    ((_ConvNd,), "conv"),
    ((nn.RNN, nn.RNNCell), "rnn"),
    ((nn.LSTM, nn.LSTMCell), "lstm"),
    ((nn.GRU, nn.GRUCell), "gru"),
    ((nn.Embedding, nn.EmbeddingBag), "embed"),
    ((nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm), "norm"),
)


def inferred_kind(module: nn.Module) -> str:
    """The kind of a module that declares none; `other` if unknown."""
    for types, kind in _KINDS:
        if isinstance(module, types):
            return kind
    return "fc" if _is_conv1d(module) or _linear_input_dim(module) is not None else "other"


def input_axis_of(module: nn.Module, parameter: str) -> tuple[int, int]:
    """The dimension of a weight's inputs, and the number of groups of inputs along it (usually 1).

    A square weight of another package's linear layer is taken as [out, in], as in torch; `dsd_runtime.tag` can override
    it.
    """
    if parameter == "weight" and isinstance(module, _ConvTransposeNd):
        return 0, module.groups
    if parameter == "weight" and (_is_conv1d(module) or _linear_input_dim(module) == 0):
        return 0, 1
    return 1, 1


def output_blocks_of(module: nn.Module, parameter: str) -> int:
    """The number of groups of outputs along dimension 0, each with inputs of its own: the groups of a convolution."""
    if parameter == "weight" and isinstance(module, _ConvNd) and not isinstance(module, _ConvTransposeNd):
        return module.groups
    return 1


def _is_conv1d(module: nn.Module) -> bool:
    """Whether it is the `Conv1D` of transformers (GPT-2), which may not be installed."""
    return descends_from(type(module), "transformers", "Conv1D")


def _linear_input_dim(module: nn.Module) -> int | None:
    """The input dimension of a linear layer that is not an `nn.Linear`; None if it does not look like one."""
    weight = module._parameters.get("weight")
    sizes = (getattr(module, "out_features", None), getattr(module, "in_features", None))
    if weight is None or isinstance(module, nn.Linear):
        return None
    if tuple(weight.shape) == sizes:
        return 1
    return 0 if tuple(weight.shape) == sizes[::-1] else None
