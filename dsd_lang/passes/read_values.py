"""One argument's value in, plan-ready plain data out: each kind of the argument table has its reader here.

A reader returns None after reporting why the value does not fit. References stay syntax nodes until the pass
`resolve_references`; a learning rate stays an expression until `resolve_learning_rates`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from dsd_lang.arguments import Argument, Option
from dsd_lang.errors import nearest
from dsd_lang.passes.findings import Findings
from dsd_lang.passes.quantities import NO_NAMES, Names, Quantity, describe, evaluate
from dsd_lang.syntax import nodes
from dsd_lang.units import format_exact

Reader = Callable[[Argument, nodes.Value, Names, Findings], Any]
SWITCHES = {"on": True, "off": False, "true": True, "false": False}


def read_value(
    argument: Argument, value: nodes.Value | tuple[nodes.SelectorNode, ...], names: Names, findings: Findings
) -> Any:
    """The plan-ready data of `argument=value`, or None after reporting what was expected."""
    if isinstance(value, tuple):
        if argument.kind == "selectors":
            return read_selectors(value)
        first = value[0]
        findings.add(
            "DSD202", f"`{argument.name}=` takes no selectors", first.span, label=f"expected {expected(argument)}"
        )
        return None
    if isinstance(value, nodes.Name):
        bound = names.get(value.text)
        if bound is not None and not isinstance(bound, Quantity):
            value = bound
    return _READERS[argument.kind](argument, value, names, findings)


def expected(argument: Argument) -> str:
    """What an argument takes, in words."""
    if argument.kind in ("choice", "function", "decay", "clip") or argument.options:
        words = ", ".join(f"`{option.name}`" for option in argument.options)
        more = {
            "source": " or a reference such as `@label.end`",
            "length": " or a length such as `5ep`",
            "distill": " or a reference such as `@teacher.end`",
            "clip": " or a number",
        }
        return f"one of {words}{more.get(argument.kind, '')}" if words else f"a value{more.get(argument.kind, '')}"
    return {
        "lr": "a number such as `8e-4`, or `prev/10`",
        "number": "a number of 0 or more",
        "positive": "a number above 0",
        "ratio": "a share such as `30%`",
        "whole": "a whole number",
        "length": "a length such as `5ep` or `100it`",
        "selectors": "layers such as `fc,birnn`",
        "text": 'a name in quotes such as `"ds2"`',
        "metric": "a metric such as `test.err`",
        "scale": "a number above 0",
    }.get(argument.kind, "another value")


def read_selectors(value: tuple[nodes.SelectorNode, ...]) -> tuple[str, ...]:
    """Selectors as the plan writes them, each once."""
    return tuple(dict.fromkeys(str(node.selector) for node in value))


def function_data(argument: Argument, value: nodes.Value, names: Names, findings: Findings) -> dict[str, Any] | None:
    """`word` or `word(...)` out of the argument's options as a plan `Function`."""
    callee = value.callee if isinstance(value, nodes.Call) else value
    if not isinstance(callee, nodes.Name):
        _report(argument, value, findings)
        return None
    option = argument.option(callee.text)
    if option is None:
        _report(argument, callee, findings)
        return None
    arguments: dict[str, str | bool] = {}
    if isinstance(value, nodes.Call):
        num_unnamed = 0
        for item in value.arguments:
            name = item.name
            if name is None:
                name = str(num_unnamed)
                num_unnamed += 1
            if not _is_parameter(option, name, item, arguments, findings):
                return None
            data = argument_data(item.value, names, findings)
            if data is None:
                return None
            arguments[name] = data
    return {"name": option.name, "arguments": arguments}


def _is_parameter(
    option: Option, name: str, item: nodes.CallArgument, given: dict[str, str | bool], findings: Findings
) -> bool:
    if name in given:
        findings.add("DSD206", f"`{name}` is given twice", item.span, label="given before")
        return False
    if option.parameters is None or name in option.parameters:
        return True
    choices = [parameter for parameter in option.parameters if not parameter.isdigit()]
    guess = nearest(name, choices)
    takes = ", ".join(f"`{choice}=`" for choice in choices) or "nothing between the parentheses"
    findings.add(
        "DSD202",
        f"`{option.name}` takes no `{name}`",
        item.span,
        label=f"did you mean `{guess}`?" if guess else "unknown here",
        help=f"`{option.name}` takes {takes}",
    )
    return False


def argument_data(value: nodes.Value, names: Names, findings: Findings) -> str | bool | None:
    """A value between parentheses: an exact number as text, a length, a word, or on/off as a boolean."""
    if isinstance(value, nodes.Name):
        bound = names.get(value.text)
        if bound is not None and not isinstance(bound, Quantity):
            return argument_data(bound, NO_NAMES, findings)
        if bound is None:
            return SWITCHES.get(value.text, value.text)
    if isinstance(value, nodes.Text):
        return value.value
    if isinstance(value, nodes.Reference):
        return "@" + ".".join(value.path)
    quantity = evaluate(value, names, findings)
    return None if quantity is None else written(quantity)


def written(quantity: Quantity) -> str:
    """A quantity as the plan writes it: `0.5` for 50%, `100it` for a length."""
    return format_exact(quantity.value) + (quantity.unit if quantity.is_length else "")


def length_data(quantity: Quantity) -> dict[str, str]:
    """A length as a plan `Duration`."""
    return {"unit": quantity.unit, "value": format_exact(quantity.value)}


def _report(argument: Argument, value: nodes.Value, findings: Findings) -> None:
    words = [option.name for option in argument.options]
    guess = nearest(value.text, words) if isinstance(value, nodes.Name) else None
    findings.add(
        "DSD202",
        f"`{argument.name}=` does not take {describe(value)}",
        value.span,
        label=f"did you mean `{guess}`?" if guess else "not a value it takes",
        help=f"`{argument.name}=` takes {expected(argument)}",
    )


def _read_lr(argument: Argument, value: nodes.Value, names: Names, findings: Findings) -> Any:
    if isinstance(value, nodes.Text | nodes.Reference | nodes.Call | nodes.LengthLiteral):
        _report(argument, value, findings)
        return None
    return (value, names)


def _quantity(argument: Argument, value: nodes.Value, names: Names, findings: Findings) -> Quantity | None:
    is_word = isinstance(value, nodes.Name) and value.text not in names
    if is_word or isinstance(value, nodes.Text | nodes.Reference | nodes.Call):
        _report(argument, value, findings)
        return None
    return evaluate(value, names, findings)


def _number_in(
    argument: Argument, value: nodes.Value, names: Names, findings: Findings, fits: Callable[[Fraction], bool]
) -> Quantity | None:
    quantity = _quantity(argument, value, names, findings)
    if quantity is None:
        return None
    if not quantity.is_number or not fits(quantity.value):
        findings.add(
            "DSD202",
            f"`{argument.name}=` takes {expected(argument)}, found `{str(quantity)[:40]}`",
            value.span,
            label=f"expected {expected(argument)}",
        )
        return None
    return quantity


def _read_number(argument: Argument, value: nodes.Value, names: Names, findings: Findings) -> Any:
    quantity = _number_in(argument, value, names, findings, lambda number: number >= 0)
    return None if quantity is None else format_exact(quantity.value)


def _read_positive(argument: Argument, value: nodes.Value, names: Names, findings: Findings) -> Any:
    quantity = _number_in(argument, value, names, findings, lambda number: number > 0)
    return None if quantity is None else format_exact(quantity.value)


def _read_ratio(argument: Argument, value: nodes.Value, names: Names, findings: Findings) -> Any:
    quantity = _number_in(argument, value, names, findings, lambda number: 0 <= number < 1)
    return None if quantity is None else format_exact(quantity.value)


def _read_whole(argument: Argument, value: nodes.Value, names: Names, findings: Findings) -> Any:
    least = 0 if argument.name in ("min", "seed") else 1
    quantity = _number_in(argument, value, names, findings, lambda number: number.denominator == 1 and number >= least)
    return None if quantity is None else int(quantity.value)


def _read_length(argument: Argument, value: nodes.Value, names: Names, findings: Findings) -> Any:
    if isinstance(value, nodes.Name) and argument.option(value.text) is not None:
        return {}
    quantity = _quantity(argument, value, names, findings)
    if quantity is None:
        return None
    if not quantity.is_length:
        findings.add(
            "DSD402",
            f"`{argument.name}=` takes a length, found `{str(quantity)[:40]}`",
            value.span,
            label=f"did you mean `{format_exact(quantity.value)[:20]}it` or `{format_exact(quantity.value)[:20]}ep`?"
            if quantity.unit == ""
            else "not a length",
            help="a length says its unit: `ep` for epochs, `it` for optimizer updates",
        )
        return None
    if quantity.value < 0:
        findings.add("DSD402", "a length cannot be negative", value.span, label="below zero")
        return None
    return length_data(quantity)


def _read_selectors(argument: Argument, value: nodes.Value, names: Names, findings: Findings) -> Any:
    _report(argument, value, findings)


def _read_choice(argument: Argument, value: nodes.Value, names: Names, findings: Findings) -> Any:
    if isinstance(value, nodes.Name) and argument.option(value.text) is not None:
        return value.text
    _report(argument, value, findings)
    return None


def _read_source(argument: Argument, value: nodes.Value, names: Names, findings: Findings) -> Any:
    if isinstance(value, nodes.Reference) or (isinstance(value, nodes.Text) and argument.name == "from"):
        return value
    word = _read_choice(argument, value, names, findings)
    return None if word is None else {"kind": word}


def _read_distill(argument: Argument, value: nodes.Value, names: Names, findings: Findings) -> Any:
    if isinstance(value, nodes.Name) and value.text == "none":
        return {}
    if isinstance(value, nodes.Reference):
        return (value, {})
    if not isinstance(value, nodes.Call) or not isinstance(value.callee, nodes.Reference):
        _report(argument, value, findings)
        return None
    options: dict[str, str] = {}
    for item in value.arguments:
        name = {"alpha": "alpha", "T": "temperature"}.get(item.name or "")
        if name is None:
            findings.add(
                "DSD202",
                f"`distill=` takes no `{item.name or 'unnamed value'}`",
                item.span,
                label="unknown here",
                help="it takes `alpha=` and `T=`: `distill=@teacher.end(alpha=0.8, T=10)`",
            )
            return None
        quantity = evaluate(item.value, names, findings)
        if quantity is None:
            return None
        is_fit = quantity.is_number and (quantity.value > 0 if name == "temperature" else 0 <= quantity.value <= 1)
        if not is_fit:
            wanted = "a number above 0" if name == "temperature" else "a number from 0 to 1"
            findings.add("DSD202", f"`{item.name}=` takes {wanted}", item.value.span, label=f"expected {wanted}")
            return None
        options[name] = format_exact(quantity.value)
    return (value.callee, options)


def _read_clip(argument: Argument, value: nodes.Value, names: Names, findings: Findings) -> Any:
    if isinstance(value, nodes.Name) and value.text == "none":
        return {}
    if isinstance(value, nodes.Call):
        function = function_data(argument, value, names, findings)
        if function is not None and len(value.arguments) != 1:
            findings.add("DSD202", "`clip=` takes one bound", value.span, label="expected `norm(100)` or `value(5)`")
            return None
        return function
    number = _read_positive(argument, value, names, findings)
    return None if number is None else {"name": "norm", "arguments": {"0": number}}


def _read_function(argument: Argument, value: nodes.Value, names: Names, findings: Findings) -> Any:
    function = function_data(argument, value, names, findings)
    return {} if function is not None and function["name"] == "none" else function


def _read_text(argument: Argument, value: nodes.Value, names: Names, findings: Findings) -> Any:
    if isinstance(value, nodes.Text):
        return value.value
    if isinstance(value, nodes.Name):
        return value.text
    _report(argument, value, findings)
    return None


def _read_decay(argument: Argument, value: nodes.Value, names: Names, findings: Findings) -> Any:
    callee = value.callee if isinstance(value, nodes.Call) else value
    if not isinstance(callee, nodes.Name) or argument.option(callee.text) is None:
        _report(argument, callee if isinstance(callee, nodes.Name) else value, findings)
        return None
    reader = _DecayReader(argument, callee.text, names, findings)
    items = value.arguments if isinstance(value, nodes.Call) else ()
    data = reader.read(items)
    return None if data is None else reader.complete(data, value)


class _DecayReader:
    """`step(33%, 66%, by=0.1)`, `exp(0.95)`, `cosine(floor=1e-5)` as a plan `Decay`."""

    def __init__(self, argument: Argument, kind: str, names: Names, findings: Findings) -> None:
        self.argument = argument
        self.kind = kind
        self.names = names
        self.findings = findings

    def read(self, items: tuple[nodes.CallArgument, ...]) -> dict[str, Any] | None:
        data: dict[str, Any] = {"kind": self.kind}
        option = self.argument.option(self.kind)
        assert option is not None
        milestones: list[dict[str, str]] = []
        for item in items:
            if item.name is not None and not _is_parameter(option, item.name, item, data, self.findings):
                return None
            quantity = evaluate(item.value, self.names, self.findings)
            if quantity is None:
                return None
            if item.name is None and self.kind == "step":
                milestone = self.milestone(item, quantity)
                if milestone is None:
                    return None
                milestones.append(milestone)
                continue
            name = {"by": "factor", None: "factor"}.get(item.name, item.name)
            if not self.is_fit(str(name), item, quantity):
                return None
            data[str(name)] = format_exact(quantity.value)
        return {**data, "milestones": tuple(milestones)} if milestones else data

    def milestone(self, item: nodes.CallArgument, quantity: Quantity) -> dict[str, str] | None:
        is_bare = quantity.unit == "" and quantity.value >= 1
        if quantity.value < 0 or is_bare:
            self.findings.add(
                "DSD402",
                f"a milestone is a share of the phase or a length, found `{str(quantity)[:40]}`",
                item.span,
                label=f"did you mean `{format_exact(quantity.value)}ep`?" if is_bare else "below zero",
                help="write `33%`, `80ep` or `500it`",
            )
            return None
        unit = quantity.unit if quantity.is_length else "ratio"
        return {"unit": unit, "value": format_exact(quantity.value)}

    def is_fit(self, name: str, item: nodes.CallArgument, quantity: Quantity) -> bool:
        if item.name is None and self.kind != "exp":
            message, wanted = f"`{self.kind}` takes no unnamed value", "nothing, or `floor=`"
        elif name == "factor" and not (quantity.is_number and 0 < quantity.value <= 1):
            message, wanted = "a decay's factor is above 0 and at most 1", "such as `0.1`"
        elif name == "floor" and not (quantity.is_number and quantity.value >= 0):
            message, wanted = "`floor=` takes a number of 0 or more", "such as `1e-5`"
        else:
            return True
        self.findings.add("DSD202", message, item.span, label=f"expected {wanted}")
        return False

    def complete(self, data: dict[str, Any], value: nodes.Value) -> dict[str, Any] | None:
        if self.kind == "step":
            if "milestones" not in data:
                self.findings.add(
                    "DSD202",
                    "`step` needs its milestones",
                    value.span,
                    label="no milestone",
                    help="write `decay=step(33%, 66%, by=0.1)`",
                )
                return None
            data.setdefault("factor", "0.1")
        if self.kind == "exp" and "factor" not in data:
            self.findings.add(
                "DSD202", "`exp` needs its factor per epoch", value.span, label="no factor", help="write `exp(0.95)`"
            )
            return None
        return data


_READERS: dict[str, Reader] = {
    "lr": _read_lr,
    "number": _read_number,
    "positive": _read_positive,
    "ratio": _read_ratio,
    "whole": _read_whole,
    "length": _read_length,
    "selectors": _read_selectors,
    "choice": _read_choice,
    "function": _read_function,
    "decay": _read_decay,
    "source": _read_source,
    "distill": _read_distill,
    "clip": _read_clip,
    "text": _read_text,
    "metric": _read_text,
    "scale": _read_positive,
}
