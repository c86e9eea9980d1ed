"""An argument and a value that it does not take in, the finding out: what was expected, in words."""

from __future__ import annotations

from dsd_lang.base.arguments import Argument
from dsd_lang.base.diagnostics import replacement
from dsd_lang.base.errors import nearest
from dsd_lang.base.options import Parameter
from dsd_lang.base.units import exact, parse_length
from dsd_lang.passes.findings import Findings
from dsd_lang.passes.quantities import describe
from dsd_lang.syntax import nodes


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
    words = [option.name for option in argument.options]
    guess = nearest(value.text, words) if isinstance(value, nodes.Name) else None
    findings.add(
        "DSD209",
        f"`{argument.name}=` does not take {describe(value)}",
        value.span,
        label=f"did you mean `{guess}`?" if guess else "not a value it takes",
        help=f"`{argument.name}=` takes {expected(argument)}",
        fix=replacement(value.span, guess) if guess else None,
    )
