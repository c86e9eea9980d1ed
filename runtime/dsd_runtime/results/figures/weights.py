"""Weights at both sides of each boundary that changes masks, pruned and surviving ones apart (DSD paper, Figure 2)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dsd_runtime.results.figures.parts import (
    Figure,
    Row,
    cell_text,
    chart,
    choice,
    colour,
    first_seeds,
    layer_name,
    names_of,
)
from dsd_runtime.results.parts import PhaseResult, WeightHistogram
from dsd_runtime.results.results import Results

ALL_LAYERS = "all layers"
_MOST_LINES, _MOST_NODES, _MOST_BYTES = 6, 4, 90_000
"""What a report has room for; `results.json` has the rest."""
_HIGHEST, _MIDDLE = 2, 0.05
"""Revived weights crowd in the middle of the axis: bars end at that many times the highest bar outside of it."""


class _Panel(NamedTuple):
    """One drawing: its branch, its title and number there, and the weights of one layer."""

    line: str
    number: int
    title: str
    weights: WeightHistogram


def weight_distributions(results: Results) -> Figure | None:
    """Histograms before and after each boundary and at the end of each phase, for the first seed of each branch."""
    panels = _within_budget([panel for line in _lines(results).items() for panel in _panels(results, *line)])
    if not panels:
        return None
    lines = list(dict.fromkeys(panel.line for panel in panels))
    layers = list(dict.fromkeys(_layer(panel) for panel in panels))
    return Figure(
        name="weights",
        title="Weights at the boundaries",
        caption="The density of weights by value, at both sides of each boundary that changes the mask and at the end "
        "of the phase. Pruned are those that the mask of the sparse phase prunes. Weights that are exactly 0 are "
        "counted in words, not drawn; the outermost bars hold what lies beyond, and bars around 0 end at twice the "
        "highest of the others. The first seed.",
        spec=_spec(panels, lines, layers),
        headers=("branch", "layer", "weights", "pruned", "of these 0", "mean magnitude", "surviving", "of these 0",
                 "mean magnitude"),
        rows=tuple(
            (panel.line, _layer(panel), panel.title, *_cells(panel.weights)) for panel in panels
        ),
    )  # fmt: skip


def _lines(results: Results) -> dict[str, list[PhaseResult]]:
    """The phases of each branch whose entry changed the masks; of many the first, the last, and some between."""
    known = {histogram.phase for histogram in results.weights}
    lines = first_seeds(results, most=len(results.phases))
    found = {name: [phase for phase in phases if phase.id in known] for name, phases in lines.items()}
    return {name: _some(phases) for name, phases in list(found.items()) if phases}


def _some(phases: list[PhaseResult]) -> list[PhaseResult]:
    if len(phases) <= _MOST_NODES:
        return phases
    return [phases[round(index * (len(phases) - 1) / (_MOST_NODES - 1))] for index in range(_MOST_NODES)]


def _panels(results: Results, line: str, phases: Sequence[PhaseResult]) -> Iterator[_Panel]:
    """In order of time; the weights after one phase are those before the next, and are drawn once."""
    names = names_of(phases)
    number = 0
    for index, phase in enumerate(phases):
        skipped: set[str] = set()
        if index and phase.parent == phases[index - 1].id and phase.mode == "dense":
            skipped.add("before")
        following = phases[index + 1] if index + 1 < len(phases) else None
        if following is not None and following.parent == phase.id and following.mode == phase.mode:
            skipped.add("end")
        for histogram in (one for one in results.weights if one.phase == phase.id and one.moment not in skipped):
            title = {"before": "before {}", "after": "{} begins", "end": "{} ends"}[histogram.moment]
            yield _Panel(line, number, title.format(names[phase.id]), histogram)
            number += 1


def _within_budget(panels: Sequence[_Panel]) -> list[_Panel]:
    """All layers together of as many branches as there is room for, then single layers, the largest first."""
    lines = list(dict.fromkeys(panel.line for panel in panels))[:_MOST_LINES]
    sizes: dict[str, int] = {}
    for panel in panels:
        weights = panel.weights
        sizes[weights.layer] = max(sizes.get(weights.layer, 0), weights.pruned.weights + weights.surviving.weights)
    kept: list[_Panel] = []
    left = _MOST_BYTES
    for layer in sorted(sizes, key=lambda name: (name != "", -sizes[name])):
        for line in lines:
            group = [panel for panel in panels if panel.line == line and panel.weights.layer == layer]
            cost = sum(len(json.dumps(_row(panel))) for panel in group)
            if cost <= left:
                kept += group
                left -= cost
    return kept


def _layer(panel: _Panel) -> str:
    return layer_name(panel.weights.layer) or ALL_LAYERS


def _cells(weights: WeightHistogram) -> tuple[str, ...]:
    groups = (weights.pruned, weights.surviving)
    return tuple(
        text
        for group in groups
        for text in (f"{group.weights:,}", f"{group.zeros:,}", cell_text(group.mean_abs) if group.weights else "")
    )


def _row(panel: _Panel) -> Row:
    weights = panel.weights
    return {
        "branch": panel.line, "layer": _layer(panel), "panel": panel.title, "number": panel.number,
        "limit": float(f"{weights.limit:.5g}"), "zeros": weights.pruned.zeros + weights.surviving.zeros,
        "all": weights.pruned.weights + weights.surviving.weights,
        "pruned": list(weights.pruned.counts), "surviving": list(weights.surviving.counts),
        "highest": _highest(weights),
    }  # fmt: skip


def _highest(weights: WeightHistogram) -> int:
    """Where bars end."""
    counts = [sum(pair) for pair in zip(weights.pruned.counts, weights.surviving.counts, strict=False)]
    middle = (len(counts) - 1) / 2
    outside = [count for index, count in enumerate(counts) if abs(index - middle) > _MIDDLE * len(counts)]
    return _HIGHEST * max(outside, default=0) or max(counts, default=0)


def _spec(panels: Sequence[_Panel], lines: Sequence[str], layers: Sequence[str]) -> Row:
    """A panel for each moment; the branch and the layer are chosen."""
    edge = "datum.limit * (2 * {} / length(datum.bins) - 1)"
    transform: list[Row] = [
        {"filter": "datum.branch === branch && datum.layer === layer"},
        {"calculate": "sequence(length(datum.pruned))", "as": "bins"},
        {"calculate": "datum.bins", "as": "bin"},
        {"flatten": ["bin", "pruned", "surviving"]},
        {"calculate": edge.format("datum.bin"), "as": "from"},
        {"calculate": edge.format("(datum.bin + 1)"), "as": "to"},
        {"fold": ["surviving", "pruned"], "as": ["arm", "count"]},
        {"calculate": "min(datum.count, datum.highest) / datum.all / (datum.to - datum.from)", "as": "density"},
        {"calculate": "datum.arm === 'pruned' ? 1 : 0", "as": "above"},
    ]
    bars = {
        "mark": {"type": "bar", "binSpacing": 0},
        "encoding": {
            "x": {"field": "from", "type": "quantitative", "bin": {"binned": True}, "title": "weight",
                  "axis": {"grid": False, "tickCount": 4}},
            "x2": {"field": "to"},
            "y": {"field": "density", "type": "quantitative", "stack": "zero", "title": None,
                  "axis": {"tickCount": 3}},
            "order": {"field": "above"},
            "color": {**colour(), "sort": ["surviving", "pruned"],
                      "legend": {"orient": "bottom", "symbolType": "square"}},
        },
    }  # fmt: skip
    zeros = {
        "transform": [
            {"filter": "datum.bin === 0 && datum.arm === 'pruned' && datum.zeros > 0"},
            {"calculate": "format(datum.zeros / datum.all, '.3~p') + ' are 0'", "as": "words"},
        ],
        "mark": {"type": "text", "align": "right", "baseline": "top", "x": "width", "y": 0, "fontSize": 11},
        "encoding": {"text": {"field": "words"}},
    }
    spec = chart(
        [_row(panel) for panel in panels],
        params=[choice("branch", lines), choice("layer", layers)],
        transform=transform,
        facet={"field": "panel", "type": "nominal", "title": None, "sort": {"field": "number", "op": "min"}},
        columns=3,
        resolve={"scale": {"y": "independent"}},
        spec={"width": 220, "height": 120, "layer": [bars, zeros]},
    )
    del spec["width"], spec["height"]
    return spec
