"""Finds weights that a module computes from others: `weight_norm`, `spectral_norm`, torch's parametrizations.

Such a weight is not a parameter. Masking the parameters it is computed from would prune something else: the gains of a
weight norm, or the generators of a rotation. So the inventory lists the computed weight under its own name, with the
function that computes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from dsd_lang.base.computed_weights import NEW_STYLE, STANDARDIZED
from dsd_runtime.engine.named_classes import descends_from

_STANDARDIZED = ("StdConv2d", "StdConv2dSame", "ScaledStdConv2d", "ScaledStdConv2dSame")


@dataclass(frozen=True, slots=True)
class Computed:
    """A computed weight: its name in the module, its shape, what computes it, and its source parameters."""

    name: str
    shape: tuple[int, ...]
    made_by: str
    sources: tuple[nn.Parameter, ...]


def computed_weights(module: nn.Module) -> tuple[Computed, ...]:
    """The weights that a module computes from its own parameters or its parametrizations, without computing them.

    >>> [weight.made_by for weight in computed_weights(nn.utils.parametrizations.weight_norm(nn.Linear(2, 3)))]
    ['parametrizations.weight_norm']
    """
    return (*_parametrized(module), *_hooked(module), *_standardized(module))


def own_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters of a module that are weights themselves, and not sources of a computed one."""
    if isinstance(module, ParametrizationList):
        return {}
    computed = (*_hooked(module), *_standardized(module))
    sources = {id(source) for weight in computed for source in weight.sources}
    own = {name: value for name, value in module._parameters.items() if value is not None}
    return {name: value for name, value in own.items() if id(value) not in sources}


def _parametrized(module: nn.Module) -> list[Computed]:
    lists = getattr(module, "parametrizations", None)
    if not isinstance(lists, nn.ModuleDict):
        return []
    found = []
    for name, parts in lists.items():
        if isinstance(parts, ParametrizationList):
            sources = tuple(value for value in parts._parameters.values() if value is not None)
            made_by = NEW_STYLE + _snake(type(parts[-1]).__name__)
            found.append(Computed(name, _widest(sources), made_by, sources))
    return found


def _hooked(module: nn.Module) -> list[Computed]:
    """The weights of the older `torch.nn.utils.weight_norm`, `spectral_norm` and `prune`, which use a forward hook."""
    found = []
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, WeightNorm):
            name, made_by = hook.name, "weight_norm"
        elif isinstance(hook, SpectralNorm):
            name, made_by = hook.name, "spectral_norm"
        elif isinstance(hook, BasePruningMethod):
            name, made_by = hook._tensor_name, "prune"
        else:
            continue
        parts = [module._parameters.get(f"{name}_{ending}") for ending in ("g", "v", "orig")]
        sources = tuple(part for part in parts if part is not None)
        if sources:
            found.append(Computed(name, _widest(sources), made_by, sources))
    return found


def _standardized(module: nn.Module) -> list[Computed]:
    """The convolutions of timm that subtract a mean from their weight in each forward pass, so zeros do not last."""
    weight = module._parameters.get("weight")
    if weight is None or not descends_from(type(module), "timm", *_STANDARDIZED):
        return []
    return [Computed("weight", tuple(weight.shape), STANDARDIZED, (weight,))]


def _widest(sources: tuple[Tensor, ...]) -> tuple[int, ...]:
    """The shape of the computed weight: that of its largest source parameter."""
    return tuple(max(sources, key=Tensor.numel).shape) if sources else ()


def _snake(name: str) -> str:
    """Converts `_WeightNorm` to `weight_norm`."""
    words = "".join(f" {letter}" if letter.isupper() else letter for letter in name.strip("_"))
    return "_".join(words.lower().split())
