"""Evaluates `until` conditions on reported metrics.

Numbers are compared as reported. A percentage (`10%`) means ten points for a metric in percent points (such as the
error rates of `dsd-run`) and 0.1 for any other.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_lang.base.units import exact
from dsd_lang.plan import Condition, Phase
from dsd_lang.plan.operators import ARITHMETIC, COMPARE
from dsd_runtime.engine.metric_table import MetricTable


@dataclass(slots=True)
class MetricHistory:
    """Reported values: of the current phase for `plateau`; at the end of each cycle for `gain`, `drop`, `falling`.

    A cycle has only the values reported in it; those of an earlier cycle are not used.
    """

    latest: dict[str, float] = field(default_factory=dict)
    in_phase: dict[str, list[float]] = field(default_factory=dict)
    in_cycle: dict[str, dict[str, float]] = field(default_factory=dict)
    at_cycle_ends: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    def report(self, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self.latest[name] = float(value)
            self.in_phase.setdefault(name, []).append(float(value))
            for values in self.in_cycle.values():
                values[name] = float(value)

    def enter_phase(self) -> None:
        self.in_phase = {}

    def start_loop(self, loop: str) -> None:
        """Stores the last reported values before a loop's first cycle."""
        if loop not in self.at_cycle_ends:
            self.at_cycle_ends[loop] = [dict(self.latest)]
            self.in_cycle[loop] = {}

    def end_cycle(self, loop: str) -> None:
        self.at_cycle_ends.setdefault(loop, []).append(self.in_cycle.get(loop, {}))
        self.in_cycle[loop] = {}

    def to_try(self) -> MetricHistory:
        """A copy whose cycles can be ended without ending them here; the reported values are shared."""
        ends = {loop: list(values) for loop, values in self.at_cycle_ends.items()}
        return MetricHistory(self.latest, self.in_phase, dict(self.in_cycle), ends)

    def state_dict(self) -> dict[str, Any]:
        """A copy as plain data."""
        return {name: copy.deepcopy(getattr(self, name)) for name in _HISTORY_FIELDS}

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> MetricHistory:
        return cls(*(copy.deepcopy(dict(state[name])) for name in _HISTORY_FIELDS))


_HISTORY_FIELDS = ("latest", "in_phase", "in_cycle", "at_cycle_ends")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Evaluates one condition on a history; ``loop`` is the loop whose cycles `gain` and `drop` compare."""

    history: MetricHistory
    table: MetricTable
    loop: str | None = None

    def holds(self, condition: Condition) -> bool:
        """Whether the condition is true; a comparison with a metric that has not been reported yet is false."""
        if condition.kind == "and":
            return all(self.holds(part) for part in condition.args)
        if condition.kind == "or":
            return any(self.holds(part) for part in condition.args)
        if condition.kind == "not":
            return not self.holds(condition.args[0])
        if condition.kind == "compare":
            return self._compare(condition)
        if condition.kind == "call":
            return self._predicate(condition)
        raise DsdError(f"`{condition.name or condition.kind}` is a number, but a condition is expected")

    def _compare(self, condition: Condition) -> bool:
        in_points = any(metric in self.table.percent for metric in metrics_of(condition))
        left, right = (self._value(operand, in_points=in_points) for operand in condition.args)
        if left is None or right is None:
            return False
        return COMPARE[condition.op or "<"](left, right)

    def _value(self, operand: Condition, *, in_points: bool) -> float | None:
        if operand.kind == "number":
            number = float(exact(operand.value or "0"))
            return number * 100 if operand.percent and in_points else number
        if operand.kind == "metric":
            return self.history.latest.get(operand.name or "")
        if operand.kind == "arithmetic":
            values = [self._value(part, in_points=in_points) for part in operand.args]
            if any(value is None for value in values):
                return None
            left, right = values
            assert left is not None
            assert right is not None
            return ARITHMETIC[operand.op or "+"](left, right)
        return self._change(operand)

    def _cycle_values(self, metric: str) -> list[float]:
        return [values[metric] for values in self.history.at_cycle_ends.get(self.loop or "", []) if metric in values]

    def _change(self, call: Condition) -> float | None:
        """`gain(m)`: improvement in the last cycle; `drop(m)`: how much worse it ended than the best cycle."""
        metric = call.args[0].name or ""
        values = self._cycle_values(metric)
        if len(values) < 2:
            return None
        sign = 1.0 if self.table.higher_is_better(metric) else -1.0
        if call.name == "gain":
            return sign * (values[-1] - values[-2])
        if call.name == "drop":
            best = max(sign * value for value in values[:-1])
            return best - sign * values[-1]
        raise DsdError(f"`{call.name}` is not a change of a metric; expected `gain` or `drop`")

    def _predicate(self, call: Condition) -> bool:
        metric = call.args[0].name or "" if call.args else ""
        if call.name == "plateau":
            return self._is_plateau(metric, call)
        if call.name == "falling":
            rounds = int(exact(call.options.get("rounds", "1")))
            values = self._cycle_values(metric)[-(rounds + 1) :]
            return len(values) == rounds + 1 and all(b < a for a, b in pairwise(values))
        raise DsdError(f"`{call.name}` is not a condition; expected `plateau` or `falling`")

    def _is_plateau(self, metric: str, call: Condition) -> bool:
        patience = int(exact(call.options.get("patience", "3")))
        delta = float(exact(call.options.get("delta", "0")))
        values = self.history.in_phase.get(metric, [])
        best, stale = None, 0
        for value in values:
            if best is None or self.table.is_better(metric, value, best, by=delta):
                best, stale = value, 0
            else:
                stale += 1
        return stale >= patience


def metrics_of(condition: Condition) -> frozenset[str]:
    """Every metric a condition reads."""
    if condition.kind == "metric":
        return frozenset({condition.name or ""})
    return frozenset().union(*(metrics_of(part) for part in condition.args))


def close_cycles(history: MetricHistory, ended: set[str], phase: Phase, table: MetricTable) -> None:
    """Ends the cycles whose last phase this is, and adds loops whose condition is then true to ``ended``.

    A phase that was skipped because an inner loop had ended still ends the cycles of the outer loops.
    """
    for cycle in phase.cycles:
        if cycle.is_last_of_cycle and cycle.loop in history.in_cycle and cycle.loop not in ended:
            history.end_cycle(cycle.loop)
            if Evaluation(history, table, cycle.loop).holds(cycle.until):
                ended.add(cycle.loop)


def replayed(
    finished: Sequence[tuple[Phase, Mapping[str, float] | None]],
    table: MetricTable,
    *,
    closes_last: bool,
) -> tuple[MetricHistory, set[str]]:
    """The history after a sequence of phases, and the loops that their condition ended; None means skipped.

    With ``closes_last``, the cycle of the last trained phase and the phases skipped after it count as ended too, as
    they do once the next phase is entered.
    """
    history, ended = MetricHistory(), set[str]()
    last = max((index for index, (_, metrics) in enumerate(finished) if metrics is not None), default=-1)
    for index, (phase, metrics) in enumerate(finished):
        if metrics is not None and not any(cycle.loop in ended for cycle in phase.cycles):
            for cycle in phase.cycles:
                history.start_loop(cycle.loop)
            history.enter_phase()
            history.report(metrics)
        if index == last and not closes_last:
            break
        close_cycles(history, ended, phase, table)
    return history, ended
