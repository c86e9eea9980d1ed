"""Counts exactly the layers and weights of a model that each phase selects and prunes.

The rules are in section 3 of the language reference: `N - round_half_even(s N)` weights of a tensor (with
`scope=global`, of all selected tensors together) are kept. Counts that depend on the weights' values are unknown before
training: how a global selection is distributed over its tensors, and so what a later phase finds in one of them; and
how many weights units of different sizes have. A tied weight is counted once. unit_counts.py counts units and rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from dsd_lang.base.layers import LayerInfo, WeightInfo
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.units import exact
from dsd_lang.plan import Phase, Plan, Target
from dsd_lang.plan.cost import Densities
from dsd_lang.plan.division import Share, divide, groups_of
from dsd_lang.plan.fitting import misfitting
from dsd_lang.plan.ramps import ramp_mean
from dsd_lang.plan.unit_counts import Rule, Standing, count_kept
from dsd_lang.plan.weight_units import Unit

Alive = int | None


class PhaseCounts(NamedTuple):
    """One phase's counts; ``alive`` at its start and at its end are None if they are known only at run time.

    ``num_layers`` is the number of selected layers, ``num_weights`` that of their weights; 0 for a dense phase.
    """

    num_layers: int
    num_weights: int
    alive_at_start: Alive
    alive_at_end: Alive


class _Group(NamedTuple):
    """Weights whose number alive is known only in total: one tensor, or the tensors of a global selection.

    ``structure`` tells what the alive are, if not single weights (:mod:`dsd_lang.plan.unit_counts`).
    """

    names: frozenset[str]
    size: int
    alive: Alive
    structure: str = ""


Masks = tuple[_Group, ...]


def count_weights(plan: Plan, layers: Sequence[LayerInfo]) -> dict[str, PhaseCounts]:
    """The counts of every phase by id. Selectors that match nothing count as nothing; the linter reports them."""
    counter = _Counter(layers)
    found: dict[str, PhaseCounts] = {}
    masks: dict[str | None, Masks] = {None: ()}
    for phase in plan.phases:
        masks[phase.id], found[phase.id] = counter.phase(phase, masks[phase.parent])
    return found


def densities(plan: Plan, counts: Mapping[str, PhaseCounts]) -> Densities:
    """The share of the selected weights that is not pruned, on average over each phase and at its end."""
    return {phase.id: _density(phase, counts[phase.id]) for phase in plan.phases}


def _density(phase: Phase, counts: PhaseCounts) -> tuple[Fraction | None, Fraction | None]:
    if phase.mode == "dense" or not counts.num_weights:
        return Fraction(1), Fraction(1)
    if counts.alive_at_start is None or counts.alive_at_end is None or phase.target is None:
        return None, None
    first, last = (Fraction(alive, counts.num_weights) for alive in (counts.alive_at_start, counts.alive_at_end))
    shapes = {one.shape for one in _single_targets(phase.target) if one.kind == "ramp"}
    if not shapes:
        return last, last
    if len(shapes) > 1 or (shapes == {"exp"} and phase.target.kind == "list"):
        return None, last  # no closed form: the items do not run along one curve
    return ramp_mean(first, last, shapes.pop() or "cubic"), last


def _single_targets(target: Target) -> tuple[Target, ...]:
    return tuple(item.target for item in target.items) if target.kind == "list" else (target,)


class _Counter:
    def __init__(self, layers: Sequence[LayerInfo]) -> None:
        self.layers = layers
        self.owner = {weight.name: layer.name for layer in layers for weight in layer.weights}
        self._selected: dict[object, tuple[Share, ...]] = {}

    def phase(self, phase: Phase, before: Masks) -> tuple[Masks, PhaseCounts]:
        """The masks at the end of a phase, and its counts."""
        if phase.mode == "dense" or phase.target is None:
            return (), PhaseCounts(0, 0, 0, 0)
        if phase.target.kind == "held":
            return before, self.counts(before, before)
        starts: list[_Group] = []
        ends: list[_Group] = []
        for index, weights in self.selected(phase):
            target = phase.target if index is None else phase.target.items[index].target
            pools = self.pools(phase, index, weights)
            starts += _competition(phase, target, pools, before, is_end=False)
            ends += _competition(phase, target, pools, before, is_end=True)
        kept = _others(before, ends) if phase.others == "hold" else ()
        return (*kept, *ends), self.counts((*kept, *starts), (*kept, *ends))

    def selected(self, phase: Phase) -> tuple[Share, ...]:
        """The weights that a phase selects, by index in a list of targets: the first match applies."""
        assert phase.target is not None
        selectors = tuple(item.selector for item in phase.target.items)
        key = (phase.layers, phase.except_, selectors)
        if key not in self._selected:
            self._selected[key] = divide(phase.layers, phase.except_, selectors, self.layers).parts
        return self._selected[key]

    def pools(self, phase: Phase, index: int | None, weights: Sequence[WeightInfo]) -> list[list[WeightInfo]]:
        """The weights of one target, those in one list that compete with each other."""
        if phase.scope == "global":
            return [list(weights)] if weights else []
        if phase.scope != "group":
            return [[weight] for weight in weights]
        assert phase.target is not None
        selectors = phase.layers if index is None else (phase.target.items[index].selector,)
        found: dict[str, list[WeightInfo]] = {}
        for weight, group in zip(weights, groups_of(selectors, weights, self.layers).values(), strict=True):
            found.setdefault(group, []).append(weight)
        return list(found.values())

    def counts(self, first: Masks, last: Masks) -> PhaseCounts:
        names = {name for group in last for name in group.names}
        size = sum(group.size for group in last)
        return PhaseCounts(len({self.owner[name] for name in names}), size, _alive(first), _alive(last))


def _alive(masks: Masks) -> Alive:
    total = 0
    for group in masks:
        if group.alive is None:
            return None
        total += group.alive
    return total


def _competition(
    phase: Phase, target: Target, pools: Sequence[Sequence[WeightInfo]], before: Masks, *, is_end: bool
) -> list[_Group]:
    """The groups that remain of one target's weights, at the start or at the end of the phase."""
    weights = [weight for pool in pools for weight in pool]
    if target.kind == "held":
        return [_found(before, [weight]) for weight in weights]
    if target.kind == "current":
        return [_Group(frozenset((weight.name,)), weight.size, None) for weight in weights]
    if target.kind == "nm":
        return [_patterned(weight, target.n or 1, target.m or 1) for weight in weights]
    pruned = exact((target.end if is_end else target.start) or "0" if target.kind == "ramp" else target.pruned or "0")
    found = [_found(before, pool) for pool in pools]
    rule = Rule(phase.scope, phase.alloc, Unit.of(phase.unit.name, phase.unit.arguments), phase.minimum, pruned)
    standing = [Standing(tuple(pool), one.alive, one.structure) for pool, one in zip(pools, found, strict=True)]
    kept = count_kept(rule, standing, is_remaining=target.kind == "remaining")
    return [one._replace(alive=alive, structure=how) for one, (alive, how) in zip(found, kept, strict=True)]


def _found(before: Masks, weights: Sequence[WeightInfo]) -> _Group:
    """How many of some weights are alive: all without a mask; unknown if a mask's group includes other weights."""
    names = frozenset(weight.name for weight in weights)
    size = sum(weight.size for weight in weights)
    alive: Alive = size
    structures = set()
    for group in before:
        if group.names & names:
            is_inside = group.names <= names and group.alive is not None and alive is not None
            alive = alive - group.size + group.alive if is_inside else None  # type: ignore[operator]
            structures.add(group.structure)
    return _Group(names, size, alive, structures.pop() if len(structures) == 1 else "")


def _patterned(weight: WeightInfo, n: int, m: int) -> _Group:
    """N of M along the inputs; the count is unknown for a pattern that does not fit, which DSD409 reports."""
    is_counted = not misfitting(m, (weight,))
    return _Group(frozenset((weight.name,)), weight.size, weight.size * n // m if is_counted else None)


def _others(before: Masks, chosen: Sequence[_Group]) -> Masks:
    """The masks of the weights that were not selected anew; unknown for a group that was selected in part."""
    names = frozenset(name for group in chosen for name in group.names)
    kept = []
    for group in before:
        if not group.names & names:
            kept.append(group)
        elif not group.names <= names:
            kept.append(_Group(group.names - names, 0, None))
    return tuple(kept)
