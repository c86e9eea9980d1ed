"""The budgets of two arms in words: epochs, and FLOPs as executed."""

from __future__ import annotations

import math
from typing import NamedTuple

from dsd_runtime.results.parts import ArmCost

_SAME, _ROUNDED = 1e-3, 1e-5
"""Relative: what nobody calls unequal, and three digits do not show. Absolute: epochs are rounded to six digits."""


class Budgets(NamedTuple):
    """What stands in a verdict, and whether both arms cost the same."""

    text: str
    is_equal: bool


def budgets_text(left: ArmCost, right: ArmCost) -> Budgets:
    """`6 epochs and 2e9 FLOPs each`, or both sides of what is different.

    >>> cost = ArmCost(epochs=6, updates=120, density_weighted_epochs=5, flops_executed=1_990_000_000)
    >>> budgets_text(cost, cost).text
    '6 epochs and 1.99e9 FLOPs each'
    >>> budgets_text(cost, cost.model_copy(update={"epochs": 7.5})).text
    'unequal budgets: 6 and 7.5 epochs, 1.99e9 FLOPs each'
    >>> budgets_text(*[cost.model_copy(update={"epochs": 1, "flops_executed": None})] * 2).text
    '1 epoch each'
    >>> budgets_text(cost, cost.model_copy(update={"epochs": 5.999999, "flops_executed": 1_990_500_000})).is_equal
    True
    """
    a, b = left.epochs, right.epochs
    parts = [_pair(f"{round(a, 3):g}", f"{round(b, 3):g}", "epochs", is_same=_is_same(a, b))]
    if left.flops_executed is not None and right.flops_executed is not None:
        a, b = left.flops_executed, right.flops_executed
        parts.append(_pair(flops_text(a), flops_text(b), "FLOPs", is_same=_is_same(a, b)))
    if all(part.is_equal for part in parts):
        return Budgets(" and ".join(part.text for part in parts) + " each", True)
    texts = [f"{part.text} each" if part.is_equal else part.text for part in parts]
    return Budgets(f"unequal budgets: {', '.join(texts)}", False)


def flops_text(flops: float) -> str:
    """Three significant digits: `1.99e9`; small numbers in full.

    >>> flops_text(1_990_000_000), flops_text(640)
    ('1.99e9', '640')
    """
    return f"{flops:.0f}" if flops < 1e4 else f"{flops:.3g}".replace("e+0", "e").replace("e+", "e")


def _pair(left: str, right: str, unit: str, *, is_same: bool) -> Budgets:
    if is_same and left == "1":
        return Budgets(f"1 {unit.removesuffix('s')}", True)
    return Budgets(f"{left} {unit}" if is_same else f"{left} and {right} {unit}", is_same)


def _is_same(left: float, right: float) -> bool:
    return math.isclose(left, right, rel_tol=_SAME, abs_tol=_ROUNDED)
