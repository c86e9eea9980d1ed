"""Values that `--set` and `overrides=` give to the top-level `let`s of a schedule."""

from __future__ import annotations

from collections.abc import Mapping

from dsd_lang.base.errors import DsdError
from dsd_lang.passes.calls import respanned
from dsd_lang.syntax import nodes


def names_of(program: nodes.Program) -> tuple[str, ...]:
    """The names of all top-level `let`s."""
    return tuple(item.name.text for item in program.statements if isinstance(item, nodes.Let))


def overridden(let: nodes.Let, overrides: Mapping[str, str] | None) -> nodes.Let:
    """The `let` with the value given from outside, if there is one; raises :class:`DsdError` if that is no value."""
    text = (overrides or {}).get(let.name.text)
    if text is None:
        return let
    from dsd_lang.syntax.parser import parse

    name = let.name.text
    result = parse(f"let {name} = {text}\n")
    read = result.program.statements
    if result.diagnostics or len(read) != 1 or not isinstance(read[0], nodes.Let):
        problem = next((item.message for item in result.diagnostics), f"`{str(text)[:60]}` is not a value")
        raise DsdError(f"--set `{name}`: {problem}", help=f"write for instance `--set {name}=50%`")
    flag = f"--set {name}={text}"
    return nodes.Let(let.name, respanned(read[0].values, let.span, "", flag), let.span)
