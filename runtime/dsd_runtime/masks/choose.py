"""Chooses the masks for a target, at a boundary or when a ramp selects again.

Weights may be sharded: then each process gets the masks of its own rows, and all counts are of the whole weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_lang.plan.weight_units import WEIGHT, Unit, undefined_unit
from dsd_runtime.masks.competitors import Entrants, Units, Weights
from dsd_runtime.masks.input_axes import COLUMNS, InputAxis
from dsd_runtime.masks.n_of_m import select_n_of_m, select_n_of_m_of_rows
from dsd_runtime.masks.processes import Processes
from dsd_runtime.masks.scopes import SCOPES, Contest, Outcome
from dsd_runtime.masks.scores import ScoreRequest, Scores, score
from dsd_runtime.masks.selection import NonFiniteScore
from dsd_runtime.masks.shards import is_sharded, local_of, processes_of, rows_of
from dsd_runtime.masks.targets import Current, Held, NofM, PerSelector, Pruned, Ramp, Remaining, SingleTarget, Target


@dataclass(frozen=True, slots=True)
class Chosen:
    """The masks of one selection, how many weights each keeps, and the tensors kept from becoming empty.

    ``weights`` are new values of weights that are kept, of a score that adapts them.
    """

    masks: dict[str, Tensor]
    alive_counts: dict[str, int]
    kept_by_minimum: tuple[str, ...]
    weights: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Request:
    """The inputs of one competition besides its target."""

    weights: Mapping[str, Tensor]
    scope: str
    alloc: str
    unit: Unit
    groups: Mapping[str, str]
    by: str
    arguments: Mapping[str, str | bool]
    key: int
    alive: Mapping[str, Tensor]
    minimum: int
    update: int | None
    input_axes: Mapping[str, InputAxis]
    processes: Processes
    measured: Mapping[str, Tensor] | None

    def counts(self, masks: Mapping[str, Tensor]) -> dict[str, int]:
        """How many weights each mask keeps, over the rows of all processes."""
        own = np.array([int(torch.count_nonzero(mask)) for mask in masks.values()], np.int64)
        return dict(zip(masks, map(int, self.processes.sum(own)), strict=True))


def choose_masks(
    *,
    weights: Mapping[str, Tensor],
    target: Target,
    scope: str = "layer",
    alloc: str = "uniform",
    unit: Unit = WEIGHT,
    groups: Mapping[str, str] | None = None,
    by: str = "magnitude",
    arguments: Mapping[str, str | bool] | None = None,
    key: int = 0,
    alive: Mapping[str, Tensor] | None = None,
    selectors: Mapping[str, int] | None = None,
    minimum: int = 1,
    update: int | None = None,
    input_axes: Mapping[str, InputAxis] | None = None,
    measured: Mapping[str, Tensor] | None = None,
) -> Chosen:
    """The masks of all of `weights` (by name, in the model's order, tied weights once) under a target.

    `alive` has the current masks (a parameter not in it is not pruned); :class:`Remaining` and :class:`Held` use them.
    `selectors` gives for :class:`PerSelector` the target of each parameter. `scope` names one of `masks.scopes.SCOPES`:
    the parameters of one target compete each for itself, all with each other, by `groups`, or in each row. `alloc`
    names one of `dsd_lang.plan.allocation.ALLOCATIONS`. `unit` is what is kept or pruned as one. `by` names a score of
    `masks.scores.SCORES`, and `arguments` are its options (`order`). `key` seeds ``by="random"``. At least `minimum`
    weights (or units) of each tensor are kept. `input_axes` has the parameters that are not [out, in, ...]. Ramps must
    be resolved before (`targets.resolve_ramps`). `measured` has the scores, by name, of a method that measures them on
    the whole model.

    Raises :class:`DsdError` with the parameter's name (and `update`) if a score is NaN or infinite or a pattern does
    not fit, and if the unit is not defined for the target or the scope; nothing is changed then.
    """
    request = _Request(
        weights, scope, alloc, unit, groups or {}, by, arguments or {}, key, alive or {}, minimum, update,
        input_axes or {}, processes_of(weights.values()), measured,
    )  # fmt: skip
    chosen: dict[str, Tensor] = {}
    raised: set[str] = set()
    for single, names in _competitions(weights, target, selectors):
        masks, kept_by_minimum = _choose(single, names, request)
        chosen |= masks
        raised |= set(kept_by_minimum)
    ordered = {name: chosen[name] for name in weights}
    return Chosen(ordered, request.counts(ordered), tuple(name for name in weights if name in raised))


def _competitions(
    weights: Mapping[str, Tensor], target: Target, selectors: Mapping[str, int] | None
) -> Iterable[tuple[SingleTarget, list[str]]]:
    """Each single target with its parameters."""
    if not isinstance(target, PerSelector):
        return [(target, list(weights))]
    if selectors is None or any(name not in selectors for name in weights):
        raise ValueError("a list of targets needs to know which one each parameter takes (`selectors`)")
    return [(single, [n for n in weights if selectors[n] == i]) for i, single in enumerate(target.targets)]


def _choose(target: SingleTarget, names: list[str], request: _Request) -> Outcome:
    if isinstance(target, Ramp):
        raise ValueError("a ramp has no masks of its own: get its target at an update first")
    if isinstance(target, Held):
        return {name: _alive_or_all(name, request).clone() for name in names}, ()
    if isinstance(target, Current):
        return {name: local_of(request.weights[name]) != 0 for name in names}, ()
    undefined = undefined_unit(request.unit, request.scope, is_pattern=isinstance(target, NofM))
    if undefined is not None:
        raise DsdError(f"DSD413: {undefined[0]}", help=undefined[1])
    if isinstance(target, NofM):
        return {name: _choose_n_of_m(target, name, request) for name in names}, ()
    return _compete(target, names, request)


def _choose_n_of_m(target: NofM, name: str, request: _Request) -> Tensor:
    axis = request.input_axes.get(name, COLUMNS)
    scores, weight = _score(name, request).as_values(), request.weights[name]
    try:
        if is_sharded(weight):
            rows, processes = rows_of(weight), request.processes
            return select_n_of_m_of_rows(scores, rows, processes, target.n, target.m, name=name, axis=axis)
        return select_n_of_m(scores, target.n, target.m, name=name, axis=axis)
    except NonFiniteScore as error:
        raise _non_finite(name, error.index, request) from error


def _compete(
    target: Pruned | Remaining, names: list[str], request: _Request
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The masks of the parameters of one target, by scope, allocation and unit."""
    entrants = Entrants(
        weights={name: request.weights[name] for name in names},
        score=lambda name: _score(name, request),
        alive={name: _alive_or_all(name, request) for name in names} if isinstance(target, Remaining) else None,
        axes=request.input_axes,
        processes=request.processes,
        refusal=lambda name, index: _non_finite(name, index, request),
    )
    if request.unit == WEIGHT and request.scope != "row":
        return SCOPES[request.scope](_contest(Weights(entrants), target, request))
    units = Units(entrants, request.unit)
    masks, kept_by_minimum = SCOPES[request.scope](_contest(units, target, request))
    return units.spread(masks), kept_by_minimum


def _contest(competitors: Weights | Units, target: Pruned | Remaining, request: _Request) -> Contest:
    return Contest(competitors, target.pruned, request.minimum, request.alloc, request.groups)


def _score(name: str, request: _Request) -> Scores:
    measured = None if request.measured is None else request.measured[name]
    return score(request.by, ScoreRequest(request.weights[name], name, request.arguments, request.key, measured))


def _alive_or_all(name: str, request: _Request) -> Tensor:
    mask = request.alive.get(name)
    return torch.ones_like(local_of(request.weights[name]), dtype=torch.bool) if mask is None else mask


def _non_finite(name: str, index: int, request: _Request) -> DsdError:
    when = "" if request.update is None else f" at update {request.update}"
    if request.measured is not None:
        value = float(request.measured[name].reshape(-1)[index])
        what = f"`{name}` has the score {value} at index {index}{when}, so it cannot be ranked by `{request.by}`"
        return DsdError(what, help="look at the loss and its gradients on the batches; no mask was changed")
    value = _weight_at(request.weights[name].detach(), index, request.processes)
    kind = "movement score" if request.by == "movement" else "weight"
    what = f"`{name}` has the {kind} {value} at index {index}{when}, so it cannot be ranked"
    return DsdError(what, help="lower the learning rate or clip the gradients; no mask was changed")


def _weight_at(weight: Tensor, index: int, processes: Processes) -> float:
    """One element of a whole weight, told by the process that has it."""
    rows, own = rows_of(weight), local_of(weight).reshape(-1)
    inside = index - rows.start * rows.row_size
    value = float(own[inside]) if 0 <= inside < own.numel() else 0.0
    told = processes.gathered(torch.tensor([value], dtype=torch.float64))
    return float(told[rows.owner(index // max(1, rows.row_size)) if processes.count > 1 else 0, 0])
