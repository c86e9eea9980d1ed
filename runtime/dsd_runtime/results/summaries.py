"""The sentence that a run ends with where its schedule has no `compare` and no `expect`: what was measured."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from dsd_runtime.results.directions import higher_is_better
from dsd_runtime.results.figures.parts import Row, ends, ends_by_arm, short
from dsd_runtime.results.figures.pruning_rounds import rows_over_weights
from dsd_runtime.results.parts import PhaseResult
from dsd_runtime.results.results import Results
from dsd_runtime.results.tables import main_metric
from dsd_runtime.results.verdicts import amount, number

_UNTESTED = "nothing is tested: the schedule has no `compare`"


def summary_of(results: Results) -> str | None:
    """One sentence on the metric that a paper would print, by the shape of the program; None where none is measured."""
    metric = main_metric(results)
    if metric is None:
        return None
    found = _of_rounds(results, metric) or _of_arms(results, metric) or _of_line(results, metric)
    return None if found is None else f"{found}; {_UNTESTED}"


def _of_rounds(results: Results, metric: str) -> str | None:
    """How far each line of rounds can be pruned before it is worse than the dense network that it starts from."""
    higher = higher_is_better(metric, results.provenance.own_metrics)
    lines: dict[str, list[Row]] = {}
    for row in rows_over_weights(results, lambda phase: phase.metrics.get(metric)):
        lines.setdefault(row["arm"], []).append(row)
    dense = {row["mean"] for rows in lines.values() for row in rows if row["x"] == 100}
    if higher is None or len(dense) != 1:
        return None
    (start,) = dense
    told = []
    for name, rows in lines.items():
        alike = [
            row["x"] for row in rows if row["x"] < 100 and (row["mean"] >= start if higher else row["mean"] <= start)
        ]
        told.append(f"`{name}` {f'down to {number(min(alike))}% of the weights' if alike else 'nowhere'}")
    return f"no worse than the dense network ({metric} {number(start)}): {', '.join(told)}"


def _of_arms(results: Results, metric: str) -> str | None:
    """The best and the worst branch, chosen on the validation data where that was measured."""
    higher = higher_is_better(metric, results.provenance.own_metrics)
    chosen_by = f"val.{metric.partition('.')[2]}"
    arms = {name: (_mean(phases, chosen_by), _mean(phases, metric)) for name, phases in ends_by_arm(results).items()}
    judged = {
        name: (choice, value) for name, (choice, value) in arms.items() if choice is not None and value is not None
    }
    if higher is None or len(judged) < 2:
        return None
    ordered = sorted(judged, key=lambda name: judged[name][0], reverse=higher)
    best, worst = ordered[0], ordered[-1]
    values = [number(judged[name][1]) for name in (best, worst)]
    return (
        f"of {len(judged)} branches `{best}` has the best {chosen_by} ({metric} {values[0]}) "
        f"and `{worst}` the worst ({values[1]})"
    )


def _of_line(results: Results, metric: str) -> str | None:
    """The change from the first phase to the last."""
    line = [phase for phase in results.phases if phase.state == "trained" and phase.metrics.get(metric) is not None]
    last = ends(results).get("")
    if not line or last is None or line[-1].id != last.id:
        return None
    values = [phase.metrics[metric] for phase in (line[0], line[-1])]
    before, after = (value for value in values if value is not None)
    skipped = sum(phase.state == "skipped" for phase in results.phases)
    rounds = f", {skipped} phases skipped as their loop had ended" if skipped else ""
    if line[0].id == line[-1].id:
        return f"{metric} is {number(after)} after `{short(last)}`{rounds}"
    change = "the same"
    if after != before:
        change = f"{amount(after - before, metric)} {'lower' if after < before else 'higher'}"
    start = f"{metric} is {number(before)} after `{short(line[0])}`"
    return f"{start} and {number(after)} after `{short(last)}`, {change}{rounds}"


def _mean(phases: Sequence[PhaseResult], metric: str) -> float | None:
    values = [phase.metrics.get(metric) for phase in phases]
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None
