"""The text is not a valid schedule.

What it does
------------
Reports text that the grammar does not accept, with what was expected and what was found, and empty blocks: `repeat`,
`for`, `sweep` and `fork` without a statement or branch.

Why is this bad
---------------
A statement that cannot be parsed cannot be trained. An empty block trains nothing, and usually means that a line is
missing.

Example
-------
::

    spares 50% 20ep lr=1e-3

Use instead
-----------
::

    sparse 50% 20ep lr=1e-3

Fix safety
----------
Unsafe if the intention is clear: the nearest word, a missing `=` or `:`, an extra `,`, a character pasted from a web
page. Safe for a comment that begins with `//`.
"""

from __future__ import annotations

from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes
from dsd_lang.syntax.walk import bodies

CODE = "DSD101"
_BLOCKS: dict[type, str] = {
    nodes.RepeatBlock: "repeat",
    nodes.ForBlock: "for",
    nodes.Sweep: "sweep",
    nodes.Def: "def",
    nodes.Within: "within",
}


def check(subject: Subject) -> None:
    """Checks every block: an empty one is a mistake that the grammar allows."""
    for statement in subject.statements:
        if isinstance(statement, nodes.Fork):
            if not statement.branches:
                help = "write its branches, such as `a: dense 10ep`, or delete it"
                _report(subject, statement, "this `fork` has no branches", help)
            for branch in statement.branches:
                if not branch.body:
                    name = f"the branch `{branch.label.name}`" if branch.label is not None else "this branch"
                    _report(subject, branch, f"{name} has no phases", "write its phases; `dense 0ep` trains nothing")
        elif type(statement) in _BLOCKS and not any(bodies(statement)):
            word = _BLOCKS[type(statement)]
            _report(subject, statement, f"this `{word}` has nothing in its block", "write its phases, or delete it")


def _report(subject: Subject, node: nodes.Statement | nodes.Branch, message: str, help: str) -> None:
    subject.diagnostics.add(CODE, message, node.span, label="an empty block", help=help)
