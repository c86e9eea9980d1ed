"""A branch of a fork has no name.

What it does
------------
Reports branches without a label.

Why is this bad
---------------
The label is the branch's path in the plan, in the run folder and in `compare`.

Example
-------
::

    fork { dense 10ep; dense 20ep }

Use instead
-----------
::

    fork { short: dense 10ep; long: dense 20ep }

Fix safety
----------
Unsafe: the label (`a`, `b`, ...) is arbitrary.
"""

from __future__ import annotations

from dsd_lang.base.diagnostics import Edit, Fix
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes

CODE = "DSD503"
_NAMES = "abcdefghijklmnopqrstuvwxyz"


def check(subject: Subject) -> None:
    """Checks every branch of every fork."""
    for statement in subject.statements:
        if not isinstance(statement, nodes.Fork):
            continue
        taken = {branch.label.name for branch in statement.branches if branch.label is not None}
        free = (name for name in _NAMES if name not in taken)
        for branch in statement.branches:
            if branch.label is None:
                point = branch.span._replace(
                    end_line=branch.span.line, end_column=branch.span.column, end=branch.span.start
                )
                name = next(free, None)
                subject.diagnostics.add(
                    CODE,
                    "every branch of a fork needs a name",
                    branch.span,
                    label="no name",
                    help="write `name: { ... }` or `name: dense 10ep`",
                    fix=Fix(f"name it `{name}`", (Edit(point, f"{name}: "),)) if name else None,
                )
