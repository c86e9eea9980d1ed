"""An argument is given twice.

What it does
------------
Reports the second `name=` of one phase or statement, a second length, target or `until`, and a setting set twice.

Why is this bad
---------------
It is not clear which of the two applies.

Example
-------
::

    dense 50ep lr=8e-4 lr=3e-4

Use instead
-----------
::

    dense 50ep lr=3e-4

Fix safety
----------
Display only if the two differ, because it is not clear which one is meant. Unsafe if they are the same: the second one
is removed.
"""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.base.diagnostics import Diagnostic, Span
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes
from dsd_lang.syntax.removal import phase_spans, removal
from dsd_lang.syntax.walk import arguments_of, compares_in, phases_of

CODE = "DSD206"


def check(subject: Subject) -> None:
    """Checks the argument names of every phase and statement."""
    for statement in subject.statements:
        if not isinstance(statement, nodes.SetStatement):  # settings are compared over the whole program
            _check(subject, arguments_of(statement), None)
        for compare in compares_in(statement):
            _check(subject, compare.arguments, None)
        for phase in phases_of(statement):
            _check(subject, [item for item in phase.items if isinstance(item, nodes.Argument)], phase)


def _check(subject: Subject, arguments: Sequence[nodes.Argument], phase: nodes.Phase | None) -> None:
    if len(arguments) < 2:
        return
    seen: dict[str, nodes.Argument] = {}
    for argument in arguments:
        first = seen.setdefault(argument.name, argument)
        if first is not argument:
            spans = [other.span for other in arguments] if phase is None else phase_spans(phase)
            is_same = _written(subject, first) == _written(subject, argument)
            subject.diagnostics.add(
                CODE,
                f"`{argument.name}=` is given twice",
                argument.name_span,
                label="given before",
                help="keep one of them",
                fix=removal(argument.span, spans, f"{argument.name}=", "unsafe" if is_same else "display"),
            )


def _written(subject: Subject, argument: nodes.Argument) -> str:
    """The value as written in the text."""
    return "".join(subject.text[argument.name_span.end : argument.span.end].split())


def parameter_twice(shown: str, item: nodes.CallArgument, *, help: str = "keep one of them") -> Diagnostic:
    """A parameter given twice in parentheses; ``shown`` is its name in the message."""
    return Diagnostic(CODE, f"{shown} is given twice", item.span, label="given before", help=help)


def set_twice(argument: nodes.Argument, line: int) -> Diagnostic:
    """A setting given by an earlier `set`."""
    return Diagnostic(
        CODE,
        f"`{argument.name}` is set twice",
        argument.name_span,
        label=f"set before on line {line}",
        help="keep one of them",
    )


def second_until(until: nodes.Until) -> Diagnostic:
    """A second `until` of one phase."""
    return Diagnostic(
        CODE,
        "a phase has one `until`",
        until.span,
        label="given before",
        help="join the conditions with `and` or `or`",
    )


def second_length(phase: nodes.Phase, item: nodes.Value, found: str) -> Diagnostic:
    """A second length of one phase."""
    return Diagnostic(
        CODE,
        f"a phase has one length, found a second one, `{found[:40]}`",
        item.span,
        label="given before",
        help="separate two phases by `;` or a newline",
        fix=removal(item.span, phase_spans(phase), found[:40], "display"),
    )


def second_target(span: Span) -> Diagnostic:
    """A second target of one phase."""
    return Diagnostic(
        CODE,
        "a phase has one target, found a second one",
        span,
        label="given before",
        help="separate two phases by `;` or a newline, or write a list: `[conv: 30%, fc: 50%]`",
    )


def given_twice(item: nodes.GivenValue, name: str) -> Diagnostic:
    """A parameter of a `def` that a call gives twice."""
    return Diagnostic(CODE, f"`{name}` is given twice", item.span, label="given before", help="leave one out")
