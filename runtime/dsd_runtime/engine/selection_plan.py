"""Resolves a phase's selectors and target on a model: which parameters are pruned, and how much of each.

Every selector must match something; otherwise the error lists the layers of the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dsd_lang.base.computed_weights import refusal
from dsd_lang.base.errors import DsdError, nearest
from dsd_lang.base.layers import LayerInfo, Selector, describe_inventory, why_nothing
from dsd_lang.base.units import exact
from dsd_lang.plan import Phase
from dsd_lang.plan import Target as PlanTarget
from dsd_lang.plan.division import divide, groups_of
from dsd_lang.plan.fitting import unreachable_items
from dsd_runtime.engine.stages import Stage
from dsd_runtime.masks.targets import Current, Held, NofM, PerSelector, Pruned, Ramp, Remaining, Target

_DEFAULT_EVERY_UPDATES = 100


@dataclass(frozen=True, slots=True)
class Selection:
    """The parameters that a sparse phase prunes, by name in the model's order, with their index in a list target.

    ``groups`` has the group of each, for `scope=group`.
    """

    names: tuple[str, ...]
    assignment: dict[str, int]
    groups: dict[str, str]


def unmatched(selector: Selector, layers: Sequence[LayerInfo]) -> DsdError:
    """The error (DSD201) for a selector that selects nothing in the model."""
    frozen = why_nothing(selector, layers)
    if frozen is not None:
        return DsdError(f"DSD201: {frozen[0]}", help=frozen[1])
    names = [] if selector.form == "word" else [layer.name for layer in layers]  # words are checked by the compiler
    guess = nearest(selector.text, names)
    hint = f"did you mean `{guess}`? " if guess and guess != selector.text else ""
    return DsdError(
        f"DSD201: no layer matches `{selector}`", help=f"{hint}this model has: {describe_inventory(layers)}"
    )


def select_weights(phase: Phase, layers: Sequence[LayerInfo]) -> Selection:
    """Resolves the selectors of a sparse phase; raises :class:`DsdError` (DSD201) for one that matches nothing."""
    items = phase.target.items if phase.target is not None and phase.target.kind == "list" else ()
    selectors = tuple(item.selector for item in items)
    division = divide(phase.layers, phase.except_, selectors, layers)
    for selector in division.missing:
        raise unmatched(selector, layers)
    for misfit in unreachable_items(phase.layers, phase.except_, selectors, layers):
        raise DsdError(f"{misfit.code}: {misfit.message}", help=misfit.help)
    chosen = {weight.name: part.item for part in division.parts for weight in part.weights}
    if not chosen:
        raise DsdError(
            f"DSD201: phase `{phase.label or phase.id}` prunes nothing: every layer it selects is excluded",
            help=f"this model has: {describe_inventory(layers)}",
        )
    refused = refusal([weight for part in division.parts for weight in part.weights])
    if refused is not None:
        raise DsdError(refused[0], help=refused[1])
    names = tuple(weight.name for layer in layers for weight in layer.weights if weight.name in chosen)
    groups: dict[str, str] = {}
    for part in division.parts if phase.scope == "group" else ():
        groups |= groups_of(phase.layers if part.item is None else (selectors[part.item],), part.weights, layers)
    return Selection(names, {name: item for name in names if (item := chosen[name]) is not None}, groups)


def runtime_target(target: PlanTarget, updates_per_epoch: int) -> Target:
    """The plan's target in the form of the mask code; lengths become updates."""
    if target.kind == "fraction":
        return Pruned(exact(target.pruned or "0"))
    if target.kind == "remaining":
        return Remaining(exact(target.pruned or "0"))
    if target.kind == "nm":
        return NofM(int(target.n or 0), int(target.m or 0))
    if target.kind == "held":
        return Held()
    if target.kind == "current":
        return Current()
    if target.kind == "ramp":
        every = target.every.length.updates(updates_per_epoch) if target.every else _DEFAULT_EVERY_UPDATES
        return Ramp(exact(target.start or "0"), exact(target.end or "0"), target.shape or "cubic", every)
    parts = tuple(runtime_target(item.target, updates_per_epoch) for item in target.items)
    assert all(not isinstance(part, PerSelector) for part in parts)
    return PerSelector(parts)  # type: ignore[arg-type]


def target_of(stage: Stage) -> tuple[Target | None, tuple[Ramp, ...]]:
    """A stage's target in the form of the mask code, and its ramps."""
    if stage.phase.mode == "dense" or stage.phase.target is None:
        return None, ()
    target = runtime_target(stage.phase.target, stage.updates_per_epoch)
    parts = target.targets if isinstance(target, PerSelector) else (target,)
    return target, tuple(part for part in parts if isinstance(part, Ramp))


def require_zeros(phase: Phase, sizes: Mapping[str, int], alive: Mapping[str, int]) -> None:
    """Raises :class:`DsdError` if `masks=current` finds no zero among the selected weights."""
    if sum(sizes.values()) == sum(alive.values()):
        raise DsdError(
            f"phase `{phase.label or phase.id}` has `masks=current`, and none of the {sum(sizes.values()):,} selected "
            "weights is 0",
            help='load the pruned weights before `attach()`, or write `from="pruned.safetensors"` on the phase',
        )
