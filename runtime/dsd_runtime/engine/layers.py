"""Lists a model's layers with their kinds, roles and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from torch import nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from dsd_lang.base.errors import DsdError
from dsd_lang.base.layers import RECURRENT_KINDS, LayerInfo, WeightInfo, with_inferred_roles
from dsd_runtime.engine.module_kinds import inferred_kind, input_axis_of, output_blocks_of
from dsd_runtime.engine.optimizer_state import parameters_of
from dsd_runtime.engine.parametrizations import computed_weights, own_parameters
from dsd_runtime.masks.store import memory_of

TAG_ATTRIBUTE = "_dsd_tag"


@dataclass(frozen=True, slots=True)
class LayerTag:
    """What a module declares about itself; None keeps the inferred value."""

    kind: str | None = None
    roles: tuple[str, ...] = ()
    bidirectional: bool | None = None
    parts: Mapping[str, Literal["ih", "hh"]] = field(default_factory=dict)
    input_dim: int | None = None


def tag(
    module: nn.Module,
    *,
    kind: str | None = None,
    role: str | None = None,
    bidirectional: bool | None = None,
    parts: Mapping[str, Literal["ih", "hh"]] | None = None,
    input_dim: int | None = None,
) -> nn.Module:
    """Declares a module's kind or role if it cannot be inferred, and returns the module.

    ``parts`` maps the module's own parameter names to `ih` or `hh`, for selectors such as `birnn.hh`. ``input_dim`` is
    the dimension of the inputs of its weights, for `N:M` and `unit=`: 1 by default, 0 for a weight that is [in, out].
    """
    roles = (role,) if role else ()
    setattr(module, TAG_ATTRIBUTE, LayerTag(kind, roles, bidirectional, dict(parts or {}), input_dim))
    return module


def _recurrent_part(parameter: str) -> Literal["ih", "hh"] | None:
    if parameter.startswith("weight_ih"):
        return "ih"
    return "hh" if parameter.startswith(("weight_hh", "weight_hr")) else None


def inventory(model: nn.Module, optimizer: Optimizer | None = None) -> tuple[LayerInfo, ...]:
    """Every module of a model that has weights, in the model's order, with inferred or declared kinds and roles.

    A weight tied to two owners is listed under both, the second time with the first one's name
    (``tied_to``). A weight without `requires_grad`, or in no group of the optimizer, is not trainable. Raises
    :class:`DsdError` for lazy modules whose weights do not exist yet.
    """
    named = dict(model.named_parameters(remove_duplicate=False))
    _require_initialised(named)
    marks = _marks(named, optimizer)
    layers = []
    for name, module in model.named_modules(remove_duplicate=False):
        weights = (*_own_weights(name, module, marks), *_computed(name, module, marks))
        if weights:
            layers.append(_layer(name, module, weights))
    return with_inferred_roles(layers)


def parameters_by_weight(model: nn.Module) -> dict[str, tuple[nn.Parameter, ...]]:
    """The parameters of each weight of the inventory: itself, or those that a computed weight is made of."""
    found: dict[str, tuple[nn.Parameter, ...]] = {}
    found |= {name: (parameter,) for name, parameter in model.named_parameters(remove_duplicate=False)}
    for name, module in model.named_modules(remove_duplicate=False):
        found |= {_joined(name, weight.name): weight.sources for weight in computed_weights(module)}
    return found


@dataclass(frozen=True, slots=True)
class _Marks:
    """Properties of a parameter that depend on all others: the first name of its memory, and if it is trained."""

    first_names: Mapping[tuple[object, ...], str]
    trained: frozenset[tuple[object, ...]]


def _marks(named: Mapping[str, nn.Parameter], optimizer: Optimizer | None) -> _Marks:
    first_names: dict[tuple[object, ...], str] = {}
    for name, parameter in named.items():
        first_names.setdefault(memory_of(parameter), name)
    owned = named.values() if optimizer is None else parameters_of(optimizer)
    trained = frozenset(memory_of(parameter) for parameter in owned if parameter.requires_grad)
    return _Marks(first_names, trained)


def _require_initialised(named: Mapping[str, nn.Parameter]) -> None:
    for name, parameter in named.items():
        if is_lazy(parameter):
            raise DsdError(
                f"`{name}` has no shape yet: it belongs to a lazy module that has not seen a batch",
                help="run one batch through the model first, then make the optimizer",
            )


def _tag_of(module: nn.Module) -> LayerTag:
    declared = getattr(module, TAG_ATTRIBUTE, None)
    return declared if isinstance(declared, LayerTag) else LayerTag()


def _kind_of(module: nn.Module) -> str:
    return _tag_of(module).kind or inferred_kind(module)


def _layer(name: str, module: nn.Module, weights: tuple[WeightInfo, ...]) -> LayerInfo:
    declared, kind = _tag_of(module), _kind_of(module)
    bidirectional = declared.bidirectional
    if bidirectional is None:
        bidirectional = kind in RECURRENT_KINDS and bool(getattr(module, "bidirectional", False))
    return LayerInfo(name, kind, weights, bidirectional, declared.roles)


def _own_weights(name: str, module: nn.Module, marks: _Marks) -> tuple[WeightInfo, ...]:
    found = []
    for key, value in own_parameters(module).items():
        full_name, memory = _joined(name, key), memory_of(value)
        first = marks.first_names.get(memory, full_name)
        info = _info(full_name, key, tuple(value.shape), module, is_trainable=memory in marks.trained)
        found.append(replace(info, tied_to=first if first != full_name else None))
    return tuple(found)


def _computed(name: str, module: nn.Module, marks: _Marks) -> tuple[WeightInfo, ...]:
    found = []
    for weight in computed_weights(module):
        is_trainable = any(memory_of(source) in marks.trained for source in weight.sources)
        info = _info(_joined(name, weight.name), weight.name, weight.shape, module, is_trainable=is_trainable)
        found.append(replace(info, made_by=weight.made_by))
    return tuple(found)


def _info(name: str, key: str, shape: tuple[int, ...], module: nn.Module, *, is_trainable: bool) -> WeightInfo:
    declared = _tag_of(module)
    part = declared.parts.get(key) or (_recurrent_part(key) if _kind_of(module) in RECURRENT_KINDS else None)
    dim, blocks = input_axis_of(module, key)
    if declared.input_dim is not None and declared.input_dim < len(shape) >= 2:
        dim, blocks = declared.input_dim, 1
    outputs = output_blocks_of(module, key) if dim else 1
    return WeightInfo(name, shape, part, is_trainable, input_dim=dim, input_blocks=blocks, output_blocks=outputs)


def _joined(owner: str, key: str) -> str:
    return f"{owner}.{key}" if owner else key
