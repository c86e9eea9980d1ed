"""Modules in, layers out: the kind, the roles and the parameters of everything in a model that owns weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from dsd_lang.base.layers import RECURRENT_KINDS, LayerInfo, WeightInfo, with_inferred_roles

TAG_ATTRIBUTE = "_dsd_tag"


@dataclass(frozen=True, slots=True)
class LayerTag:
    """What a module declares of itself; None leaves the inferred value."""

    kind: str | None = None
    roles: tuple[str, ...] = ()
    bidirectional: bool | None = None
    parts: Mapping[str, Literal["ih", "hh"]] = field(default_factory=dict)


def tag(
    module: nn.Module,
    *,
    kind: str | None = None,
    role: str | None = None,
    bidirectional: bool | None = None,
    parts: Mapping[str, Literal["ih", "hh"]] | None = None,
) -> nn.Module:
    """Declares a module's kind or role where inference cannot know it, and returns the module.

    ``parts`` maps the module's own parameter names to `ih` or `hh`, so that `birnn.hh` can narrow to them.
    """
    roles = (role,) if role else ()
    setattr(module, TAG_ATTRIBUTE, LayerTag(kind, roles, bidirectional, dict(parts or {})))
    return module


_KINDS: tuple[tuple[tuple[type[nn.Module], ...], str], ...] = (
    ((nn.MultiheadAttention, nn.modules.linear.NonDynamicallyQuantizableLinear), "attention"),
    ((nn.Linear, nn.Bilinear), "fc"),
    ((nn.modules.conv._ConvNd,), "conv"),
    ((nn.RNN, nn.RNNCell), "rnn"),
    ((nn.LSTM, nn.LSTMCell), "lstm"),
    ((nn.GRU, nn.GRUCell), "gru"),
    ((nn.Embedding, nn.EmbeddingBag), "embed"),
    (
        (
            nn.modules.batchnorm._NormBase,
            nn.LayerNorm,
            nn.GroupNorm,
            nn.RMSNorm,
        ),
        "norm",
    ),
)


def _inferred_kind(module: nn.Module) -> str:
    for types, kind in _KINDS:
        if isinstance(module, types):
            return kind
    return "other"


def _recurrent_part(parameter: str) -> Literal["ih", "hh"] | None:
    if parameter.startswith("weight_ih"):
        return "ih"
    return "hh" if parameter.startswith(("weight_hh", "weight_hr")) else None


def _num_inputs(module: nn.Module, parameter: str) -> int | None:
    """The inputs of each output where they are not dim 1: in transposed convolutions [in, out / groups, ...]."""
    if parameter == "weight" and isinstance(module, nn.modules.conv._ConvTransposeNd):
        return module.in_channels // module.groups
    return None


def _layer(name: str, module: nn.Module, own: dict[str, nn.Parameter]) -> LayerInfo:
    declared = getattr(module, TAG_ATTRIBUTE, None) or LayerTag()
    kind = declared.kind or _inferred_kind(module)
    bidirectional = declared.bidirectional
    if bidirectional is None:
        bidirectional = kind in RECURRENT_KINDS and bool(getattr(module, "bidirectional", False))
    weights = tuple(
        WeightInfo(
            f"{name}.{parameter}" if name else parameter,
            tuple(value.shape),
            declared.parts.get(parameter) or (_recurrent_part(parameter) if kind in RECURRENT_KINDS else None),
            _num_inputs(module, parameter),
        )
        for parameter, value in own.items()
    )
    return LayerInfo(name, kind, weights, bidirectional, declared.roles)


def inventory(model: nn.Module) -> tuple[LayerInfo, ...]:
    """Every parameter-owning module of a model, in the model's order, with kinds and roles inferred or as tagged.

    A parameter tied to two owners stands under both; which weights are one is the session's business.
    """
    layers = []
    for name, module in model.named_modules(remove_duplicate=False):
        own = {key: value for key, value in module._parameters.items() if value is not None}
        if own:
            layers.append(_layer(name, module, own))
    return with_inferred_roles(layers)
