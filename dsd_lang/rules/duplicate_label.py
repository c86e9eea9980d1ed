"""Two phases or branches of one scope have the same label.

What it does
------------
Reports a label that is already taken in the same block. Branches need different names, those of two forks on one line
too.

Why is this bad
---------------
`@label` and the name of a branch must mean one thing.

Example
-------
::

    a: dense 50ep; a: dense 10ep

Use instead
-----------
::

    first: dense 50ep; second: dense 10ep

Fix safety
----------
Unsafe: the second one gets a number, and references go on naming the first.
"""

from __future__ import annotations

from itertools import count

from dsd_lang.base.diagnostics import replacement
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes

CODE = "DSD204"


def check(subject: Subject) -> None:
    """The labels of every scope: the program, and each branch of a fork. Loops belong to the scope around them."""
    pending: list[tuple[nodes.Statement, ...]] = [subject.program.statements]
    while pending:
        _check_scope(subject, pending.pop(), pending)


def _check_scope(
    subject: Subject, body: tuple[nodes.Statement, ...], pending: list[tuple[nodes.Statement, ...]]
) -> None:
    phases: dict[str, nodes.Label] = {}
    branches: dict[str, nodes.Label] = {}
    stack = list(reversed(body))
    while stack:
        statement = stack.pop()
        if isinstance(statement, nodes.Phase) and statement.label is not None:
            _define(subject, statement.label, {**branches, **phases}, phases)
        elif isinstance(statement, nodes.RepeatBlock | nodes.ForBlock):
            stack += reversed(statement.body)
        elif isinstance(statement, nodes.Sweep):
            pending.append(statement.body)
        elif isinstance(statement, nodes.Fork):
            own: dict[str, nodes.Label] = {}
            for branch in statement.branches:
                if branch.label is not None:
                    _define(subject, branch.label, {**phases, **branches, **own}, own)
                pending.append(branch.body)
            branches.update(own)


def _define(subject: Subject, label: nodes.Label, taken: dict[str, nodes.Label], into: dict[str, nodes.Label]) -> None:
    if label.name in taken:
        line = taken[label.name].span.line
        free = _free_name(subject, label.name, taken)
        into[free] = label
        subject.findings.add(
            CODE,
            f"the label `{label.name}` is taken",
            label.span,
            label=f"first used on line {line}",
            help=f"give each phase and branch of a block its own name, such as `{free}`",
            fix=replacement(label.span, free),
        )
    else:
        into[label.name] = label


def _free_name(subject: Subject, name: str, taken: dict[str, nodes.Label]) -> str:
    """The name with the first number that makes a word nobody has written and nobody was told to."""
    names = (f"{name}_{number}" for number in count(2))
    return next(free for free in names if free not in subject.text and free not in taken)
