"""Two phases or branches in the same scope have the same label.

What it does
------------
Reports a label that is already used in the same block. Branches need different names as well, also those of two forks
on the same line of phases.

Why is this bad
---------------
`@label` and the name of a branch must be unambiguous.

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
Unsafe: a number is added to the second label, and references still mean the first.
"""

from __future__ import annotations

import re
from collections import ChainMap
from itertools import count

from dsd_lang.base.diagnostics import replacement
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes

CODE = "DSD204"
_LABELLED = (nodes.Phase, nodes.Invocation, nodes.Within)


def check(subject: Subject) -> None:
    """Checks the labels of every scope: the program, and each branch of a fork. Loops belong to the enclosing scope."""
    names = _FreeNames(subject.text)
    pending: list[tuple[nodes.Statement, ...]] = [subject.program.statements]
    while pending:
        _check_scope(subject, pending.pop(), pending, names)


class _FreeNames:
    """Finds free names: the label with the first number that makes a word that is not used.

    The text is read once, and the numbers for a label continue from the last one, so that thousands of equal labels
    take no longer than as many different ones.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._words: frozenset[str] | None = None
        self._last: dict[str, int] = {}

    def following(self, name: str) -> str:
        """The next free name; it is returned only once."""
        if self._words is None:
            self._words = frozenset(re.findall(r"\w+", self._text))
        for number in count(self._last.get(name, 1) + 1):
            if (free := f"{name}_{number}") not in self._words:
                self._last[name] = number
                return free
        raise AssertionError("count() never ends")


def _check_scope(
    subject: Subject,
    body: tuple[nodes.Statement, ...],
    pending: list[tuple[nodes.Statement, ...]],
    names: _FreeNames,
) -> None:
    phases: dict[str, nodes.Label] = {}
    branches: dict[str, nodes.Label] = {}
    stack = list(reversed(body))
    while stack:
        statement = stack.pop()
        if isinstance(statement, _LABELLED) and statement.label is not None:
            _define(subject, statement.label, ChainMap(phases, branches), names)
        if isinstance(statement, (nodes.RepeatBlock, nodes.ForBlock, nodes.Within)):
            stack += reversed(statement.body)
        elif isinstance(statement, nodes.Sweep):
            if statement.label is not None:
                _define(subject, statement.label, ChainMap(branches, phases), names)
            pending.append(statement.body)
        elif isinstance(statement, nodes.Def):
            pending.append(statement.body)
        elif isinstance(statement, nodes.Fork):
            own: dict[str, nodes.Label] = {}
            for branch in statement.branches:
                if branch.label is not None:
                    _define(subject, branch.label, ChainMap(own, branches, phases), names)
                pending.append(branch.body)
            branches.update(own)


def _define(subject: Subject, label: nodes.Label, taken: ChainMap[str, nodes.Label], names: _FreeNames) -> None:
    """Adds a label to the first of the maps, under a free name if it is already used."""
    before = taken.get(label.name)
    if before is None:
        taken[label.name] = label
        return
    free = names.following(label.name)
    taken[free] = label
    subject.diagnostics.add(
        CODE,
        f"the label `{label.name}` is taken",
        label.span,
        label=f"first used on line {before.span.line}",
        help=f"give each phase and branch of a block its own name, such as `{free}`",
        fix=replacement(label.span, free),
    )
