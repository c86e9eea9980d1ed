"""A branch of a fork has no name.

What it does
------------
Reports branches without a label.

Why is this bad
---------------
The name is the branch's path in the plan, in the run folder and in `compare`.

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
There is no automatic fix.
"""

from __future__ import annotations

from dsd_lang.passes.walk import statements
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes

CODE = "DSD503"


def check(subject: Subject) -> None:
    """Every branch of every fork."""
    for statement, _ in statements(subject.program.statements):
        for branch in statement.branches if isinstance(statement, nodes.Fork) else ():
            if branch.label is None:
                subject.findings.add(
                    CODE,
                    "every branch of a fork needs a name",
                    branch.span,
                    label="no name",
                    help="write `name: { ... }` or `name: dense 10ep`",
                )
