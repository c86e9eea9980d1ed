"""A comparison has only one seed for each arm.

What it does
------------
Reports a `compare` whose arms are not trained with two or more seeds.

Why is this bad
---------------
A single training per arm gives no variance, so no test can tell the difference from chance.

Example
-------
::

    fork { a: dense 10ep; b: dense 10ep }
    compare a vs b on=test.err

Use instead
-----------
::

    fork seeds=5 { a: dense 10ep; b: dense 10ep }
    compare a vs b on=test.err

Fix safety
----------
Display only, because `seeds=5` trains everything in the fork five times.
"""

from __future__ import annotations

from dsd_lang.base.diagnostics import Edit, Fix
from dsd_lang.base.source import position_span
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes

CODE = "DSD502"


def check(subject: Subject) -> None:
    """Checks the number of trainings of each arm of a comparison."""
    if subject.book is None:
        return
    paths: dict[str, set[str]] = {}
    for draft in subject.book.phases:
        if draft.arm:
            paths.setdefault(draft.arm, set()).add(draft.path)
    for data, node in subject.comparisons:
        if data["left"] == data["right"]:
            continue  # reported by DSD210
        if min(len(paths.get(data[side], ())) for side in ("left", "right")) == 1:
            subject.diagnostics.add(
                CODE,
                f"`{data['left']}` and `{data['right']}` are compared on one training each",
                node.span,
                label="no spread",
                help="write `fork seeds=5 { ... }`",
                fix=_with_seeds(subject, data["left"]),
            )


def _with_seeds(subject: Subject, arm: str) -> Fix | None:
    """Adds seeds to the fork of a comparison's arm; None if it has seeds or is nested deeper."""
    for statement in subject.program.statements:
        if isinstance(statement, nodes.Fork) and not any(item.name == "seeds" for item in statement.arguments):
            labels = [branch.label.name for branch in statement.branches if branch.label is not None]
            if arm in labels:
                point = position_span(subject.text, statement.span.start + 4, statement.span.start + 4)
                return Fix("train each branch with 5 seeds", (Edit(point, " seeds=5"),), "display")
    return None
