"""The closed forms of the learning rate (language reference, section 4): the shape in a phase, its warm-up, its end.

The runtime calls them with clocks that count updates, the pictures with clocks in any unit, and the compiler for
`last`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from fractions import Fraction

from dsd_lang.base.units import Length, exact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.plan.parts import Decay, Milestone
    from dsd_lang.plan.shapes import DecayData

RateShape = Callable[[float], float]
"""From the reading of the shape's clock to the rate."""

DEFAULT_STEP_FACTOR = "0.1"


def decay_shape(decay: Decay, start: Fraction, *, total: float, milestones: Sequence[float], epoch: float) -> RateShape:
    """The rate as a function of a clock that ends at ``total``; the numbers of the plan are parsed once, here.

    ``milestones`` are those of `step`, ``epoch`` is the length of an epoch for `exp`, all in the unit of the clock.
    With s the fraction of the clock that is over, start r, factor b and floor f: cosine f + (r - f)(1 + cos(pi s))/2,
    linear r + (f - r) s, step r b^(milestones passed), exp r b^(whole epochs passed). The rate is never below the
    floor.
    """
    first = float(start)
    floor = float(exact(decay.floor)) if decay.floor is not None else 0.0
    if decay.kind == "cosine":
        return lambda reading: floor + (first - floor) * 0.5 * (1.0 + math.cos(math.pi * _share(reading, total)))
    if decay.kind == "linear":
        return lambda reading: first + (floor - first) * _share(reading, total)
    if decay.kind == "step":
        passed_at = sorted(milestones)
        factor = exact(decay.factor or DEFAULT_STEP_FACTOR)
        values = [max(floor, float(start * factor**passed)) for passed in range(len(passed_at) + 1)]
        return lambda reading: values[bisect_right(passed_at, reading)]
    if decay.kind == "exp":
        base = float(exact(decay.factor or "1"))
        return lambda reading: max(floor, first * base ** int(reading // epoch))
    return lambda reading: first


def _share(reading: float, total: float) -> float:
    return min(1.0, reading / total) if total else 0.0


def with_warmup(rate: float, update: int, warmup_updates: int) -> float:
    """The rate of a phase's update (from 0) under a linear warm-up over its first updates."""
    return rate * (update + 1) / warmup_updates if update < warmup_updates else rate


def milestone_update(milestone: Milestone, total: int, updates_per_epoch: int) -> int:
    """The update at which a milestone of a phase of ``total`` updates takes effect."""
    if milestone.unit == "ratio":
        return round(exact(milestone.value) * total)
    return Length(exact(milestone.value), milestone.unit).updates(updates_per_epoch)


def final_exponent(decay: DecayData, length: Fraction, unit: str) -> int | None:
    """How often the factor of `step` or `exp` has been applied at the end of a phase; None if unknown before the run.

    ``decay`` is in the plan's JSON form. The order of a milestone and a length in different units is unknown.
    """
    if decay["kind"] == "exp":
        return int(length) if unit == "ep" and length.denominator == 1 else None
    passed = 0
    for milestone in decay["milestones"]:
        value = exact(milestone["value"])
        if milestone["unit"] == "ratio":
            passed += value < 1
        elif milestone["unit"] == unit:
            passed += value < length
        else:
            return None
    return passed
