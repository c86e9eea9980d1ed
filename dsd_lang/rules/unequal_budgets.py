"""The arms of a comparison train for different lengths.

What it does
------------
Reports a `compare` whose arms differ in total epochs or updates, counted from the root to each arm's end.

Why is this bad
---------------
More training alone may be the reason for the better arm.

Example
-------
::

    fork { a: dense 10ep; b: dense 30ep }
    compare a vs b on=test.err

Use instead
-----------
::

    fork { a: dense 30ep; b: dense 30ep }
    compare a vs b on=test.err

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

from fractions import Fraction

from dsd_lang.passes.draft import Draft
from dsd_lang.rules.subject import Subject
from dsd_lang.units import format_exact

CODE = "DSD501"


def check(subject: Subject) -> None:
    """Every comparison's totals."""
    if subject.book is None:
        return
    totals = {draft.arm: _total(draft) for draft in subject.book.phases if draft.arm}
    for data, node in subject.comparisons:
        left, right = totals.get(data["left"]), totals.get(data["right"])
        if left is not None and right is not None and left != right:
            subject.findings.add(
                CODE,
                f"`{data['left']}` trains for {_shown(left)}, `{data['right']}` for {_shown(right)}",
                node.span,
                label="unequal budgets",
                help="give both arms the same total, or say with a suppression that it is meant",
            )


def _total(draft: Draft | None) -> tuple[Fraction, Fraction]:
    """Epochs and updates from the root to the end of a phase."""
    epochs, updates = Fraction(0), Fraction(0)
    while draft is not None:
        if draft.length is not None and draft.length.unit == "ep":
            epochs += draft.length.value
        elif draft.length is not None:
            updates += draft.length.value
        draft = draft.parent
    return epochs, updates


def _shown(total: tuple[Fraction, Fraction]) -> str:
    parts = [f"{format_exact(value)}{unit}" for value, unit in zip(total, ("ep", "it"), strict=True) if value]
    return " + ".join(parts) or "0ep"
