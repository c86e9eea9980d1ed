"""Exact numbers: parsed from source text, computed as rationals, printed in canonical form.

Numbers stay exact until they are used: ``3e-4 * 0.1`` is 3e-5, and 30% of 1000 is 300.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import lru_cache

from dsd_lang.base.named_tuples import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    Unit = Literal["ep", "it"]


UNITS: tuple[Unit, ...] = ("ep", "it")
MAX_DIGITS = 400
MAX_BITS = 1329  # those of 10^400
MAX_EXPONENT = 300  # so that no number overflows in pictures or training
RANGE_WORDS = f"at most {MAX_DIGITS} digits, from 1e-{MAX_EXPONENT} to 1e{MAX_EXPONENT}"
_LARGEST, _SMALLEST = Fraction(10**MAX_EXPONENT), Fraction(1, 10**MAX_EXPONENT)
_SUM_BITS = 256
_LONGEST = 10 * MAX_DIGITS  # out of range anyway; many `%` would take for ever
_OUT_OF_RANGE = f"`{{}}` is out of range ({RANGE_WORDS})"
_NUMBER = re.compile(r"(?P<sign>[+-]?)(?P<whole>\d*)(?:\.(?P<part>\d*))?(?:[eE](?P<exponent>[+-]?\d+))?")


@lru_cache(maxsize=4096)  # numbers repeat in a schedule, and editors send the whole text
def exact(text: str) -> Fraction:
    """``"8e-4"``, ``"0.5"``, ``"50_000"``, ``"30%"`` or ``"1/3"`` as an exact rational.

    Raises ``ValueError`` if the text is not a number or is out of range: :data:`RANGE_WORDS`.

    >>> exact("3e-4") * exact("0.1") == exact("3e-5")
    True
    """
    if len(text) > _LONGEST:
        raise ValueError(_OUT_OF_RANGE.format(text[:40]))
    body = text.replace("_", "").strip()
    if body.endswith("%"):
        return _counted(exact(body[:-1]) / 100, text)
    if "/" in body:
        numerator, denominator = body.split("/", 1)
        return _counted(Fraction(int(numerator), int(denominator)), text)
    match = _NUMBER.fullmatch(body)
    if match is None or not (match["whole"] or match["part"]):
        raise ValueError(f"`{text[:40]}` is not a number")
    digits = (match["whole"] or "") + (match["part"] or "")
    exponent = int(match["exponent"] or 0) - len(match["part"] or "")
    if abs(exponent) > 2 * MAX_DIGITS or len(digits) > 2 * MAX_DIGITS:  # out of range anyway
        raise ValueError(_OUT_OF_RANGE.format(text[:40]))
    value = Fraction(int(digits) * 10**exponent) if exponent >= 0 else Fraction(int(digits), 10**-exponent)
    return _counted(-value if match["sign"] == "-" else value, text)


def _counted(value: Fraction, text: str) -> Fraction:
    if _bits(value) > MAX_BITS or not has_magnitude(value):
        raise ValueError(_OUT_OF_RANGE.format(text[:40]))
    return value


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def has_magnitude(value: Fraction) -> bool:
    """Whether a number is zero or its absolute value is between 1e-300 and 1e300, so that a `float` can hold it."""
    return value == 0 or _SMALLEST <= abs(value) <= _LARGEST


def bounded(value: Fraction) -> Fraction:
    """A sum or product over phases: exact up to 400 digits, beyond that rounded to 77 significant ones.

    Otherwise the products of thousands of shares (0.999, 0.998001, ...) would get longer with every phase.

    >>> bounded(Fraction(1, 3)) == Fraction(1, 3), f"{float(bounded(Fraction(999, 1000) ** 5000)):.9f}"
    (True, '0.006721112')
    """
    if _bits(value) <= MAX_BITS:
        return value
    shift = _SUM_BITS - value.numerator.bit_length() + value.denominator.bit_length()
    scale = Fraction(2) ** shift
    return round(value * scale) / scale


def approximate(value: Fraction) -> float:
    """The nearest float; infinity if the number is too large for one, as a ratio of two numbers may be."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def within_range(value: float) -> float:
    """The nearest float within the range of numbers, for drawing: 1e300 for more, 0 for less than 1e-300."""
    size = min(abs(value), float(_LARGEST))
    return math.copysign(size if size >= float(_SMALLEST) else 0.0, value)


def format_exact(value: Fraction) -> str:
    """The shortest canonical text that :func:`exact` parses: ``8e-4``, ``0.5``, ``50``, ``1/3``.

    A terminating decimal is written plainly unless scientific notation is shorter; any other number is ``n/d``.
    """
    return _format_ratio(*value.as_integer_ratio())


@lru_cache(maxsize=4096)  # of whole numbers, because the hash of a `Fraction` takes longer than the rest
def _format_ratio(numerator: int, denominator: int) -> str:
    if denominator == 1:
        return str(numerator)
    twos, fives, rest = 0, 0, denominator
    while rest % 2 == 0:
        rest //= 2
        twos += 1
    while rest % 5 == 0:
        rest //= 5
        fives += 1
    if rest != 1:
        return f"{numerator}/{denominator}"
    decimals = max(twos, fives)
    digits = str(abs(numerator) * 10**decimals // denominator)
    sign = "-" if numerator < 0 else ""
    padded = digits.rjust(decimals + 1, "0")
    plain = f"{padded[:-decimals]}.{padded[-decimals:]}"
    mantissa = digits.rstrip("0")
    exponent = len(digits) - 1 - decimals
    point = mantissa[0] + ("." + mantissa[1:] if len(mantissa) > 1 else "")
    scientific = f"{point}e{exponent}"
    return sign + (scientific if len(scientific) < len(plain) else plain)


_FEW, _FIGURES = 12, 6


def format_short(value: Fraction) -> str:
    """A number for display: exact if its decimals end within 12 characters, else with 6 digits, never as ``n/d``.

    >>> format_short(Fraction(3, 8)), format_short(Fraction(224705, 10304)), format_short(Fraction(1, 30000))
    ('0.375', '21.8076', '3.33333e-5')
    """
    written = format_exact(value)
    if "/" not in written and len(written) <= _FEW:
        return written
    with localcontext() as context:
        context.prec = _FIGURES
        rounded = Decimal(value.numerator) / Decimal(value.denominator)
    return format_exact(Fraction(rounded))


def format_percent(value: Fraction) -> str:
    """A ratio as a percentage: ``Fraction(1, 2)`` is ``50%``; non-terminating decimals have six digits."""
    written = format_exact(value * 100)
    return f"{format_short(value * 100) if '/' in written else written}%"


def round_half_even(value: Fraction) -> int:
    """The nearest whole number; halves go to the even one (``round`` on a ``Fraction`` is exact)."""
    return round(value)


def keep_count(size: int, pruned: Fraction, *, minimum: int = 1) -> int:
    """How many of `size` weights are kept if the ratio s is pruned: N - round_half_even(s N), at least `minimum`.

    >>> keep_count(1000, Fraction(3, 10)), keep_count(5, Fraction(1, 2)), keep_count(3, Fraction(1))
    (700, 3, 1)
    """
    if not 0 <= pruned <= 1:
        raise ValueError(f"the pruned ratio must lie in 0..1, not {pruned}")
    return max(min(minimum, size), size - round_half_even(pruned * size))


class Length(NamedTuple):
    """How long something lasts: ``50ep`` (epochs) or ``500it`` (optimizer updates)."""

    value: Fraction
    unit: Unit

    def __str__(self) -> str:
        return f"{format_exact(self.value)}{self.unit}"

    @property
    def short(self) -> str:
        """The length for display: a third of an epoch is `0.333333ep`."""
        return f"{format_short(self.value)}{self.unit}"

    def updates(self, updates_per_epoch: int) -> int:
        """The length in optimizer updates: rounded half to even, at least 1 unless it is zero."""
        exact_updates = self.value * updates_per_epoch if self.unit == "ep" else self.value
        return max(1, round_half_even(exact_updates)) if exact_updates else 0


def parse_length(text: str) -> Length:
    """Parses ``"1.25ep"`` or ``"500it"`` to a :class:`Length`; raises ``ValueError`` without a known suffix."""
    unit = text[-2:]
    if unit == "ep":
        return Length(exact(text[:-2]), "ep")
    if unit == "it":
        return Length(exact(text[:-2]), "it")
    raise ValueError(f"`{text}` needs a unit: `ep` (epochs) or `it` (optimizer updates)")
