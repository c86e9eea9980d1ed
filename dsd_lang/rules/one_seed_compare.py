"""A comparison has one training for each arm.

What it does
------------
Reports a `compare` whose arms are not trained with two or more seeds.

Why is this bad
---------------
One training an arm has no spread: no test can tell the difference from chance.

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
There is no automatic fix.
"""

from __future__ import annotations

from dsd_lang.rules.subject import Subject

CODE = "DSD502"


def check(subject: Subject) -> None:
    """The number of trainings of every comparison's arms."""
    if subject.book is None:
        return
    paths: dict[str, set[str]] = {}
    for draft in subject.book.phases:
        if draft.arm:
            paths.setdefault(draft.arm, set()).add(draft.path)
    for data, node in subject.comparisons:
        if min(len(paths.get(data[side], ())) for side in ("left", "right")) == 1:
            subject.findings.add(
                CODE,
                f"`{data['left']}` and `{data['right']}` are compared on one training each",
                node.span,
                label="no spread",
                help="write `fork seeds=5 { ... }`",
            )
