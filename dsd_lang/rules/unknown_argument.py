"""An argument does not exist, or does not belong here.

What it does
------------
Reports `name=` that no row of the argument table has at this place, parameters that a function does not have, and
arguments that do not go with the phase (`every=` without a ramp). A value that does not fit is DSD209.

Why is this bad
---------------
A misspelled argument that is skipped changes the experiment without a word.

Example
-------
::

    sparse 50% layer=fc 50ep

Use instead
-----------
::

    sparse 50% layers=fc 50ep

Fix safety
----------
Unsafe: the nearest name is a guess. What has no effect at its place is left out.
"""

from __future__ import annotations

from dsd_lang.base.arguments import BY_NAME, Place, allowed_at
from dsd_lang.base.diagnostics import replacement
from dsd_lang.base.errors import nearest
from dsd_lang.passes.removal import without_argument
from dsd_lang.passes.walk import arguments_of, phases_of, statements
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes

CODE = "DSD202"


_PLACES: dict[str, str] = {
    "dense": "`dense`",
    "sparse": "`sparse`",
    "set": "`set`",
    "repeat": "`repeat`",
    "fork": "`fork`",
    "compare": "`compare`",
}


def check(subject: Subject) -> None:
    """The name of every argument, at its place."""
    for statement, _ in statements(subject.program.statements):
        place = _place_of(statement)
        if place is not None:
            for argument in arguments_of(statement):
                _check(subject, argument, place)
        for phase in phases_of(statement):
            for item in phase.items:
                if isinstance(item, nodes.Argument):
                    _check(subject, item, phase.mode, phase)


def _place_of(statement: nodes.Statement) -> Place | None:
    if isinstance(statement, nodes.SetStatement):
        return "set"
    if isinstance(statement, nodes.RepeatTail):
        return "repeat"
    if isinstance(statement, nodes.Fork):
        return "fork"
    return "compare" if isinstance(statement, nodes.Compare) else None


def _check(subject: Subject, argument: nodes.Argument, place: Place, phase: nodes.Phase | None = None) -> None:
    row = BY_NAME.get(argument.name)
    if row is not None and place in row.places:
        return
    here = allowed_at(place)
    if row is not None:
        where = " or ".join(_PLACES[name] for name in row.places)
        subject.findings.add(
            CODE,
            f"`{argument.name}=` belongs to {where}, not to {_PLACES[place]}",
            argument.name_span,
            label="not here",
            help=f"leave it out here (`{row.name}=`: {row.meaning})",
            fix=None if phase is None else without_argument(phase, row.name, "display"),
        )
        return
    guess = nearest(argument.name, here)
    fix = replacement(argument.name_span, guess) if guess else None
    subject.findings.add(
        CODE,
        f"{_PLACES[place]} has no argument `{argument.name}`",
        argument.name_span,
        label=f"did you mean `{guess}`?" if guess else "unknown argument",
        help="" if guess else f"{_PLACES[place]} takes {', '.join(f'`{name}=`' for name in here)}",
        fix=fix,
    )
