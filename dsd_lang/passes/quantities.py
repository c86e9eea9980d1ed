"""Evaluates arithmetic with units to exact quantities, never floats.

A quantity is a plain number, a percentage, a length (`ep`, `it`), or a multiple of a learning rate that is known only
at run time: the optimizer's own (`optimizer`) or the final one of a phase (`last`). Quantities of the same unit can be
added, any quantity can be scaled by a number, and the ratio of two of the same unit is a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from dsd_lang import rules
from dsd_lang.base.arguments import RATE_WORDS
from dsd_lang.base.diagnostics import Diagnostic
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.units import MAX_BITS, MAX_DIGITS, exact, format_exact, format_short, has_magnitude
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.syntax import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypeGuard

    from dsd_lang.plan.shapes import LengthData

_UNIT_WORDS = {
    "": "a number",
    "%": "a percentage",
    "ep": "a length in epochs",
    "it": "a length in updates",
    "optimizer": "the optimizer's own learning rate",
    "last": "a final learning rate known only at run time",
}


class Quantity(NamedTuple):
    """An exact value in a unit; ``phase`` is the index of the phase whose final rate a `last` refers to."""

    value: Fraction
    unit: Literal["", "%", "ep", "it", "optimizer", "last"] = ""
    phase: int = -1

    @property
    def is_number(self) -> bool:
        return self.unit == "" or self.unit == "%"

    @property
    def is_length(self) -> bool:
        return self.unit == "ep" or self.unit == "it"

    @property
    def is_negative(self) -> bool:
        return self.value.numerator < 0  # comparing a `Fraction` with a number takes ten times as long

    @property
    def is_at_least_one(self) -> bool:
        return self.value.numerator >= self.value.denominator

    def __str__(self) -> str:
        return self._text(format_exact)

    @property
    def short(self) -> str:
        """The quantity for display; ``str`` is exact."""
        return self._text(format_short)

    def _text(self, number: Callable[[Fraction], str]) -> str:
        if self.unit == "%":
            return f"{number(self.value * 100)}%"
        if self.unit in ("optimizer", "last"):
            whose = "the optimizer's own" if self.unit == "optimizer" else f"the final rate of phase {self.phase}"
            return whose if self.value == 1 else f"{number(self.value)} x {whose}"
        return f"{number(self.value)}{self.unit}"


Bound = Quantity | nodes.Domain | nodes.SelectorList
"""What a name stands for: a quantity, or what else may follow `=`, without names of its own."""
Names = Mapping[str, Bound]

NO_NAMES: Names = {}


def is_too_long(value: Fraction) -> bool:
    """Whether a number is outside of what the plan can store: :data:`dsd_lang.base.units.RANGE_WORDS`."""
    bits = max(value.numerator.bit_length(), value.denominator.bit_length())
    if bits <= MAX_DIGITS:
        return False
    if bits > MAX_BITS or not has_magnitude(value):
        return True
    try:
        return exact(format_exact(value)) != value
    except ValueError:
        return True


def power(base: Fraction, exponent: int) -> Fraction | None:
    """``base ** exponent``, or None if it would have more than 400 digits, without computing it."""
    bits = max(base.numerator.bit_length(), base.denominator.bit_length()) - 1
    if bits * abs(exponent) > MAX_BITS:
        return None
    return base ** (exponent % 2 if abs(base) == 1 else exponent)


def literal(value: nodes.Value) -> Quantity | None:
    """The quantity of a literal number or length; None for anything else."""
    if isinstance(value, nodes.Number):
        return Quantity(value.value, "%" if value.percent else "")
    if isinstance(value, nodes.LengthLiteral):
        return Quantity(value.value, value.unit)
    return None


def written(quantity: Quantity) -> str:
    """A quantity as text in the plan: `0.5` for 50%, `100it` for a length."""
    return format_exact(quantity.value) + (quantity.unit if quantity.is_length else "")


def length_data(quantity: Quantity) -> LengthData:
    """A length as a plan `Duration`."""
    assert quantity.is_length, "a length has its unit"
    return {"unit": "ep" if quantity.unit == "ep" else "it", "value": format_exact(quantity.value)}


def evaluate(value: nodes.Value, names: Names, diagnostics: Diagnostics) -> Quantity | None:
    """The value of an expression; None after reporting why there is none."""
    direct = literal(value)
    if direct is not None:
        return direct
    if isinstance(value, nodes.Name):
        bound = names.get(value.text)
        if isinstance(bound, Quantity):
            return bound
        if isinstance(bound, (nodes.Unary, nodes.Binary)) or (
            isinstance(bound, nodes.Name) and bound.text in RATE_WORDS
        ):
            return evaluate(bound, _only_rates(names), diagnostics)  # of earlier rates: `let r = prev / 10`
        _report_unknown_name(value, names, diagnostics)
        return None
    if isinstance(value, nodes.Unary):
        operand = evaluate(value.operand, names, diagnostics)
        return operand._replace(value=-operand.value) if operand is not None else None
    if isinstance(value, nodes.Binary):
        problem = rules.wrong_value.misplaced_exponent(value, names)
        if problem is not None:
            diagnostics.report(problem)
            return None
        left = evaluate(value.left, names, diagnostics)
        right = evaluate(value.right, names, diagnostics)
        if left is None or right is None:
            return None
        return _combine(value, left, right, diagnostics)
    if is_accidental_call(value, names):
        diagnostics.report(rules.wrong_value.reads_as_call(value))
        return None
    diagnostics.report(rules.wrong_value.not_a_number(value))
    return None


def _only_rates(names: Names) -> Names:
    """The names that an expression which has been bound may still have: `prev`, `last` and `base`."""
    return {word: names[word] for word in RATE_WORDS if word in names}


def is_accidental_call(value: object, names: Names) -> TypeGuard[nodes.Call]:
    """Whether a number's name is followed by parentheses, which reads as a call by mistake: `lr=prev (1/3)`."""
    if not isinstance(value, nodes.Call) or not isinstance(value.callee, nodes.Name):
        return False
    return value.callee.text in (*RATE_WORDS, *names)


def _report_unknown_name(value: nodes.Name, names: Names, diagnostics: Diagnostics) -> None:
    known = tuple(name for name, bound in names.items() if isinstance(bound, Quantity))
    if value.text in RATE_WORDS and value.text not in names:
        diagnostics.report(rules.lr_not_positive.nothing_before(value))
    else:
        diagnostics.report(rules.wrong_value.word_for_number(value, known, is_bound=value.text in names))


def _combine(node: nodes.Binary, left: Quantity, right: Quantity, diagnostics: Diagnostics) -> Quantity | None:
    result = {"+": _add, "-": _add, "*": _multiply, "/": _divide, "^": _raise}[node.operator](node, left, right)
    if isinstance(result, Diagnostic):
        diagnostics.report(result)
        return None
    if is_too_long(result.value):
        diagnostics.report(rules.program_too_large.number_too_long(node.span))
        return None
    return result


def _like(left: Quantity, right: Quantity) -> bool:
    return (left.is_number and right.is_number) or (left.unit, left.phase) == (right.unit, right.phase)


def _refused(node: nodes.Binary, left: Quantity, right: Quantity) -> Diagnostic:
    """A diagnostic about quantities that cannot be combined; DSD403 if one is a rate known only at run time."""
    words = _UNIT_WORDS[left.unit], _UNIT_WORDS[right.unit]
    if _is_symbolic(left) or _is_symbolic(right):
        return rules.lr_not_positive.rate_not_computable(node, *words)
    return rules.wrong_value.not_computable(node, *words)


def _is_symbolic(quantity: Quantity) -> bool:
    return quantity.unit in ("optimizer", "last")


def _add(node: nodes.Binary, left: Quantity, right: Quantity) -> Quantity | Diagnostic:
    if not _like(left, right):
        return _refused(node, left, right)
    sign = -1 if node.operator == "-" else 1
    unit = left.unit if left.unit == right.unit else ""
    return left._replace(value=left.value + sign * right.value, unit=unit)


def _multiply(node: nodes.Binary, left: Quantity, right: Quantity) -> Quantity | Diagnostic:
    if not left.is_number and not right.is_number:
        return _refused(node, left, right)
    if left.is_number and right.is_number:
        unit: Literal["", "%"] = "%" if "%" in (left.unit, right.unit) and left.unit != right.unit else ""
        return Quantity(left.value * right.value, unit)
    scaled, factor = (right, left) if left.is_number else (left, right)
    return scaled._replace(value=scaled.value * factor.value)


def _divide(node: nodes.Binary, left: Quantity, right: Quantity) -> Quantity | Diagnostic:
    if right.value == 0:
        return rules.wrong_value.division_by_zero(node.span)
    if _like(left, right):
        keep_percent = left.unit == "%" and right.unit == ""
        return Quantity(left.value / right.value, "%" if keep_percent else "")
    if not right.is_number:
        return _refused(node, left, right)
    return left._replace(value=left.value / right.value)


def _raise(node: nodes.Binary, left: Quantity, right: Quantity) -> Quantity | Diagnostic:
    if not left.is_number or not right.is_number:
        return _refused(node, left, right)
    if right.value.denominator != 1:
        return rules.wrong_value.broken_exponent(node.span)
    exponent = right.value.numerator
    if left.value == 0 and exponent < 0:
        return rules.wrong_value.division_by_zero(node.span)
    raised = power(left.value, exponent)
    return rules.program_too_large.power_too_long(node.span) if raised is None else Quantity(raised)
