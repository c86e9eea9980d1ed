"""Reads `word` or `word(name=value, ...)` as the plan's `Function`, such as `sgd(momentum=0.9)`."""

from __future__ import annotations

from collections.abc import Collection

from dsd_lang import rules
from dsd_lang.base.arguments import Argument
from dsd_lang.base.options import Option, Parameter
from dsd_lang.base.units import exact, parse_length
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.quantities import NO_NAMES, Names, Quantity, evaluate, written
from dsd_lang.syntax import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.plan.shapes import FunctionData

SWITCHES = {"on": True, "off": False, "true": True, "false": False}


def function_data(
    argument: Argument, value: nodes.Value, names: Names, diagnostics: Diagnostics
) -> FunctionData | None:
    """Reads `word` or `word(...)`, one of the argument's options, as a plan `Function`."""
    callee = value.callee if isinstance(value, nodes.Call) else value
    if not isinstance(callee, nodes.Name):
        diagnostics.report(rules.wrong_value.not_taken(argument, value))
        return None
    option = argument.option(callee.text)
    if option is None:
        diagnostics.report(rules.wrong_value.not_taken(argument, callee))
        return None
    arguments: dict[str, str | bool] = {}
    if isinstance(value, nodes.Call):
        num_unnamed = 0
        for item in value.arguments:
            name = item.name
            if name is None:
                name = str(num_unnamed)
                num_unnamed += 1
            if not is_parameter(option, name, item, arguments, diagnostics):
                return None
            data = argument_data(item.value, names, diagnostics)
            if data is None or not is_fit(option, name, item, data, diagnostics):
                return None
            arguments[name] = data
    absent = next((one for one in option.parameters if one.is_required and one.name not in arguments), None)
    if absent is not None:
        diagnostics.report(rules.wrong_value.parameter_absent(option, absent, value.span))
        return None
    if arguments.get("nesterov") is True and not _is_nesterov(arguments):
        diagnostics.report(rules.wrong_value.nesterov_without_momentum(value.span))
        return None
    return {"name": option.name, "arguments": arguments}


def _is_nesterov(arguments: dict[str, str | bool]) -> bool:
    """Whether Nesterov momentum is valid: torch refuses it without momentum or with dampening."""
    momentum, dampening = (exact(str(arguments.get(name, "0"))) for name in ("momentum", "dampening"))
    return momentum > 0 and dampening == 0


def is_parameter(
    option: Option, name: str, item: nodes.CallArgument, given: Collection[str], diagnostics: Diagnostics
) -> bool:
    """Whether an option has that parameter; reports unknown and repeated ones."""
    if name in given:
        diagnostics.report(rules.duplicate_argument.parameter_twice(f"`{name}=`", item))
        return False
    if option.parameter(name) is not None:
        return True
    diagnostics.report(rules.unknown_argument.unknown_parameter(option, name, item))
    return False


def is_fit(option: Option, name: str, item: nodes.CallArgument, data: str | bool, diagnostics: Diagnostics) -> bool:
    """Whether a value fits its parameter; reports it if not."""
    parameter = option.parameter(name)
    if parameter is None or fits(parameter, data):
        return True
    diagnostics.report(rules.wrong_value.parameter_not_taken(option, parameter, data, item.value.span))
    return False


def fits(parameter: Parameter, data: str | bool) -> bool:
    """Whether a parameter accepts a value in its plan form."""
    if parameter.kind == "any":
        return True
    if parameter.kind == "switch" or isinstance(data, bool):
        return parameter.kind == "switch" and isinstance(data, bool)
    if parameter.kind == "choice":
        return data in parameter.words
    if parameter.kind in ("file", "text"):
        return bool(data) and not _is_number(data)
    try:
        if parameter.kind == "length":
            return parse_length(data).value > 0
        number = exact(data)
    except ValueError:
        return False
    return {
        "number": number >= 0,
        "positive": number > 0,
        "ratio": 0 <= number < 1,
        "share": 0 <= number <= 1,
        "whole": number >= 1 and number.denominator == 1,
    }[parameter.kind]


def _is_number(text: str) -> bool:
    try:
        exact(text)
    except ValueError:
        return False
    return True


def argument_data(value: nodes.Value, names: Names, diagnostics: Diagnostics) -> str | bool | None:
    """A value in parentheses: an exact number as text, a length, a word, or on/off as a boolean."""
    if isinstance(value, nodes.Name):
        bound = names.get(value.text)
        if isinstance(bound, (nodes.SelectorList, nodes.SelectorNode, *nodes.TARGETS)):
            diagnostics.report(rules.wrong_value.not_a_number(value))
            return None
        if bound is not None and not isinstance(bound, Quantity):
            return argument_data(bound, NO_NAMES, diagnostics)
        if bound is None and value.text not in SWITCHES and value.text.lower() in SWITCHES:
            word = "on" if SWITCHES[value.text.lower()] else "off"
            diagnostics.report(rules.wrong_value.not_a_switch(value, word))
            return None
        if bound is None:
            return SWITCHES.get(value.text, value.text)
    if isinstance(value, nodes.Text):
        return value.value
    if isinstance(value, nodes.Reference):
        return "@" + ".".join(value.path)
    quantity = evaluate(value, names, diagnostics)
    return None if quantity is None else written(quantity)
