"""The closed forms of a ramp target (language reference, section 3): the share pruned during it, and its mean."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from typing import Literal

RampShape = Literal["cubic", "linear", "cosine", "exp"]

_DIGITS = 12
_WORKING_DIGITS = 60
_PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")
# the mean distance of a shape from its end, as a share of the whole
_MEAN_DISTANCE = {"cubic": Fraction(1, 4), "linear": Fraction(1, 2), "cosine": Fraction(1, 2)}


def ramp_value(left: Fraction, right: Fraction, shape: str, x: Fraction) -> Fraction:
    """The share pruned when the fraction ``x`` of a ramp from ``left`` to ``right`` is over, 0 <= x <= 1.

    * linear: l + (r - l) x, and cubic: r + (l - r)(1 - x)^3 (Zhu & Gupta 2017), exact rationals;
    * cosine: r + (l - r)(1 + cos(pi x))/2;
    * exp: 1 - (1 - l)^(1 - x) (1 - r)^x, where each selection prunes the same share of the remaining weights.

    Cosine and exp are computed to 60 digits and rounded to a rational of denominator 10^12; the ends are exact.
    """
    if x in (0, 1):
        return right if x else left
    if shape == "linear":
        return left + (right - left) * x
    if shape == "cubic":
        return right + (left - right) * (1 - x) ** 3
    with localcontext() as context:
        context.prec = _WORKING_DIGITS
        if shape == "cosine":
            value = _decimal(right) + _decimal(left - right) * (1 + _cosine(_PI * _decimal(x))) / 2
        elif shape == "exp":
            value = 1 - _power(1 - left, 1 - x) * _power(1 - right, x)
        else:
            raise ValueError(f"unknown ramp shape `{shape}`")
        return Fraction(value.quantize(Decimal(1).scaleb(-_DIGITS), rounding=ROUND_HALF_EVEN))


def ramp_mean(first: Fraction, last: Fraction, shape: str) -> Fraction:
    """The mean over a ramp of the share not pruned, ``first`` at its start and ``last`` at its end."""
    if shape != "exp":
        return last + (first - last) * _MEAN_DISTANCE[shape]
    if first == last or not last:
        return last
    return Fraction(round((float(first) - float(last)) / math.log(first / last) * 10**9), 10**9)


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
