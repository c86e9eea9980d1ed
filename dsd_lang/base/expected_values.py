"""Says in words what an argument or a parameter takes: for messages and for the editor."""

from __future__ import annotations

from dsd_lang.base.arguments import Argument
from dsd_lang.base.options import Parameter


def expected(argument: Argument) -> str:
    """The values of an argument, in words."""
    if argument.kind in ("choice", "function", "decay", "clip") or argument.options:
        words = ", ".join(f"`{option.name}`" for option in argument.options)
        more = {
            "source": " or a reference such as `@label.end`",
            "length": " or a length such as `5ep`" + (" or a share such as `3%`" if argument.may_be_share else ""),
            "distill": ", a reference such as `@teacher.end` or the path of a file in quotes",
            "clip": " or a number",
        }
        return f"one of {words}{more.get(argument.kind, '')}" if words else f"a value{more.get(argument.kind, '')}"
    return {
        "lr": "a number such as `8e-4`, or `prev/10`",
        "number": "a number of 0 or more",
        "ratio": "a share from 0 to below 1 such as `30%`",
        "whole": f"a whole number of at least {argument.least}",
        "length": "a length such as `5ep` or `100it`",
        "selectors": "layers such as `fc,birnn`" + (", or `none`" if argument.default == "none" else ""),
        "text": 'a name in quotes such as `"ds2"`',
        "metric": "a metric such as `test.err`",
        "scale": "a number above 0",
    }.get(argument.kind, "another value")


def expected_by(parameter: Parameter) -> str:
    """The values of a parameter, in words."""
    return {
        "number": "a number of 0 or more",
        "positive": "a number above 0",
        "ratio": "a number from 0 to below 1",
        "share": "a share from 0 to 1 such as `30%`",
        "whole": "a whole number of at least 1",
        "length": "a length such as `100it`",
        "choice": f"one of {', '.join(f'`{word}`' for word in parameter.words)}",
        "switch": "`on` or `off`",
        "file": f"the path of a file, such as `{parameter.example}`",
        "text": f"a string, such as `{parameter.example}`",
        "any": "a value",
    }[parameter.kind]
