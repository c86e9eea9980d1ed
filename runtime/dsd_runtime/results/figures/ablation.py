"""Ablation: the difference of every arm to the first one, as a forest plot."""

from __future__ import annotations

from dsd_lang.plan.seeds import arm_of
from dsd_runtime.results.figures.parts import (
    Figure,
    Row,
    cell_text,
    chart,
    ends_by_arm,
    has_interval,
    quantity,
    rounds,
    swept,
)
from dsd_runtime.results.parts import PhaseResult
from dsd_runtime.results.results import Results
from dsd_runtime.results.seed_tests import compare_seeds
from dsd_runtime.results.tables import direction, main_metric


def ablation(results: Results) -> Figure | None:
    """Differences with 95% intervals over the seeds, for three or more arms that neither a sweep nor rounds made."""
    metric, found = main_metric(results), ends_by_arm(results)
    if metric is None or len(found) < 3 or swept(results) or rounds(results):
        return None
    first, *others = found
    rows = [row for arm in others if (row := _difference(arm, found[arm], found[first], metric)) is not None]
    if not rows:
        return None
    y = {"field": "arm", "type": "nominal", "title": None, "sort": None}
    x = f"{metric}, difference to {first}"
    zero = {"mark": {"type": "rule", "strokeDash": [3, 3], "opacity": 0.6}, "encoding": {"x": {"datum": 0}}}
    interval: Row = {
        "transform": [{"filter": "isValid(datum.low)"}],
        "mark": {"type": "rule", "strokeWidth": 2},
        "encoding": {"y": y, "x": quantity("low", x), "x2": {"field": "high"}},
    }
    mean = {
        "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
        "encoding": {"y": y, "x": quantity("mean", x)},
    }
    how = ", with 95% t intervals of the paired differences" if has_interval(rows) else ""
    return Figure(
        name="ablation",
        title=f"Every arm against {first}",
        caption=f"{metric} at the end minus that of {first}{how}; {direction(metric, results)}.",
        spec=chart(rows, layer=[zero, *([interval] if has_interval(rows) else []), mean], height=30 * len(rows)),
        headers=("arm", f"{metric} minus {first}", "95% from", "to", "seeds", "p"),
        rows=tuple(
            (row["arm"], cell_text(row["mean"]), cell_text(row["low"]), cell_text(row["high"]), str(row["seeds"]),
             "" if row["p"] is None else f"{row['p']:.2g}")
            for row in rows
        ),
    )  # fmt: skip


def _difference(arm: str, phases: list[PhaseResult], base: list[PhaseResult], metric: str) -> Row | None:
    sides = [
        {phase.seed: value for phase in side if (value := phase.metrics.get(metric)) is not None}
        for side in (phases, base)
    ]
    test = compare_seeds(*sides, test="paired")
    if test.difference is None:
        return None
    interval = test.interval
    return {
        "arm": arm_of(arm),
        "mean": test.difference,
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
        "seeds": test.n_left,
        "p": test.p,
    }
