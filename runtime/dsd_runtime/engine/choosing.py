"""Chooses the masks of a phase, at its entry and at the selections of its ramp."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from dsd_lang.plan.weight_units import Unit
from dsd_runtime.engine.origins import Weights
from dsd_runtime.engine.randomness import stream_key
from dsd_runtime.engine.scoring import Scoring, measured_method
from dsd_runtime.engine.selection_plan import Selection, require_zeros
from dsd_runtime.engine.stages import Stage
from dsd_runtime.masks import InputAxis, MaskStore, Target, choose_masks, resolve_ramps
from dsd_runtime.masks.choose import Chosen
from dsd_runtime.masks.input_axes import COLUMNS
from dsd_runtime.masks.measuring import comparable, ranks_in_rows
from dsd_runtime.masks.scores import SCORES, Fixed, Measured, num_rounds
from dsd_runtime.masks.shards import sharded_as
from dsd_runtime.masks.sparsegpt import Reconstruction
from dsd_runtime.masks.targets import Current, Remaining, eased, is_chosen, target_of


@dataclass(frozen=True, slots=True)
class Occasion:
    """A selection: of which stage, before which update of it (``step``), after how many updates in all."""

    stage: Stage
    step: int
    update: int
    seed: int

    @property
    def key(self) -> int:
        """The random key, the same for all selections of a phase."""
        phase = self.stage.phase
        position = f"{phase.path if phase.rng == 'distinct' else ''}:{self.update - self.step}"
        return stream_key(self.seed, phase.seed_index, "mask", position)


def choose_for(
    occasion: Occasion,
    target: Target,
    selection: Selection,
    parameters: Mapping[str, nn.Parameter],
    store: MaskStore,
    axes: Mapping[str, InputAxis],
    scoring: Scoring,
    *,
    loaded: Weights | None = None,
    collected: Mapping[str, Tensor] | None = None,
) -> Chosen:
    """The masks for a target (a ramp has the value of now); ``loaded`` are the weights that the phase starts from.

    ``collected`` are the scores that the phase has collected so far (`by=movement`, which starts by magnitude).

    A score that is measured on the model is measured once, for all weights together. Raises :class:`DsdError` as
    `choose_masks()` and :meth:`Scoring.measure` do; nothing is changed.
    """
    phase = occasion.stage.phase
    own = {name: parameters[name].detach() for name in selection.names}
    weights = own if loaded is None or not isinstance(target, Current) else _as_loaded(own, loaded)
    by, arguments = phase.by.name, phase.by.arguments
    if by == "movement":
        if collected is None:
            by, arguments = "magnitude", {}
        else:
            weights = {name: collected[store.owner(name)] for name in selection.names}
    now = resolve_ramps(target, occasion.step, occasion.stage.length)

    def choose(some: Target, measured: Mapping[str, Tensor] | None) -> Chosen:
        return choose_masks(
            weights=weights,
            target=some,
            scope=phase.scope,
            alloc=phase.alloc,
            unit=Unit.of(phase.unit.name, phase.unit.arguments),
            groups=selection.groups,
            by=by,
            arguments=arguments,
            key=occasion.key,
            alive=store.masks,
            selectors=selection.assignment or None,
            minimum=phase.minimum,
            update=occasion.update,
            input_axes=axes,
            measured=measured,
        )

    if measured_method(phase) is None:
        chosen = choose(now, None)
        if isinstance(target, Current):
            require_zeros(phase, {name: weight.numel() for name, weight in own.items()}, chosen.alive_counts)
        return chosen
    targets = {name: target_of(now, name, selection.assignment) for name in weights}
    scored = {name: store.parameters(store.owner(name)) for name, one in targets.items() if is_chosen(one)}
    measured = scoring.measure(phase, scored, axes, occasion.key)
    is_single = phase.unit.name == "weight" and phase.scope == "layer"
    if SCORES[by].is_by_row and is_single:
        values = measured.scores({})
        measured = Fixed({name: ranks_in_rows(value, axes.get(name, COLUMNS)) for name, value in values.items()})
    chosen = _by_rounds(now, choose, measured, num_rounds(by, arguments))
    if not isinstance(measured, Reconstruction):
        return chosen
    among = {name: store.masks[name] for name in scored if isinstance(targets[name], Remaining) and name in store}
    is_free = phase.unit.name == "weight" and phase.scope in ("layer", "global")
    masks, values = measured.finish(chosen.masks, targets, among, is_free=is_free)
    return replace(chosen, masks={**chosen.masks, **masks}, weights=values)


def _as_loaded(own: Mapping[str, Tensor], loaded: Weights) -> dict[str, Tensor]:
    return {name: sharded_as(weight, loaded[name].to(weight.device)) for name, weight in own.items()}


def _by_rounds(
    target: Target, choose: Callable[[Target, Mapping[str, Tensor]], Chosen], measured: Measured, rounds: int
) -> Chosen:
    """The masks after some selections, each by scores under the masks of the one before; the last one is exact."""
    masks: Mapping[str, Tensor] = {}
    for done in range(1, rounds):
        masks = choose(eased(target, done / rounds), comparable(measured.scores(masks))).masks
    return choose(target, comparable(measured.scores(masks)))


@torch.no_grad()
def adapt(chosen: Chosen | None, parameters: Mapping[str, nn.Parameter], store: MaskStore) -> dict[str, Any]:
    """Gives kept weights their new values, if the score has some; returns what to tell of the selection."""
    if chosen is None:
        return {}
    forced = list(chosen.kept_by_minimum)
    details: dict[str, Any] = {"kept_by_minimum": forced} if forced else {}
    changed = 0
    for name, values in chosen.weights.items():
        changed += int(torch.count_nonzero((parameters[name] != values) & store.masks[store.owner(name)]))
        parameters[name].copy_(values)
    return {**details, "adapted": changed} if changed else details
