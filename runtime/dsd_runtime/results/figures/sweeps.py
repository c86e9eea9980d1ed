"""Sensitivity: a metric over the value that a `sweep` varies, or over two values as a heat map."""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.base.arms import split_index, split_path
from dsd_lang.plan.seeds import arm_of
from dsd_runtime.results.figures.parts import (
    Figure,
    MeanOfSeeds,
    Row,
    cell_text,
    chart,
    colour,
    ends_by_arm,
    has_interval,
    heat_cells,
    mean_of,
    quantity,
    swept,
)
from dsd_runtime.results.parts import PhaseResult
from dsd_runtime.results.results import Results
from dsd_runtime.results.tables import direction, main_metric

_MOST_LINES = 8


def sensitivity(results: Results) -> Figure | None:
    """The metric at the end over one swept value for each arm of the sweep, with a 95% interval over the seeds."""
    names, metric = swept(results), main_metric(results)
    if len(names) != 1 or metric is None:
        return None
    rows = [
        {"x": _value(phases[0], names[0]), "label": phases[0].variables[names[0]], "arm": arm or metric, **_told(found)}
        for arm, phases, found in _measured(results, names, metric)
    ]
    if len({row["label"] for row in rows}) < 2:
        return None
    num_arms = len({row["arm"] for row in rows})
    return Figure(
        name="sensitivity",
        title=f"Sensitivity to {names[0]}",
        caption=f"{metric} at the end over {names[0]}{_intervals(rows)}; {direction(metric, results)}.",
        spec=_lines(rows, names[0], metric) if num_arms <= _MOST_LINES else _cells_of_arms(rows, names[0], metric),
        headers=(*(("arm",) if num_arms > 1 else ()), names[0], metric, "95% from", "to", "seeds"),
        rows=tuple(
            (
                *((row["arm"],) if num_arms > 1 else ()),
                row["label"],
                cell_text(row["mean"]),
                cell_text(row["low"]),
                cell_text(row["high"]),
                str(row["seeds"]),
            )
            for row in rows
        ),
    )


def _lines(rows: Sequence[Row], name: str, metric: str) -> Row:
    """A line for each arm, with its interval."""
    several = len({row["arm"] for row in rows}) > 1
    hue = {"color": colour()} if several else {}
    is_numeric = all(isinstance(row["x"], float) for row in rows)
    x = quantity("x", name) if is_numeric else {"field": "x", "type": "ordinal", "title": name, "sort": None}
    interval = {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "errorbar", "ticks": True},
        "encoding": {"x": x, "y": quantity("low", metric), "y2": {"field": "high"}, **hue},
    }
    line = {
        "mark": {"type": "line", "point": {"filled": True, "size": 40}},
        "encoding": {"x": x, "y": quantity("mean", metric), **hue},
    }
    return chart(rows, layer=[*([interval] if has_interval(rows) else []), line])


def _cells_of_arms(rows: Sequence[Row], name: str, metric: str) -> Row:
    """A row of cells for each arm: more arms than a reader can tell apart by the colours of lines."""
    axes = {
        "x": {"field": "label", "type": "ordinal", "title": name, "sort": None, "axis": {"labelAngle": 0}},
        "y": {"field": "arm", "type": "ordinal", "title": None, "sort": None},
    }
    cells = heat_cells(axes, "mean", metric, [row["mean"] for row in rows])
    return chart(rows, layer=cells, height=26 * len({row["arm"] for row in rows}))


def heat_map(results: Results) -> Figure | None:
    """The metric at the end over two swept values; of several arms in each cell, of the first."""
    names, metric = swept(results), main_metric(results)
    if len(names) != 2 or metric is None:
        return None
    measured = _measured(results, names, metric)
    arms = list(dict.fromkeys(arm for arm, _, _ in measured))
    rows = [
        {"x": phases[0].variables[names[0]], "y": phases[0].variables[names[1]], **_told(found)}
        for arm, phases, found in measured
        if arm == arms[0]
    ]
    if len(rows) < 2:
        return None
    axes = {
        "x": {"field": "x", "type": "ordinal", "title": names[0], "sort": None, "axis": {"labelAngle": 0}},
        "y": {"field": "y", "type": "ordinal", "title": names[1], "sort": None},
    }
    return Figure(
        name="heat map",
        title=f"{metric} over {names[0]} and {names[1]}{f': {arms[0]}' if len(arms) > 1 else ''}",
        caption=f"{metric} at the end, the mean over the seeds; {direction(metric, results)}.",
        spec=chart(
            rows,
            layer=heat_cells(axes, "mean", metric, [row["mean"] for row in rows]),
            height=44 * len({row["y"] for row in rows}),
        ),
        headers=(*names, metric, "95% from", "to", "seeds"),
        rows=tuple(
            (
                row["x"],
                row["y"],
                cell_text(row["mean"]),
                cell_text(row["low"]),
                cell_text(row["high"]),
                str(row["seeds"]),
            )
            for row in rows
        ),
    )


def _measured(results: Results, names: Sequence[str], metric: str) -> list[tuple[str, list[PhaseResult], MeanOfSeeds]]:
    """Each arm's ends that share the swept values, with the mean of their metric, in the order of the sweep."""
    groups: dict[tuple[str, ...], list[PhaseResult]] = {}
    ends = [
        phase for phases in ends_by_arm(results).values() for phase in phases if phase.variables.keys() >= set(names)
    ]
    arms = _arms_within([phase.path for phase in ends])
    for arm, phase in zip(arms, ends, strict=True):
        groups.setdefault((arm, *(phase.variables[name] for name in names)), []).append(phase)
    found = [
        (key[0], phases, mean_of([phase.metrics.get(metric) for phase in phases])) for key, phases in groups.items()
    ]
    return [(arm, phases, mean) for arm, phases, mean in found if mean is not None]


def _arms_within(paths: Sequence[str]) -> list[str]:
    """The arms without their swept values; with the labels of sweeps only where these tell arms apart.

    >>> _arms_within(["s=25%.dsd.seed0", "dsd.s=0.5,w=1e-4", "s=25%"]), _arms_within(["a[25%]", "b[25%]"])
    (['dsd', 'dsd', ''], ['a', 'b'])
    >>> _arms_within(["dsd.grid[0.5].seed0", "dsd.grid[25%].seed0", "no.grid[25%].seed0"])
    ['dsd', 'dsd', 'no']
    """
    split = [[split_index(part) for part in split_path(arm_of(path))] for path in paths]
    named = [[(name, index) for name, index in parts if "=" not in name and not name[:1].isdigit()] for parts in split]
    whole = [".".join(name for name, _ in parts) for parts in named]
    short = [".".join(name for name, index in parts if not index) for parts in named]
    return short if len(set(short)) == len(set(whole)) else whole


def _value(phase: PhaseResult, name: str) -> float | str:
    text = phase.variables[name]
    try:
        return float(text)
    except ValueError:
        return text


def _told(found: MeanOfSeeds) -> Row:
    return {"mean": found.mean, "low": found.low, "high": found.high, "seeds": found.seeds}


def _intervals(rows: Sequence[Row]) -> str:
    return ", with 95% t intervals over the seeds" if has_interval(rows) else ", one seed"
