"""Checks every `expect` of a plan: whether it holds, both sides of it, and by how much."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dsd_lang.base.metrics import is_in_points, split_metric
from dsd_lang.base.units import exact
from dsd_lang.plan import Condition, Expectation, Plan
from dsd_lang.plan.operators import ARITHMETIC, COMPARE
from dsd_runtime.results.arms import measured_arm
from dsd_runtime.results.measurements import Measurements
from dsd_runtime.results.parts import ComparisonResult, ExpectationResult
from dsd_runtime.results.verdicts import expectation_verdict


class _Answered(NamedTuple):
    """What an `expect` can ask about."""

    measured: Measurements
    comparisons: Sequence[ComparisonResult]


class _Undecided(Exception):
    """A value that a condition needs is not there, or the condition cannot be asked of a finished run."""


def check_expectations(
    plan: Plan, measured: Measurements, comparisons: Sequence[ComparisonResult]
) -> tuple[ExpectationResult, ...]:
    """One result for each `expect`; the value of an arm is the mean over its seeds after its last phase.

    A p value is that of the comparison over seeds, as it is: not adjusted for other comparisons.
    """
    answered = _Answered(measured, comparisons)
    return tuple(_checked(one, answered) for one in plan.expectations)


def _checked(one: Expectation, measured: _Answered) -> ExpectationResult:
    try:
        left, right = _sides(one.condition, measured)
        holds = _holds(one.condition, measured)
    except _Undecided as why:
        verdict = expectation_verdict(one.text, holds=None, margin=None, why_not=str(why))
        return ExpectationResult(text=one.text, holds=None, verdict=verdict)
    margin = None if left is None or right is None else left - right
    verdict = expectation_verdict(one.text, holds=holds, margin=margin)
    return ExpectationResult(text=one.text, holds=holds, left=left, right=right, margin=margin, verdict=verdict)


def _sides(condition: Condition, measured: _Answered) -> tuple[float | None, float | None]:
    """Both sides of a single comparison; None for a condition of several."""
    if condition.kind != "compare":
        return None, None
    in_points = any(map(is_in_points, _metrics(condition)))
    left, right = (_value(part, measured, in_points=in_points) for part in condition.args)
    return left, right


def _holds(condition: Condition, measured: _Answered) -> bool:
    if condition.kind == "and":
        return all(_holds(part, measured) for part in condition.args)
    if condition.kind == "or":
        return any(_holds(part, measured) for part in condition.args)
    if condition.kind == "not":
        return not _holds(condition.args[0], measured)
    left, right = _sides(condition, measured)
    if left is None or right is None:
        raise _Undecided(f"`{condition.name}` is asked while a loop trains, not at the end")
    return COMPARE[condition.op or "<"](left, right)


def _value(operand: Condition, measured: _Answered, *, in_points: bool) -> float:
    if operand.kind == "number":
        value = float(exact(operand.value or "0"))
        return value * 100 if operand.percent and in_points else value
    if operand.kind == "arithmetic":
        left, right = (_value(part, measured, in_points=in_points) for part in operand.args)
        if operand.op == "/" and right == 0:
            raise _Undecided("it divides by 0")
        return ARITHMETIC[operand.op or "+"](left, right)
    if operand.kind == "metric":
        return _mean_of_arm(operand.name or "", measured.measured)
    if operand.kind == "p":
        return _p_value(measured.comparisons[operand.comparison or 0])
    if operand.name == "mean":
        return _value(operand.args[0], measured, in_points=in_points)
    raise _Undecided(f"`{operand.name}` is asked while a loop trains, not at the end")


def _mean_of_arm(name: str, measured: Measurements) -> float:
    arm, metric = split_metric(name)
    values = measured_arm(measured, arm, metric, "end").values
    for item in values:
        if item.why_not is not None or item.value is None:
            raise _Undecided(f"{_line(item.path)} has no `{metric}`: {item.why_not}")
    if not values:
        raise _Undecided(f"{_line(arm)} has no phases")
    return statistics.fmean(item.value for item in values if item.value is not None)


def _line(path: str) -> str:
    return f"`{path}`" if path else "the main line"


def _p_value(compared: ComparisonResult) -> float:
    if compared.seeds.p is None:
        raise _Undecided(f"`{compared.left.name}` against `{compared.right.name}` has no p: {compared.seeds.why_not}")
    return compared.seeds.p


def _metrics(condition: Condition) -> Iterator[str]:
    if condition.kind == "metric":
        yield split_metric(condition.name or "")[1]
    for part in condition.args:
        yield from _metrics(part)
