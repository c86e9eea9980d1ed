"""`word` or `word(name=value, ...)` in, a plan `Function` out: `sgd(momentum=0.9)`, `magnitude(order=largest)`."""

from __future__ import annotations

from typing import Any

from dsd_lang.base.arguments import Argument
from dsd_lang.base.diagnostics import replacement
from dsd_lang.base.errors import nearest
from dsd_lang.base.options import Option, Parameter
from dsd_lang.base.units import exact
from dsd_lang.passes.findings import Findings
from dsd_lang.passes.quantities import NO_NAMES, Names, Quantity, evaluate, written
from dsd_lang.passes.wrong_values import expected_by, fits, report_value
from dsd_lang.syntax import nodes
from dsd_lang.syntax.terminals import widened

SWITCHES = {"on": True, "off": False, "true": True, "false": False}


def function_data(argument: Argument, value: nodes.Value, names: Names, findings: Findings) -> dict[str, Any] | None:
    """`word` or `word(...)` out of the argument's options as a plan `Function`."""
    callee = value.callee if isinstance(value, nodes.Call) else value
    if not isinstance(callee, nodes.Name):
        report_value(argument, value, findings)
        return None
    option = argument.option(callee.text)
    if option is None:
        report_value(argument, callee, findings)
        return None
    arguments: dict[str, str | bool] = {}
    if isinstance(value, nodes.Call):
        num_unnamed = 0
        for item in value.arguments:
            name = item.name
            if name is None:
                name = str(num_unnamed)
                num_unnamed += 1
            if not is_parameter(option, name, item, arguments, findings):
                return None
            data = argument_data(item.value, names, findings)
            if data is None or not is_fit(option, name, item, data, findings):
                return None
            arguments[name] = data
    if arguments.get("nesterov") is True and not _is_nesterov(arguments):
        findings.add(
            "DSD209",
            "`nesterov=on` needs a `momentum=` above 0 and no `dampening=`",
            value.span,
            label="no Nesterov momentum without",
            help="write `sgd(momentum=0.9, nesterov=on)`",
        )
        return None
    return {"name": option.name, "arguments": arguments}


def _is_nesterov(arguments: dict[str, str | bool]) -> bool:
    """Whether Nesterov's momentum is defined: torch refuses it without momentum, and with dampening."""
    momentum, dampening = (exact(str(arguments.get(name, "0"))) for name in ("momentum", "dampening"))
    return momentum > 0 and dampening == 0


def is_parameter(
    option: Option, name: str, item: nodes.CallArgument, given: dict[str, str | bool], findings: Findings
) -> bool:
    """Whether an option takes that parameter; reports it when not, and one that is given twice."""
    if name in given:
        findings.add("DSD206", f"`{name}=` is given twice", item.span, label="given before", help="keep one of them")
        return False
    if option.parameter(name) is not None:
        return True
    choices = option.named
    num_unnamed = len(option.parameters) - len(choices)
    guess = nearest(name, choices)
    words = [f"{num_unnamed} unnamed value{'s' if num_unnamed > 1 else ''}"] if num_unnamed else []
    takes = ", ".join([*words, *(f"`{choice}=`" for choice in choices)]) or "nothing between parentheses"
    what = f"`{name}=`" if not name.isdigit() else "further unnamed value" if num_unnamed else "unnamed value"
    findings.add(
        "DSD202",
        f"`{option.name}` takes no {what}",
        item.span,
        label=f"did you mean `{guess}`?" if guess else "unknown here",
        help=f"`{option.name}` takes {takes}",
        fix=replacement(widened(item.span, len(name)), guess) if guess else None,
    )
    return False


def is_fit(option: Option, name: str, item: nodes.CallArgument, data: str | bool, findings: Findings) -> bool:
    """Whether a value fits its parameter; reports it when not."""
    parameter = option.parameter(name)
    if parameter is None or fits(parameter, data):
        return True
    guess = nearest(data, parameter.words) if isinstance(data, str) else None
    findings.add(
        "DSD209",
        f"{_named(option, parameter)} takes {expected_by(parameter)}, found `{_shown(data)}`",
        item.value.span,
        label=f"did you mean `{guess}`?" if guess else f"expected {expected_by(parameter)}",
        fix=replacement(item.value.span, guess) if guess else None,
    )
    return False


def _named(option: Option, parameter: Parameter) -> str:
    return f"`{parameter.name}=`" if parameter.is_named else f"`{option.name}(...)`"


def _shown(data: str | bool) -> str:
    return ("on" if data else "off") if isinstance(data, bool) else data[:40]


def argument_data(value: nodes.Value, names: Names, findings: Findings) -> str | bool | None:
    """A value between parentheses: an exact number as text, a length, a word, or on/off as a boolean."""
    if isinstance(value, nodes.Name):
        bound = names.get(value.text)
        if bound is not None and not isinstance(bound, Quantity):
            return argument_data(bound, NO_NAMES, findings)
        if bound is None and value.text not in SWITCHES and value.text.lower() in SWITCHES:
            word = "on" if SWITCHES[value.text.lower()] else "off"
            findings.add(
                "DSD209",
                f"a switch is `on` or `off`, found `{value.text}`",
                value.span,
                label=f"did you mean `{word}`?",
                fix=replacement(value.span, word),
            )
            return None
        if bound is None:
            return SWITCHES.get(value.text, value.text)
    if isinstance(value, nodes.Text):
        return value.value
    if isinstance(value, nodes.Reference):
        return "@" + ".".join(value.path)
    quantity = evaluate(value, names, findings)
    return None if quantity is None else written(quantity)
