"""Reads the metrics that a loop reports as numbers, and warns about missing and NaN ones."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from numbers import Real
from typing import cast

import numpy as np
from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Condition, Phase, Plan
from dsd_runtime.engine.conditions import MetricHistory, metrics_of
from dsd_runtime.engine.metric_table import Better, MetricTable


class Reports:
    """Reads the reports of one session; each warning is given once."""

    def __init__(self, plan: Plan, best_metric: str, table: MetricTable) -> None:
        self.table = table
        self._best_metric = best_metric
        self._with_direction = metrics_with_direction(plan, best_metric)
        self._with_best = {point.phase for point in plan.checkpoints if point.moment == "best"}
        self._said: set[tuple[str, str]] = set()

    def read(
        self, metrics: Mapping[str, object], higher_is_better: Iterable[str], lower_is_better: Iterable[str]
    ) -> dict[str, float]:
        """The report as floats; raises :class:`DsdError` for a value that is not a number, or without a direction."""
        found = numbers_of(metrics)
        for names, better in ((higher_is_better, "higher"), (lower_is_better, "lower")):
            for name in (names,) if isinstance(names, str) else names:
                if name not in found:
                    raise DsdError(
                        f"`{better}_is_better` names `{name}`, which is not reported with it",
                        help=f"this report has {', '.join(f'`{known}`' for known in found) or 'no metric'}",
                    )
                self.table.declare(name, cast(Better, better))
        for name in self._with_direction.intersection(found):
            self.table.higher_is_better(name)
        return found

    def undecidable(self, phase: Phase, found: Mapping[str, float]) -> list[str]:
        """Warnings about metrics that are NaN and that a condition or `@best` reads."""
        read = metrics_that_decide(phase) | ({self._best_metric} if phase.id in self._with_best else set())
        return [
            f"the metric `{name}` was reported as nan: no condition on it is true, and it is never the best value"
            for name in sorted(read)
            if name in found and math.isnan(found[name]) and self._is_first("nan", name)
        ]

    def uncalibrated(self, phase: Phase) -> list[str]:
        """The warning about metrics of a phase with `calibrate=` that were measured without it."""
        if phase.calibrate is None or not self._is_first("calibrate", phase.id):
            return []
        return [
            f"phase `{phase.label or phase.id}` has `calibrate=`, and metrics were reported without "
            "`session.calibrate(inputs)` since the last update"
        ]

    def missing(self, phase: Phase, history: MetricHistory) -> list[str]:
        """Warnings about metrics that a phase's `until` reads and that were not reported during the phase."""
        unread = [] if phase.until is None else sorted(metrics_of(phase.until) - history.in_phase.keys())
        name = phase.label or phase.id
        return [
            f"phase `{name}` ends by `until` on `{metric}`, which has not been reported, so it runs to its end; "
            f'call `session.report({{"{metric}": ...}})` after each pass over the data'
            for metric in unread
            if self._is_first(phase.id, metric)
        ]

    def missing_in_cycle(self, phase: Phase, following: Phase, history: MetricHistory) -> list[str]:
        """The same for the loops whose cycle ends with a phase, if the next phase begins another cycle."""
        going_on = {cycle.loop for cycle in following.cycles}
        return [
            f"a `repeat ... until` reads `{metric}`, which was not reported in its last cycle, so the loop continues"
            for cycle in phase.cycles
            if cycle.is_last_of_cycle and cycle.loop in going_on
            for metric in sorted(metrics_of(cycle.until) - history.in_cycle.get(cycle.loop, {}).keys())
            if self._is_first(cycle.loop, metric)
        ]

    def _is_first(self, where: str, metric: str) -> bool:
        is_first = (where, metric) not in self._said
        self._said.add((where, metric))
        return is_first


def numbers_of(metrics: Mapping[str, object]) -> dict[str, float]:
    """The metrics as floats: numbers, and tensors or arrays of one element; anything else is a :class:`DsdError`."""
    if not isinstance(metrics, Mapping):
        raise DsdError(
            f"metrics are reported by name, not as {_shown(metrics)}", help='write `session.report({"val.loss": 0.3})`'
        )
    return {_name(name): _number(name, value) for name, value in metrics.items()}


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise DsdError(f"the name of a metric must be a string, not {_shown(name)}", help="write for instance `val.f1`")
    return name


def _number(name: str, value: object) -> float:
    if isinstance(value, Real):
        return float(value)
    is_array = isinstance(value, Tensor | np.ndarray | np.generic)
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        return float(value)
    if isinstance(value, np.ndarray | np.generic) and value.size == 1 and value.dtype.kind in "fiub":
        return float(value.item())
    help_line = "report its mean, such as `float(losses.mean())`" if is_array else f'write `{{"{name}": 0.3}}`'
    raise DsdError(f"the metric `{name}` must be a number, not {_shown(value)}", help=help_line)


def _shown(value: object) -> str:
    if isinstance(value, Tensor | np.ndarray):
        return f"a {type(value).__name__} of shape {tuple(value.shape)}"
    return f"`{value!r}`" if isinstance(value, str | int | float) else f"a `{type(value).__name__}`"


def conditions_of(phase: Phase) -> Iterator[Condition]:
    """The conditions that may end a phase early: its own `until`, and those of its loops."""
    if phase.until is not None:
        yield phase.until
    for cycle in phase.cycles:
        yield cycle.until


def metrics_that_decide(phase: Phase) -> frozenset[str]:
    """Every metric that a condition on a phase reads."""
    return frozenset().union(*(metrics_of(condition) for condition in conditions_of(phase)))


def metrics_with_direction(plan: Plan, best_metric: str) -> frozenset[str]:
    """The metrics of a plan whose direction matters: those in `plateau`, `gain` and `drop`, and the one for `@best`."""
    conditions = [condition for phase in plan.phases for condition in conditions_of(phase)]
    directed = {metric for condition in conditions for metric in _directed(condition)}
    if any(point.moment == "best" for point in plan.checkpoints):
        directed.add(best_metric)
    return frozenset(directed)


def _directed(condition: Condition) -> Iterable[str]:
    if condition.kind == "call" and condition.name in ("plateau", "gain", "drop"):
        return metrics_of(condition)
    return [metric for part in condition.args for metric in _directed(part)]
