"""The registry of scopes, by their names in a schedule: between which competitors the scores of a target decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from dsd_lang.base.units import keep_count
from dsd_lang.plan.allocation import allocate, divide_exactly, total
from dsd_runtime.masks.competitors import Masks, Units, Weights


@dataclass(frozen=True, slots=True)
class Contest:
    """One target's competition: what competes, the share pruned, and the arguments that say how.

    ``groups`` names the group of each tensor, for `scope=group`; without it they are one.
    """

    competitors: Weights | Units
    pruned: Fraction
    minimum: int
    alloc: str
    groups: Mapping[str, str]


Outcome = tuple[Masks, tuple[str, ...]]
"""The masks, and the tensors that the minimum kept from having fewer."""


def _by_layer(contest: Contest) -> Outcome:
    """Within each tensor; `alloc=` says how many each keeps."""
    plan = allocate(contest.alloc, contest.competitors.tensors, contest.pruned, minimum=contest.minimum)
    masks: Masks = {}
    for name in contest.competitors.tensors:
        masks |= contest.competitors.best([name], plan.keep[name])
    return masks, plan.kept_by_minimum


def _in_one(contest: Contest) -> Outcome:
    """Over all tensors."""
    return _together(contest, list(contest.competitors.tensors))


def _by_group(contest: Contest) -> Outcome:
    """Over the tensors of each group."""
    members: dict[str, list[str]] = {}
    for name in contest.competitors.tensors:
        members.setdefault(contest.groups.get(name, ""), []).append(name)
    masks: Masks = {}
    kept_by_minimum: tuple[str, ...] = ()
    for names in members.values():
        chosen, raised = _together(contest, names)
        masks, kept_by_minimum = masks | chosen, kept_by_minimum + raised
    return masks, kept_by_minimum


def _together(contest: Contest, names: list[str]) -> Outcome:
    """One competition; a tensor that would be empty keeps its best `minimum` weights, within the same total."""
    competitors = contest.competitors
    competing = {name: competitors.tensors[name].competing for name in names}
    keep = total(competing, contest.pruned)
    reserved: dict[str, int] = {}
    while True:
        open_names = [name for name in names if name not in reserved]
        masks = competitors.best(open_names, max(0, keep - sum(reserved.values())))
        least = {name: min(contest.minimum, competing[name]) for name in open_names}
        kept = competitors.counts(masks)
        emptied = [name for name in open_names if kept[name] < least[name]]
        if not emptied:
            break
        reserved |= {name: least[name] for name in emptied}
    for name, count in reserved.items():
        masks |= competitors.best([name], count)
    return masks, tuple(reserved)


def _by_row(contest: Contest) -> Outcome:
    """Within each row of each tensor."""
    units = contest.competitors
    assert isinstance(units, Units)
    masks: Masks = {}
    raised: list[str] = []
    if contest.alloc != "uniform":
        plan = allocate(contest.alloc, units.tensors, contest.pruned, minimum=contest.minimum)
        for name, keep in plan.keep.items():
            masks[name] = units.best_of_rows(name, _divided(keep, units.rows(name)))
        return masks, plan.kept_by_minimum
    for name in units.tensors:
        rows = units.rows(name)
        counts = _same_share(rows, contest.pruned)
        least = min(contest.minimum, int(rows.sum()))
        if int(counts.sum()) < least:
            raised.append(name)
            masks |= units.best([name], least)
        else:
            masks[name] = units.best_of_rows(name, counts)
    return masks, tuple(raised)


def _same_share(rows: Tensor, pruned: Fraction) -> Tensor:
    """How many each row keeps, of the competitors in ``rows``: k = n - round_half_even(s n)."""
    kept = {count: keep_count(count, pruned, minimum=0) for count in set(rows.tolist())}
    return torch.tensor([kept[count] for count in rows.tolist()], dtype=torch.int64)


def _divided(keep: int, rows: Tensor) -> Tensor:
    """How many each row keeps, if all together keep ``keep``: as many as it has competitors, by largest remainders."""
    everyone = max(1, int(rows.sum()))
    parts = {count: Fraction(keep * count, everyone) for count in set(rows.tolist())}
    return torch.tensor(divide_exactly(keep, [parts[count] for count in rows.tolist()]), dtype=torch.int64)


Scope = Callable[[Contest], Outcome]
SCOPES: dict[str, Scope] = {"layer": _by_layer, "global": _in_one, "row": _by_row, "group": _by_group}
