"""Pruned round after round: lottery tickets over the weights remaining (Figure 4), sparse double descent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dsd_runtime.results.figures.parts import (
    Figure,
    Row,
    by_sparsity,
    cell_text,
    chart,
    has_interval,
    line_name,
    lines_with_band,
    rounds,
)
from dsd_runtime.results.parts import PhaseResult
from dsd_runtime.results.results import Results
from dsd_runtime.results.tables import direction, main_metric, spread

_REMAINING = {
    "field": "x", "type": "quantitative", "title": "weights remaining, %",
    "scale": {"type": "log", "reverse": True, "nice": False},
    "axis": {"values": [100, 80, 64, 50, 40, 30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01], "format": "~g",
             "grid": False, "labelOverlap": True},
}  # fmt: skip
ValueOfPhase = Callable[[PhaseResult], float | None]


def tickets(results: Results) -> Figure | None:
    """The metric at the end over the share of weights that remain, on a log axis, for each line of rounds."""
    metric = main_metric(results)
    if metric is None or double_descent(results) is not None:
        return None
    rows = rows_over_weights(results, lambda phase: phase.metrics.get(metric))
    caption = f"{metric} at the end of each round; {direction(metric, results)}."
    return _over_weights(rows, "tickets", f"{metric} over the weights remaining", metric, caption)


def early_stop(results: Results) -> Figure | None:
    """The update with the smallest validation loss, over the weights that remain."""
    best: dict[str, tuple[float, int]] = {}
    counts: dict[str, int] = {}
    for row in results.metrics:
        if row.name == "val.loss" and row.value is not None:
            counts[row.node] = counts.get(row.node, 0) + 1
            best[row.node] = min(best.get(row.node, (row.value, row.update)), (row.value, row.update))
    if max(counts.values(), default=0) < 3 or double_descent(results) is not None:
        return None
    rows = rows_over_weights(results, lambda phase: float(best[phase.node][1]) if phase.node in best else None)
    title = "Early-stop update over the weights remaining"
    caption = "The update with the smallest validation loss of each round: how fast it learns."
    return _over_weights(rows, "early stop", title, "update", caption)


def double_descent(results: Results) -> Figure | None:
    """Train and test error and `entropy.relu` over sparsity, where labels are noisy or entropy is measured."""
    metric = main_metric(results)
    lines = rounds(results)
    names = {name for phases in lines.values() for phase in phases for name in phase.metrics}
    if metric is None or not lines or (results.provenance.noise is None and "entropy.relu" not in names):
        return None
    measure = metric.partition(".")[2]
    wanted = [name for name in (f"test.{measure}", f"train.{measure}", "train.loss", "entropy.relu") if name in names]
    rows = [
        {**row, "panel": name, "sparsity": 100 - row["x"]}
        for name in wanted
        for row in rows_over_weights(results, lambda phase, name=name: phase.metrics.get(name))  # type: ignore[misc]
    ]
    panels = [
        {
            "width": "container",
            "height": 150,
            "title": {"text": name, "anchor": "start", "fontSize": 12},
            "transform": [{"filter": {"field": "panel", "equal": name}}],
            "layer": lines_with_band(
                [row for row in rows if row["panel"] == name], _REMAINING, name, is_band=False, several=True
            ),
        }
        for name in wanted
    ]
    noise = "" if results.provenance.noise is None else f" Training labels have noise ({results.provenance.noise})."
    return Figure(
        name="double descent",
        title="Sparse double descent",
        caption=f"The end of each round; sparsity grows to the right.{noise}",
        spec=_stacked(rows, panels),
        headers=("metric", "arm", "sparsity, %", "mean", "lowest", "highest", "seeds"),
        rows=tuple(
            (row["panel"], row["arm"], cell_text(row["sparsity"]), cell_text(row["mean"]), cell_text(row["low"]),
             cell_text(row["high"]), str(row["seeds"]))
            for row in rows
        ),
    )  # fmt: skip


def _stacked(rows: Sequence[Row], panels: list[dict[str, object]]) -> dict[str, object]:
    """Panels below each other; a concatenation has no width of its own, so that each panel has a fixed one."""
    spec = chart(rows, vconcat=[{**panel, "width": 560} for panel in panels])
    del spec["width"], spec["height"]
    return spec


def _over_weights(rows: Sequence[Row], name: str, title: str, metric: str, caption: str) -> Figure | None:
    if not rows:
        return None
    interval = " Bars are the lowest and the highest seed." if has_interval(rows) else ""
    return Figure(
        name=name,
        title=title,
        caption=caption + interval,
        spec=chart(rows, layer=lines_with_band(rows, _REMAINING, metric, is_band=False, several=True)),
        headers=("arm", "weights remaining, %", metric, "lowest", "highest", "seeds"),
        rows=tuple(
            (row["arm"], cell_text(row["x"]), cell_text(row["mean"]), cell_text(row["low"]), cell_text(row["high"]),
             str(row["seeds"]))
            for row in rows
        ),
    )  # fmt: skip


def rows_over_weights(results: Results, value: ValueOfPhase) -> list[Row]:
    """A row for each line and sparsity; the dense network that a line starts from is its first."""
    found: list[Row] = []
    for name, phases in rounds(results).items():
        before = _dense_before(results, phases[0])
        groups = {0.0: [before]} if before is not None else {}
        groups |= by_sparsity(phases)
        for sparsity, members in groups.items():
            values = [one for phase in members if (one := value(phase)) is not None]
            mean = spread(values)
            if mean is not None and sparsity < 1:  # a log axis has no 0
                low, high = (min(values), max(values)) if len(values) > 1 else (None, None)
                found.append({"arm": name, "line": name, "x": round(100 * (1 - sparsity), 4), "mean": mean.mean,
                              "low": low, "high": high, "seeds": mean.seeds})  # fmt: skip
    return found


def _dense_before(results: Results, first: PhaseResult) -> PhaseResult | None:
    parent = next((phase for phase in results.phases if phase.id == first.parent), None)
    is_dense = parent is not None and parent.state == "trained" and not parent.sparsity
    return parent if is_dense and parent is not None and line_name(parent) else None
