"""The two sides of a `compare`: the value of each arm for each of its seeds, and what the arm cost."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Literal

from dsd_lang.plan import Phase
from dsd_runtime.results.directions import higher_is_better
from dsd_runtime.results.flops import FlopsByLayer, added, in_all
from dsd_runtime.results.measurements import Measurements, MetricRows
from dsd_runtime.results.parts import ArmCost, ArmValue, ComparedArm


def phases_by_seed(measured: Measurements, arm: str) -> dict[int, list[Phase]]:
    """The arm's own phases for each of its seeds, in order; seeds are numbered as the plan does."""
    seeds = measured.arms.get(arm, {}).values()
    indices = [phases[0].seed_index for phases in seeds]
    if len(set(indices)) < len(indices):  # forks with seeds within forks with seeds
        indices = list(range(len(indices)))
    return dict(zip(indices, seeds, strict=True))


def measured_arm(measured: Measurements, arm: str, metric: str, at: Literal["end", "best"]) -> ComparedArm:
    """The values of an arm: after its last phase, or at the evaluation with the best validation metric."""
    seeds = phases_by_seed(measured, arm)
    values = tuple(_value(measured, seed, phases, metric, at) for seed, phases in seeds.items())
    budgets = [_budget(measured, phases[-1]) for phases in seeds.values()]
    known = [budget for budget in budgets if budget is not None]
    return ComparedArm(name=arm, values=values, budget=_mean(known) if known else None)


def _value(
    measured: Measurements, seed: int, phases: Sequence[Phase], metric: str, at: Literal["end", "best"]
) -> ArmValue:
    path = phases[-1].path
    last = measured.trained(phases[-1])
    if last is None:
        state = measured.state(phases[-1])
        return ArmValue(
            seed=seed, path=path, why_not=f"its last phase is {state if state != 'to train' else 'not trained'}"
        )
    if at == "best":
        return _best(measured, seed, phases, metric)
    value = measured.at_end(last).get(metric)
    if value is None:
        is_there = metric in measured.at_end(last)
        why = f"`{metric}` is not a finite number there" if is_there else f"`{metric}` was not measured"
        return ArmValue(seed=seed, path=path, phase=last.id, value=math.nan if is_there else None, why_not=why)
    return ArmValue(seed=seed, path=path, phase=last.id, value=value)


def _best(measured: Measurements, seed: int, phases: Sequence[Phase], metric: str) -> ArmValue:
    """The metric where the validation metric of the same measure was best, among the evaluations that have both."""
    path = phases[-1].path
    chosen_by = f"val.{metric.partition('.')[2]}"
    higher = higher_is_better(chosen_by, measured.own_metrics)
    if higher is None:
        why = f"`at=best` needs a validation metric with a known direction, and `{chosen_by}` is none"
        return ArmValue(seed=seed, path=path, why_not=why)
    sign = 1 if higher else -1
    found: list[tuple[float, float, str]] = []
    for phase in phases:
        choosing = _by_update(measured.over_time(phase, chosen_by))
        for update, value in _by_update(measured.over_time(phase, metric)).items():
            if update in choosing:
                found.append((sign * choosing[update], value, phase.id))
    if not found:
        return ArmValue(seed=seed, path=path, why_not=f"no evaluation measured both `{chosen_by}` and `{metric}`")
    _, value, phase_id = max(found, key=lambda item: item[0])
    return ArmValue(seed=seed, path=path, phase=phase_id, value=value)


def _by_update(rows: MetricRows) -> dict[int, float]:
    return {row.update: row.value for row in rows if row.value is not None}


def _mean(budgets: Sequence[ArmCost]) -> ArmCost:
    """Over the seeds, which differ where a condition ends phases."""
    executed, theoretical = (
        [getattr(one, name) for one in budgets] for name in ("flops_executed", "flops_theoretical")
    )
    return ArmCost(
        epochs=statistics.fmean(one.epochs for one in budgets),
        updates=round(statistics.fmean(one.updates for one in budgets)),
        density_weighted_epochs=statistics.fmean(one.density_weighted_epochs for one in budgets),
        flops_executed=None if None in executed else round(statistics.fmean(executed)),
        flops_theoretical=None if None in theoretical else round(statistics.fmean(theoretical)),
    )


def _budget(measured: Measurements, last: Phase) -> ArmCost | None:
    """What the line up to a phase has cost; None where a phase of it has not been trained."""
    epochs, updates, weighted = 0.0, 0, 0.0
    flops: list[FlopsByLayer | None] = []
    for phase in measured.plan.line(last.id):
        if measured.state(phase) == "skipped":
            continue
        row = measured.last_row(phase)
        if row is None or measured.state(phase) != "trained":
            return None
        epochs, updates = epochs + row.epoch, updates + row.update
        weighted += measured.density_weighted_epochs(phase)
        flops.append(measured.flops(phase))
    total = in_all(added(flops))
    return ArmCost(
        epochs=round(epochs, 6),
        updates=updates,
        density_weighted_epochs=round(weighted, 6),
        flops_executed=total.executed if total is not None else None,
        flops_theoretical=total.theoretical if total is not None else None,
    )
