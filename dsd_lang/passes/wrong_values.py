"""An argument and a value that it does not take in, the finding out: what was expected, in words."""

from __future__ import annotations

from dsd_lang.base.arguments import Argument
from dsd_lang.base.diagnostics import replacement
from dsd_lang.base.errors import nearest
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
        "whole": f"a whole number of at least {least_whole(argument)}",
        "length": "a length such as `5ep` or `100it`",
        "selectors": "layers such as `fc,birnn`",
        "text": 'a name in quotes such as `"ds2"`',
        "metric": "a metric such as `test.err`",
        "scale": "a number above 0",
    }.get(argument.kind, "another value")


def least_whole(argument: Argument) -> int:
    """The least whole number that an argument takes."""
    return 0 if argument.name in ("min", "seed") else 1


def report_value(argument: Argument, value: nodes.Value, findings: Findings) -> None:
    """The value is none that the argument takes."""
    words = [option.name for option in argument.options]
    guess = nearest(value.text, words) if isinstance(value, nodes.Name) else None
    findings.add(
        "DSD202",
        f"`{argument.name}=` does not take {describe(value)}",
        value.span,
        label=f"did you mean `{guess}`?" if guess else "not a value it takes",
        help=f"`{argument.name}=` takes {expected(argument)}",
        fix=replacement(value.span, guess) if guess else None,
    )
