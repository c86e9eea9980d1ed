"""Splits an optimizer's groups for `lr=[...]`: each has one multiple of the rate in every phase of the plan.

The groups as they were given stay at their places and keep what has the phase's own rate; the others come after them.
Nobody else need know: the optimizer's `state_dict()` has the groups as given, and its `load_state_dict()` takes them,
so that a checkpoint of one split fits another, or none.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from torch import Tensor, nn
from torch.optim import LBFGS, Optimizer
from torch.utils.hooks import RemovableHandle

from dsd_lang.base.errors import DsdError
from dsd_lang.base.units import exact
from dsd_lang.plan import Phase, Plan
from dsd_lang.plan.groups import group_weights, why_unreached
from dsd_runtime.engine.layers import inventory, parameters_by_weight
from dsd_runtime.engine.optimizer_state import parameters_of
from dsd_runtime.engine.selection_plan import unmatched
from dsd_runtime.masks.optimizers import inner_optimizer
from dsd_runtime.masks.store import memory_of

Factors = tuple[Fraction, ...]
_ONE = Fraction(1)


@dataclass(slots=True)
class RateGroups:
    """The groups of one optimizer: as given (``own``), and as the session drives them (``live``).

    ``parents`` has for each live group the index of its own one. ``factors`` has for each `lr=[...]` of the plan the
    multiple of the phase's rate that each live group has.
    """

    own: tuple[tuple[nn.Parameter, ...], ...]
    live: tuple[tuple[nn.Parameter, ...], ...]
    parents: tuple[int, ...]
    factors: Mapping[tuple[object, ...], Factors] = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)
    """What the rate of each own group is without `lr=[...]`."""

    @property
    def is_split(self) -> bool:
        """Whether there are more groups than were given."""
        return len(self.live) > len(self.own)

    def factors_of(self, phase: Phase) -> Factors:
        """The multiple of the phase's rate of each live group; empty if it is 1 for all."""
        return self.factors.get(phase.lr.groups, ())

    def joined(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """An optimizer's state with the groups as given; unchanged if it has these already."""
        saved = state["param_groups"]
        if _sizes(saved) != [len(group) for group in self.live]:
            return dict(state)
        groups = [
            {**saved[self.parents.index(index)], **_arranged(self.live, saved, parameters)}
            for index, parameters in enumerate(self.own)
        ]
        for group, rate in zip(groups, self.rates, strict=False):
            group["lr"] = group["lr"].new_tensor(rate) if isinstance(group["lr"], Tensor) else rate
        return {**state, "param_groups": groups}

    def as_given(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The same, numbered as an optimizer with these groups numbers its parameters."""
        given = self.joined(state)
        if not self.is_split:
            return given
        numbers = [number for group in given["param_groups"] for number in group["params"]]
        places = iter(range(len(numbers)))
        groups = [{**group, "params": [next(places) for _ in group["params"]]} for group in given["param_groups"]]
        own = {place: given["state"][number] for place, number in enumerate(numbers) if number in given["state"]}
        return {**given, "state": own, "param_groups": groups}

    def split(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The inverse; unchanged if it has neither these groups nor as many parameters in each."""
        saved = state["param_groups"]
        if _sizes(saved) != [len(group) for group in self.own]:
            return dict(state)
        groups = [
            {**_copied(saved[parent]), **_arranged(self.own, saved, parameters)}
            for parent, parameters in zip(self.parents, self.live, strict=True)
        ]
        return {**state, "param_groups": groups}

    def follow(self, optimizer: Optimizer) -> None:
        """Gives an optimizer with these live groups the saved form of the own ones."""
        if self.is_split and optimizer not in _known:
            handles = [hook for part in _chain(optimizer) for hook in _hooked(part, self)]
            _known[optimizer] = (self, tuple(handles))


_known: weakref.WeakKeyDictionary[Optimizer, tuple[RateGroups, tuple[RemovableHandle, ...]]]
_known = weakref.WeakKeyDictionary()


def given_parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    """The parameters of all groups in the order in which they were given, whatever the session has split."""
    known = _known.get(optimizer)
    if known is None:
        return parameters_of(optimizer)
    return [parameter for group in known[0].own for parameter in group]


def split_groups(plan: Plan, model: nn.Module, optimizer: Optimizer) -> RateGroups:
    """Splits an optimizer's groups for a plan; those that an earlier session has split are joined before.

    Raises :class:`DsdError` (DSD201) for a selector that matches nothing, and for an optimizer with only one rate.
    """
    _join(optimizer)
    own = tuple(tuple(group["params"]) for group in optimizer.param_groups)
    lists = tuple(dict.fromkeys(phase.lr.groups for phase in plan.phases if phase.lr.groups))
    if not lists:
        return RateGroups(own, own, tuple(range(len(own))))
    if isinstance(optimizer, LBFGS):
        raise DsdError(
            "`lr=[...]` gives groups of layers rates of their own, and `LBFGS` has one rate for all weights",
            help="write one rate, or use another optimizer",
        )
    if getattr(optimizer.step, "_wrapped_by_lr_sched", False):
        raise DsdError(
            "the optimizer has a learning-rate scheduler, which does not know the groups of `lr=[...]`",
            help="the schedule sets the learning rate: remove the scheduler",
        )
    found = [_factors_by_memory(groups, model, optimizer) for groups in lists]
    parts = [_by_factors(group, found) for group in own]
    added = [(index, factors) for index, part in enumerate(parts) for factors in list(part)[1:]]
    kept = [(index, next(iter(part), tuple(_ONE for _ in lists))) for index, part in enumerate(parts)]
    keys = (*kept, *added)
    live = tuple(tuple(parts[index].get(factors, ())) for index, factors in keys)
    groups = RateGroups(
        own,
        live,
        tuple(index for index, _ in keys),
        {one: tuple(factors[number] for _, factors in keys) for number, one in enumerate(lists)},
    )
    _regroup(optimizer, groups)
    groups.follow(optimizer)
    return groups


def _factors_by_memory(groups: Sequence[Any], model: nn.Module, optimizer: Optimizer) -> dict[object, Fraction]:
    """The multiple that a `lr=[...]` gives to each weight that it names."""
    layers, weights = inventory(model, optimizer), parameters_by_weight(model)
    found = group_weights([group.selector for group in groups], layers)
    for selector in found.missing:
        raise unmatched(selector, layers)
    for index in found.unreached:
        message, advice = why_unreached(groups[index].selector)
        raise DsdError(f"DSD201: {message}", help=advice)
    scales = [exact(group.scale) for group in groups]
    return {memory_of(one): scales[index] for name, index in found.items.items() for one in weights[name]}


def _by_factors(
    parameters: Iterable[nn.Parameter], found: Sequence[Mapping[object, Fraction]]
) -> dict[Factors, list[nn.Parameter]]:
    """The parameters by their multiples in all lists, those with the phase's own rate first."""
    ones = tuple(_ONE for _ in found)
    parts: dict[Factors, list[nn.Parameter]] = {ones: []}
    for parameter in parameters:
        factors = tuple(one.get(memory_of(parameter), _ONE) for one in found)
        parts.setdefault(factors, []).append(parameter)
    return {factors: part for factors, part in parts.items() if part}


def _regroup(optimizer: Optimizer, groups: RateGroups) -> None:
    """Makes the optimizer's groups the live ones."""
    given = optimizer.param_groups
    saved = [{**group, "params": list(own)} for group, own in zip(given, groups.own, strict=True)]
    made = [
        {**_copied(saved[parent]), **_arranged(groups.own, saved, parameters)}
        for parent, parameters in zip(groups.parents, groups.live, strict=True)
    ]
    for group, now in zip(given, made, strict=False):
        group.update({key: now[key] for key in ("params", "param_names") if key in now})
    for listed in {id(part.param_groups): part.param_groups for part in _chain(optimizer)}.values():
        listed.extend(made[len(groups.own) :])


def _join(optimizer: Optimizer) -> None:
    """Undoes what an earlier session has split."""
    groups, handles = _known.pop(optimizer, (None, ()))
    for handle in handles:
        handle.remove()
    if groups is None or _sizes(optimizer.param_groups) != [len(group) for group in groups.live]:
        return
    joined = groups.joined({"param_groups": optimizer.param_groups})["param_groups"]
    for group, now in zip(optimizer.param_groups, joined, strict=False):
        group.update({key: now[key] for key in ("params", "param_names", "lr") if key in now})
    for listed in {id(part.param_groups): part.param_groups for part in _chain(optimizer)}.values():
        del listed[len(groups.own) :]


def _arranged(
    order: Sequence[Sequence[nn.Parameter]], groups: Sequence[Mapping[str, Any]], wanted: Iterable[nn.Parameter]
) -> dict[str, Any]:
    """The entries of some parameters in lists that go parallel to the groups' parameters, given in ``order``."""
    places = {id(one): (at, place) for at, group in enumerate(order) for place, one in enumerate(group)}
    found = [places[id(one)] for one in wanted]
    keys = [key for key in ("params", "param_names") if all(key in group for group in groups)]
    return {key: [groups[at][key][place] for at, place in found] for key in keys}


def _copied(group: Mapping[str, Any]) -> dict[str, Any]:
    """A group's options; a rate that is a tensor is written in place, so each group needs its own."""
    return {key: value.clone() if isinstance(value, Tensor) else value for key, value in group.items()}


def _sizes(groups: Iterable[Mapping[str, Any]]) -> list[int]:
    return [len(group["params"]) for group in groups]


def _chain(optimizer: Optimizer) -> list[Optimizer]:
    """An optimizer and those inside it, which have the same groups."""
    chain = [optimizer]
    while (inside := inner_optimizer(chain[-1])) is not None and all(inside[1] is not part for part in chain):
        chain.append(inside[1])
    return chain


def _hooked(optimizer: Optimizer, groups: RateGroups) -> list[RemovableHandle]:
    return [
        optimizer.register_state_dict_post_hook(lambda _, state: groups.joined(state)),
        optimizer.register_load_state_dict_pre_hook(lambda _, state: groups.split(state)),
    ]
