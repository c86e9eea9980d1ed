"""Values in the words of a message."""

from __future__ import annotations

from dsd_lang.syntax import nodes


def describe(value: nodes.Value) -> str:
    """A value in the words of a message."""
    if isinstance(value, (nodes.Number, nodes.LengthLiteral, nodes.Name)):
        return f"`{value.text[:40]}`"
    if isinstance(value, nodes.Text):
        return f'the string `"{value.value[:40]}"`'
    if isinstance(value, nodes.Reference):
        return f"the reference `@{'.'.join(value.path)[:40]}`"
    if isinstance(value, nodes.Call):
        callee = value.callee
        if isinstance(callee, nodes.Text):
            return describe(callee)
        name = callee.text if isinstance(callee, nodes.Name) else "@" + ".".join(callee.path)
        return f"`{name[:40]}(...)`"
    return "`p(...)`" if isinstance(value, nodes.PValue) else "an expression"


def refused_operation(operator: str, left: str, right: str) -> str:
    """The message that two kinds of quantities (`a number`, `a length in epochs`) cannot be combined."""
    if operator in ("+", "-"):
        return f"{left} and {right} cannot be added"
    verb = {"*": "multiplied by", "/": "divided by", "^": "raised to"}[operator]
    return f"{left} cannot be {verb} {right}"
