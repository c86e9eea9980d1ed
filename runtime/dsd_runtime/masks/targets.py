"""What a sparse phase asks for, as data; a target and a clock in, an exact ratio out.

A ratio is always the fraction *pruned*, an exact rational of the original size (:class:`Remaining`: of what is alive).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from typing import Literal

from dsd_lang.base.units import keep_count

RampShape = Literal["cubic", "linear", "cosine", "exp"]

_DIGITS = 12
_WORKING_DIGITS = 60
_PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")


@dataclass(frozen=True, slots=True)
class Pruned:
    """`sparse 0.5`: this fraction of the original size."""

    pruned: Fraction


@dataclass(frozen=True, slots=True)
class Remaining:
    """`sparse 20% of=remaining`: this fraction of the weights still alive; only they compete."""

    pruned: Fraction


@dataclass(frozen=True, slots=True)
class NofM:
    """`sparse 2:4`: the largest N of each M along the input dimension are kept."""

    n: int
    m: int


@dataclass(frozen=True, slots=True)
class Ramp:
    """`sparse 0->90% ramp=cubic every=100it`: a target that moves through the phase, re-selected now and then."""

    start: Fraction
    end: Fraction
    shape: RampShape = "cubic"
    every_updates: int = 100


@dataclass(frozen=True, slots=True)
class Held:
    """`sparse held`: the masks as they are."""


@dataclass(frozen=True, slots=True)
class PerSelector:
    """`sparse [conv: 30%, fc: 50%]`: one target for each selector, in the order of the list."""

    targets: tuple[Pruned | Remaining | NofM | Ramp | Held, ...]


Target = Pruned | Remaining | NofM | Ramp | Held | PerSelector


def remaining_keep_count(alive: int, pruned: Fraction, *, minimum: int = 1) -> int:
    """How many of `alive` weights stay when `pruned` of them go, in whole weights: A - round_half_even(s A).

    >>> remaining_keep_count(30000, Fraction(1, 5))
    24000
    """
    return keep_count(alive, pruned, minimum=minimum)


def is_selection_due(ramp: Ramp, update: int, length: int) -> bool:
    """Whether a phase of `length` updates selects anew before its update number `update` (from 0)."""
    return 0 <= update < length and update % ramp.every_updates == 0


def ramp_sparsity(ramp: Ramp, update: int, length: int) -> Fraction:
    """The ratio in force at `update` (from 0) of a phase of `length` updates.

    Selections happen at 0, e, 2e, ... below `length`; the first has exactly the left value, the last exactly the right
    one, and between selections the last one's value holds. With x = i/n at selection i of n (Zhu & Gupta 2017 for the
    cubic) and l, r the two ends:

    * linear: l + (r - l) x, and cubic: r + (l - r)(1 - x)^3, exact rationals;
    * cosine: r + (l - r)(1 + cos(pi x))/2;
    * exp: 1 - (1 - l)^(1 - x) (1 - r)^x, which prunes the same share of the survivors at each selection.

    Cosine and exp are computed to 60 digits and rounded to a rational of denominator 10^12. A phase too short for a
    second selection has the right value at once.

    >>> ramp_sparsity(Ramp(Fraction(0), Fraction(9, 10), "linear", 10), 25, 31)
    Fraction(3, 5)
    """
    if not update >= 0:
        raise ValueError(f"an update is counted from 0, not {update}")
    last = max(length - 1, 0) // ramp.every_updates
    selection = min(update // ramp.every_updates, last)
    if selection == last:
        return ramp.end
    if selection == 0:
        return ramp.start
    left, right, x = ramp.start, ramp.end, Fraction(selection, last)
    if ramp.shape == "linear":
        return left + (right - left) * x
    if ramp.shape == "cubic":
        return right + (left - right) * (1 - x) ** 3
    with localcontext() as context:
        context.prec = _WORKING_DIGITS
        if ramp.shape == "cosine":
            value = _decimal(right) + _decimal(left - right) * (1 + _cosine(_PI * _decimal(x))) / 2
        else:
            value = 1 - _power(1 - left, 1 - x) * _power(1 - right, x)
        return Fraction(value.quantize(Decimal(1).scaleb(-_DIGITS), rounding=ROUND_HALF_EVEN))


def resolve_ramps(target: Target, update: int, length: int) -> Target:
    """The target in force at `update` of a phase of `length` updates: every ramp becomes the ratio it has then."""
    if isinstance(target, Ramp):
        return Pruned(ramp_sparsity(target, update, length))
    if isinstance(target, PerSelector):
        return PerSelector(
            tuple(Pruned(ramp_sparsity(t, update, length)) if isinstance(t, Ramp) else t for t in target.targets)
        )
    return target


def _decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


def _power(base: Fraction, exponent: Fraction) -> Decimal:
    """`base ** exponent` for 0 <= base <= 1 and 0 < exponent < 1."""
    return (_decimal(base).ln() * _decimal(exponent)).exp() if base else Decimal(0)


def _cosine(angle: Decimal) -> Decimal:
    """The cosine's Taylor series to the context's precision, for an angle in 0..pi."""
    total, term, order = Decimal(1), Decimal(1), 0
    while abs(term) > Decimal(1).scaleb(-_WORKING_DIGITS):
        order += 2
        term *= -angle * angle / (order * (order - 1))
        total += term
    return total
