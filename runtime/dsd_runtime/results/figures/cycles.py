"""Diminishing returns: what each cycle of sparse and dense training gains."""

from __future__ import annotations

from dsd_lang.plan.seeds import arm_of
from dsd_runtime.results.directions import higher_is_better
from dsd_runtime.results.figures.parts import MAIN_LINE, Figure, Row, cell_text, chart, colour, mean_of, quantity
from dsd_runtime.results.parts import PhaseResult
from dsd_runtime.results.results import Results
from dsd_runtime.results.tables import main_metric


def gain_by_cycle(results: Results) -> Figure | None:
    """The improvement from dense phase to dense phase, for lines with at least two cycles."""
    metric = main_metric(results)
    higher = None if metric is None else higher_is_better(metric, results.provenance.own_metrics)
    if metric is None or higher is None:
        return None
    sign = 1 if higher else -1
    gains: dict[tuple[str, int], list[float | None]] = {}
    for path in dict.fromkeys(phase.path for phase in results.phases):
        for cycle, gain in enumerate(_gains(_line(results, path), metric), start=1):
            gains.setdefault((arm_of(path) or MAIN_LINE, cycle), []).append(None if gain is None else sign * gain)
    rows: list[Row] = []
    for (arm, cycle), values in gains.items():
        found = mean_of(values)
        if found is not None:
            rows.append({"arm": arm, "cycle": cycle, "mean": found.mean, "low": found.low, "high": found.high,
                         "seeds": found.seeds})  # fmt: skip
    if max((entry["cycle"] for entry in rows), default=0) < 2:
        return None
    several = len({entry["arm"] for entry in rows}) > 1
    axes = {"x": {"field": "cycle", "type": "ordinal", "title": "cycle", "axis": {"labelAngle": 0}},
            "xOffset": {"field": "arm"}}  # fmt: skip
    bars = {
        "mark": {"type": "bar"},
        "encoding": {**axes, "y": quantity("mean", f"gain of {metric}"), "color": colour(is_shown=several)},
    }
    return Figure(
        name="gain by cycle",
        title="Gain by cycle",
        caption=f"How much {metric} improves from the dense phase before a cycle to the one that ends it; below 0 it "
        "got worse.",
        spec=chart(rows, layer=[bars], height=200),
        headers=("arm", "cycle", f"gain of {metric}", "95% from", "to", "seeds"),
        rows=tuple(
            (row["arm"], str(row["cycle"]), cell_text(row["mean"]), cell_text(row["low"]), cell_text(row["high"]),
             str(row["seeds"]))
            for row in rows
        ),
    )  # fmt: skip


def _line(results: Results, path: str) -> list[PhaseResult]:
    """The phases of a path, with the dense one that it starts from."""
    own = [phase for phase in results.phases if phase.path == path and phase.state == "trained"]
    before = [phase for phase in results.phases if own and phase.id == own[0].parent]
    return before + own


def _gains(line: list[PhaseResult], metric: str) -> list[float | None]:
    """The changes between dense phases that have a sparse one between them."""
    found: list[float | None] = []
    last: PhaseResult | None = None
    has_pruned = False
    for phase in line:
        if phase.mode == "sparse":
            has_pruned = True
            continue
        if last is not None and has_pruned:
            now, before = phase.metrics.get(metric), last.metrics.get(metric)
            found.append(None if now is None or before is None else now - before)
        last, has_pruned = phase, False
    return found
