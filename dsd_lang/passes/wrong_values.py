"""An argument and a value that it does not take in, the finding out: what was expected, in words."""

from __future__ import annotations

import re

from dsd_lang.base.arguments import Argument
from dsd_lang.base.diagnostics import replacement
from dsd_lang.base.errors import nearest
from dsd_lang.base.options import Parameter
from dsd_lang.base.units import exact, parse_length
from dsd_lang.passes.findings import Findings
from dsd_lang.passes.quantities import describe
from dsd_lang.syntax import nodes

_PLAIN_NUMBER = re.compile(r"(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?%?(?P<unit>ep|it)?")


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
        "ratio": "a share from 0 to below 1 such as `30%`",
        "whole": f"a whole number of at least {argument.least}",
        "length": "a length such as `5ep` or `100it`",
        "selectors": "layers such as `fc,birnn`",
        "text": 'a name in quotes such as `"ds2"`',
        "metric": "a metric such as `test.err`",
        "scale": "a number above 0",
    }.get(argument.kind, "another value")


def expected_by(parameter: Parameter) -> str:
    """What a parameter of an option takes, in words."""
    return {
        "number": "a number of 0 or more",
        "positive": "a number above 0",
        "ratio": "a number from 0 to below 1",
        "share": "a share from 0 to 1 such as `30%`",
        "whole": "a whole number of at least 1",
        "length": "a length such as `100it`",
        "choice": f"one of {', '.join(f'`{word}`' for word in parameter.words)}",
        "switch": "`on` or `off`",
        "any": "a value",
    }[parameter.kind]


def fits(parameter: Parameter, data: str | bool) -> bool:
    """Whether a parameter takes a value, as the plan would hold it."""
    if parameter.kind == "any":
        return True
    if parameter.kind == "switch" or isinstance(data, bool):
        return parameter.kind == "switch" and isinstance(data, bool)
    if parameter.kind == "choice":
        return data in parameter.words
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


def report_value(argument: Argument, value: nodes.Value, findings: Findings) -> None:
    """The value is none that the argument takes."""
    guess = meant_value(argument, value)
    findings.add(
        "DSD209",
        f"`{argument.name}=` does not take {describe(value)}",
        value.span,
        label=f"did you mean `{guess}`?" if guess else "not a value it takes",
        help=f"`{argument.name}=` takes {expected(argument)}",
        fix=replacement(value.span, guess) if guess else None,
    )


def meant_value(argument: Argument, value: nodes.Value) -> str | None:
    """What must be meant by a value that an argument does not take; None where nothing is plain."""
    from dsd_lang.base.foreign_words import MOMENTS, value_meant

    if argument.kind == "source" and isinstance(value, nodes.Name) and "." in value.text:
        return f"@{value.text}"
    words = tuple(option.name for option in argument.options)
    if argument.kind == "source" and isinstance(value, nodes.Binary) and isinstance(value.left, nodes.Reference):
        if value.operator != "+" or not isinstance(value.right, nodes.LengthLiteral):
            return None
        return f"@{'.'.join(value.left.path)}.{value.right.text}"
    if isinstance(value, nodes.Name):
        guess = value_meant(argument.name, value.text, words) or nearest(value.text.lower(), words)
        is_reference = guess is None and argument.kind in ("source", "distill") and value.text not in MOMENTS
        return f"@{value.text}" if is_reference else guess
    if isinstance(value, nodes.Number) and not value.percent:
        return value_meant(argument.name, value.text, words)
    if isinstance(value, nodes.Text):
        return value_meant(argument.name, value.value, words) or _unquoted(argument, value.value)
    return None


def _unquoted(argument: Argument, text: str) -> str | None:
    """What stands between quotes, where an argument takes it without them."""
    if argument.kind not in ("lr", "number", "positive", "ratio", "whole", "length", "scale", "metric", "clip"):
        return None
    plain = _PLAIN_NUMBER.fullmatch(text)
    is_length = argument.kind == "length"
    return text if plain is not None and bool(plain["unit"]) == is_length else None
