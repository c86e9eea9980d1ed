"""The weights that every sparse phase of a plan prunes, resolved on a model before the first update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import nn

from dsd_lang.base.layers import LayerInfo
from dsd_lang.plan import Phase, Plan
from dsd_lang.plan.fitting import require_fit
from dsd_runtime.engine.scoring import Scoring
from dsd_runtime.engine.selection_plan import Selection, select_weights
from dsd_runtime.engine.suitability import require_maskable
from dsd_runtime.masks import input_axes
from dsd_runtime.masks.input_axes import COLUMNS


def selections_of(
    plan: Plan, layers: Sequence[LayerInfo], parameters: Mapping[str, nn.Parameter], scoring: Scoring
) -> dict[str, Selection]:
    """The selections of all phases that choose masks, by phase; phases that select and score alike share one.

    Raises :class:`DsdError` for a selector that matches nothing, and for weights that cannot be pruned or scored.
    """
    found: dict[str, Selection] = {}
    known: dict[tuple[object, ...], Selection] = {}
    for phase in plan.phases:
        if phase.mode == "dense" or phase.target is None or phase.target.kind == "held":
            continue
        items = tuple(item.selector for item in phase.target.items)
        scored = (phase.by.name, phase.from_.kind, phase.enforce.name)
        key = (phase.layers, phase.except_, items, phase.scope == "group", scored)
        if key not in known:
            known[key] = _selection_of(phase, layers, parameters, scoring)
        found[phase.id] = known[key]
    require_fit(plan, layers)
    return found


def _selection_of(
    phase: Phase, layers: Sequence[LayerInfo], parameters: Mapping[str, nn.Parameter], scoring: Scoring
) -> Selection:
    chosen = select_weights(phase, layers)
    require_maskable({name: parameters[name] for name in chosen.names})
    axes = input_axes(layers)
    scoring.require_possible(phase, {name: axes.get(name, COLUMNS) for name in chosen.names})
    return chosen
