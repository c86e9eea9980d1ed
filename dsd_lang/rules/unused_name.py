"""A `let` that nothing uses.

What it does
------------
Reports a `let`, and a parameter of a `def`, that is never used.

Why is this bad
---------------
A change of its value, also by `--set`, changes nothing.

Example
-------
::

    let s = 50%
    dense 5ep lr=0.1; sparse 30%; dense

Use instead
-----------
::

    let s = 30%
    dense 5ep lr=0.1; sparse s; dense

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

import re

from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes
from dsd_lang.syntax.walk import compares_in, statements, values_of, words_in

CODE = "DSD904"


def check(subject: Subject) -> None:
    """Checks every `let`, and every parameter."""
    if not any(isinstance(statement, (nodes.Let, nodes.Def)) for statement in subject.statements):
        return
    top = {id(statement) for statement in subject.program.statements}
    brings = any(isinstance(statement, nodes.Phase) for statement in subject.program.statements)
    used = {word for statement in subject.statements for word in _words(statement)}
    for statement in subject.statements:
        if isinstance(statement, nodes.Let) and statement.name.text not in used:
            if brings or id(statement) not in top:  # a file of names alone is for others to use
                _report(subject, statement.name, "`let`")
        elif isinstance(statement, nodes.Def):
            inside = {word for inner, _ in statements(statement.body) for word in _words(inner)}
            inside |= {word for one in statement.parameters for word in words_in(one.default)}
            for parameter in statement.parameters:
                if parameter.name.text not in inside:
                    _report(subject, parameter.name, f"`{statement.name.text}`")


def _words(statement: nodes.Statement) -> set[str]:
    """All words that may be a use of a name."""
    words = {word for root in values_of(statement) for word in words_in(root)}
    words |= {
        arm.text for compare in compares_in(statement) for arm in (compare.left, compare.right) if arm is not None
    }
    return words | {part for word in words if "[" in word for part in re.findall(r"\w+", word)}


def _report(subject: Subject, name: nodes.Name, what: str) -> None:
    subject.diagnostics.add(
        CODE,
        f"`{name.text}` is never used",
        name.span,
        label=f"nothing in the schedule needs this {what}" if what == "`let`" else f"{what} does not need it",
        help="use it, or leave it out",
    )
