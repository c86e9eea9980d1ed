"""What differs from layer to layer, phase by phase: the share of weights that is not pruned, the entropy of ReLUs."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dsd_runtime.results.figures.parts import (
    Figure,
    Row,
    cell_text,
    chart,
    choice,
    first_seeds,
    heat_cells,
    layer_name,
    names_of,
)
from dsd_runtime.results.parts import PhaseResult
from dsd_runtime.results.results import Results

_MOST_LINES, _MOST_CELLS, _MOST_WORDS = 6, 600, 10
_SAME = 0.5
"""Percent points within which layers are pruned alike."""


def alive_by_layer(results: Results) -> Figure | None:
    """The share of weights that is not pruned, where layers are not all pruned alike."""
    rows = _rows(results, lambda phase: {name: 100 * one.alive / one.size for name, one in phase.layers.items()})
    if not any(_differ([row["value"] for row in rows if row["key"] == key]) for key in {row["key"] for row in rows}):
        return None
    return _figure(
        rows,
        "alive by layer",
        "Alive weights by layer",
        "alive, %",
        "The weights that are not pruned, in percent of the layer",
    )


def entropy_by_layer(results: Results) -> Figure | None:
    """The entropy of the sign of each ReLU's input, where it was measured."""
    return _figure(
        _rows(results, lambda phase: phase.entropies),
        "entropy by layer",
        "Entropy of ReLUs by layer",
        "entropy, bits",
        "The entropy of the sign of the ReLUs' inputs over the validation data: 0 bits where each is always on or off",
    )


def _differ(values: list[float]) -> bool:
    return max(values) - min(values) > _SAME


def _rows(results: Results, values: Callable[[PhaseResult], Mapping[str, float]]) -> list[Row]:
    """A row for each branch, phase and layer, in order; branches that there is no room for are left out."""
    found: list[Row] = []
    for line, phases in first_seeds(results, _MOST_LINES).items():
        names = names_of(phases)
        rows = [
            {"branch": line, "phase": names[phase.id], "key": phase.id, "layer": layer_name(layer), "value": value}
            for phase in phases
            if phase.state == "trained"
            for layer, value in values(phase).items()
        ]
        if len(found) + len(rows) <= _MOST_CELLS:
            found += rows
    return found


def _figure(rows: list[Row], name: str, title: str, unit: str, caption: str) -> Figure | None:
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    if len(layers) < 2:
        return None
    table: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        table.setdefault((row["branch"], row["phase"]), {})[row["layer"]] = row["value"]
    lines = list(dict.fromkeys(row["branch"] for row in rows))
    most_phases = max(len({row["key"] for row in rows if row["branch"] == line}) for line in lines)
    axes = {
        "x": {"field": "phase", "type": "ordinal", "title": None, "sort": None, "axis": {"labelOverlap": True}},
        "y": {"field": "layer", "type": "ordinal", "title": None, "sort": None},
    }
    return Figure(
        name=name,
        title=title,
        caption=f"{caption}, at the end of each phase. The first seed.",
        spec=chart(
            [{key: value for key, value in row.items() if key != "key"} for row in rows],
            params=[choice("branch", lines)],
            transform=[{"filter": "datum.branch === branch"}],
            layer=heat_cells(axes, "value", unit, [row["value"] for row in rows], has_words=most_phases <= _MOST_WORDS),
            height=26 * len(layers),
        ),
        headers=("branch", "phase", *layers),
        rows=tuple(
            (branch, phase, *map(cell_text, map(values.get, layers))) for (branch, phase), values in table.items()
        ),
    )
