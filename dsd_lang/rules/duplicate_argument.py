"""An argument is given twice.

What it does
------------
Reports the second `name=` of one phase or statement, a second length, target or `until`, and a setting set twice.

Why is this bad
---------------
Which of the two holds would be a guess.

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
There is no automatic fix.
"""

from __future__ import annotations

from dsd_lang.passes.walk import arguments_of, phases_of, statements
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes

CODE = "DSD206"


def check(subject: Subject) -> None:
    """The argument names of every phase and statement."""
    for statement, _ in statements(subject.program.statements):
        if not isinstance(statement, nodes.SetStatement):  # settings are compared over the whole program
            _check(subject, arguments_of(statement))
        for phase in phases_of(statement):
            _check(subject, tuple(item for item in phase.items if isinstance(item, nodes.Argument)))


def _check(subject: Subject, arguments: tuple[nodes.Argument, ...]) -> None:
    seen: set[str] = set()
    for argument in arguments:
        if argument.name in seen:
            subject.findings.add(
                CODE,
                f"`{argument.name}=` is given twice",
                argument.name_span,
                label="given before",
                help="keep one of them",
            )
        seen.add(argument.name)
