"""Reads one argument's value as plan data; one reader for each kind in the argument table.

A reader returns None after reporting why the value does not fit. References stay syntax nodes until the pass
`resolve_references`; a learning rate stays an expression until `resolve_learning_rates`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from dsd_lang import rules
from dsd_lang.base.arguments import Argument
from dsd_lang.base.options import DISTILL_PARAMETERS
from dsd_lang.base.units import format_exact
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.quantities import (
    Names,
    Quantity,
    evaluate,
    is_accidental_call,
    length_data,
)
from dsd_lang.passes.read_decays import read_decay
from dsd_lang.passes.read_functions import argument_data, fits, function_data
from dsd_lang.passes.values import NONE, WrittenRate, WrittenTeacher
from dsd_lang.syntax import nodes
from dsd_lang.syntax.named_selectors import selectors_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.passes.values import Value

ValueReader = Callable[[Argument, nodes.Value, Names, Diagnostics], "Value | None"]

_NO_VALUES = (nodes.SelectorList, nodes.SelectorNode, *nodes.TARGETS)
_PLAN_NAMES = {"T": "temperature"}  # as written -> as in the plan


def read_value(
    argument: Argument,
    value: nodes.Domain | tuple[nodes.SelectorNode, ...],
    names: Names,
    diagnostics: Diagnostics,
) -> Value | None:
    """The plan data of `argument=value`, or None after reporting what was expected."""
    if isinstance(value, tuple):
        if argument.kind == "selectors":
            selectors = read_selectors(value, names, diagnostics)
            return () if selectors is not None and argument.selects_nothing(selectors) else selectors
        first = value[0]
        diagnostics.report(rules.wrong_value.takes_no_selectors(argument, first.span))
        return None
    if isinstance(value, nodes.Name):
        bound = names.get(value.text)
        if isinstance(bound, _NO_VALUES):
            if argument.kind == "lr" and isinstance(bound, nodes.ListTarget):
                return WrittenRate(bound, names)
            diagnostics.report(rules.wrong_value.not_taken(argument, value))
            return None
        if bound is not None and not isinstance(bound, Quantity):
            value = bound
    if isinstance(value, nodes.ListTarget) and argument.kind == "lr":
        return WrittenRate(value, names)
    if isinstance(value, _NO_VALUES):
        diagnostics.report(rules.wrong_value_names.takes_no_list(argument, value.span))
        return None
    return _READERS[argument.kind](argument, value, names, diagnostics)


def read_selectors(
    value: tuple[nodes.SelectorNode, ...], names: Names, diagnostics: Diagnostics
) -> tuple[str, ...] | None:
    """Selectors as the plan writes them, each once; a name stands for its own. None after reporting a mistake."""
    found: list[str] = []
    for node in value:
        selectors = selectors_of(node, names)
        if selectors is None:
            diagnostics.report(rules.wrong_value_names.name_of_no_selector(node))
            return None
        found += [str(one.selector) for one in selectors]
    return tuple(dict.fromkeys(found))


def _read_lr(argument: Argument, value: nodes.Value, names: Names, diagnostics: Diagnostics) -> Value | None:
    if is_accidental_call(value, names):
        diagnostics.report(rules.wrong_value.reads_as_call(value))
        return None
    if isinstance(value, (nodes.Text, nodes.Reference, nodes.Call, nodes.LengthLiteral)):
        diagnostics.report(rules.wrong_value.not_taken(argument, value))
        return None
    return WrittenRate(value, names)


def _quantity(argument: Argument, value: nodes.Value, names: Names, diagnostics: Diagnostics) -> Quantity | None:
    is_word = isinstance(value, nodes.Name) and value.text not in names
    if is_word or isinstance(value, (nodes.Text, nodes.Reference, nodes.Call)):
        diagnostics.report(rules.wrong_value.not_taken(argument, value))
        return None
    return evaluate(value, names, diagnostics)


def _number_in(
    argument: Argument, value: nodes.Value, names: Names, diagnostics: Diagnostics, fits: Callable[[Fraction], bool]
) -> Quantity | None:
    quantity = _quantity(argument, value, names, diagnostics)
    if quantity is None:
        return None
    if not quantity.is_number or not fits(quantity.value):
        diagnostics.report(rules.wrong_value.outside(argument, str(quantity), value.span))
        return None
    return quantity


def _read_number(argument: Argument, value: nodes.Value, names: Names, diagnostics: Diagnostics) -> Value | None:
    quantity = _number_in(argument, value, names, diagnostics, lambda number: number >= 0)
    return None if quantity is None else format_exact(quantity.value)


def _read_positive(argument: Argument, value: nodes.Value, names: Names, diagnostics: Diagnostics) -> Value | None:
    quantity = _number_in(argument, value, names, diagnostics, lambda number: number > 0)
    return None if quantity is None else format_exact(quantity.value)


def _read_ratio(argument: Argument, value: nodes.Value, names: Names, diagnostics: Diagnostics) -> Value | None:
    quantity = _number_in(argument, value, names, diagnostics, lambda number: 0 <= number < 1)
    return None if quantity is None else format_exact(quantity.value)


def _read_whole(argument: Argument, value: nodes.Value, names: Names, diagnostics: Diagnostics) -> Value | None:
    least = argument.least
    quantity = _number_in(
        argument, value, names, diagnostics, lambda number: number.denominator == 1 and number >= least
    )
    return None if quantity is None else int(quantity.value)


def _read_length(argument: Argument, value: nodes.Value, names: Names, diagnostics: Diagnostics) -> Value | None:
    if isinstance(value, nodes.Name) and argument.option(value.text) is not None:
        return NONE
    quantity = _quantity(argument, value, names, diagnostics)
    if quantity is None:
        return None
    if quantity.unit == "%" and argument.may_be_share and not quantity.is_negative:
        return format_exact(quantity.value)
    if not quantity.is_length:
        diagnostics.report(
            rules.length_without_unit.not_a_length(
                argument.name, value, str(quantity), format_exact(quantity.value) if quantity.unit == "" else None
            )
        )
        return None
    if quantity.is_negative:
        diagnostics.report(rules.length_without_unit.negative(value.span))
        return None
    return length_data(quantity)


def _read_selectors(argument: Argument, value: nodes.Value, names: Names, diagnostics: Diagnostics) -> Value | None:
    diagnostics.report(rules.wrong_value.not_taken(argument, value))
    return None


def _read_choice(argument: Argument, value: nodes.Value, names: Names, diagnostics: Diagnostics) -> Value | None:
    if isinstance(value, nodes.Name) and argument.option(value.text) is not None:
        return value.text
    diagnostics.report(rules.wrong_value.not_taken(argument, value))
    return None


def _read_source(argument: Argument, value: nodes.Value, names: Names, diagnostics: Diagnostics) -> Value | None:
    if isinstance(value, nodes.Reference) or (isinstance(value, nodes.Text) and argument.name == "from"):
        return value
    word = _read_choice(argument, value, names, diagnostics)
    return {"kind": word} if isinstance(word, str) else None


def _read_distill(argument: Argument, value: nodes.Value, names: Names, diagnostics: Diagnostics) -> Value | None:
    if isinstance(value, nodes.Name) and value.text == "none":
        return NONE
    if isinstance(value, (nodes.Reference, nodes.Text)):
        return WrittenTeacher(value, {})
    if not isinstance(value, nodes.Call) or isinstance(value.callee, nodes.Name):
        diagnostics.report(rules.wrong_value.not_taken(argument, value))
        return None
    options: dict[str, str] = {}
    for item in value.arguments:
        parameter = next((one for one in DISTILL_PARAMETERS if one.name == item.name), None)
        if parameter is None:
            diagnostics.report(rules.unknown_argument.unknown_in_distill(item))
            return None
        if parameter.name == "model" and isinstance(value.callee, nodes.Reference):
            diagnostics.report(rules.unknown_argument.model_of_checkpoint(item))
            return None
        name = _PLAN_NAMES.get(parameter.name, parameter.name)
        if name in options:
            diagnostics.report(rules.duplicate_argument.parameter_twice(f"`{item.name}=`", item, help="keep one"))
            return None
        data = argument_data(item.value, names, diagnostics)
        if data is None:
            return None
        if isinstance(data, bool) or not fits(parameter, data):
            diagnostics.report(rules.wrong_value.parameter_outside(parameter.name, parameter, item.value.span))
            return None
        options[name] = data
    return WrittenTeacher(value.callee, options)


def _read_clip(argument: Argument, value: nodes.Value, names: Names, diagnostics: Diagnostics) -> Value | None:
    if isinstance(value, nodes.Name) and value.text == "none":
        return NONE
    if isinstance(value, nodes.Name) and argument.option(value.text) is not None:
        return function_data(argument, value, names, diagnostics)  # `norm` without its bound
    if isinstance(value, nodes.Call):
        function = function_data(argument, value, names, diagnostics)
        if function is not None and len(value.arguments) != 1:
            diagnostics.report(rules.wrong_value.several_bounds(value.span))
            return None
        return function
    number = _read_positive(argument, value, names, diagnostics)
    return {"name": "norm", "arguments": {"0": number}} if isinstance(number, str) else None


def _read_function(argument: Argument, value: nodes.Value, names: Names, diagnostics: Diagnostics) -> Value | None:
    function = function_data(argument, value, names, diagnostics)
    return NONE if function is not None and function["name"] == "none" else function


def _read_text(argument: Argument, value: nodes.Value, names: Names, diagnostics: Diagnostics) -> Value | None:
    if isinstance(value, nodes.Text):
        return value.value
    if isinstance(value, nodes.Name):
        return value.text
    diagnostics.report(rules.wrong_value.not_taken(argument, value))
    return None


_READERS: dict[str, ValueReader] = {
    "lr": _read_lr,
    "number": _read_number,
    "ratio": _read_ratio,
    "whole": _read_whole,
    "length": _read_length,
    "selectors": _read_selectors,
    "choice": _read_choice,
    "function": _read_function,
    "decay": read_decay,
    "source": _read_source,
    "distill": _read_distill,
    "clip": _read_clip,
    "text": _read_text,
    "metric": _read_text,
    "scale": _read_positive,
}
