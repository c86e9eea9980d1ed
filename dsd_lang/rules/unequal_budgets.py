"""The arms of a comparison train for different lengths.

What it does
------------
Reports a `compare` whose arms differ in total epochs or updates, counted from the root to each arm's end.

Why is this bad
---------------
One arm may be better only because it was trained longer.

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

from dsd_lang.base.units import format_short
from dsd_lang.rules.subject import Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.passes.draft import Draftbook

CODE = "DSD501"
Total = tuple[Fraction | int, Fraction | int]


def check(subject: Subject) -> None:
    """Checks the totals of every comparison."""
    if subject.book is None or not subject.comparisons:
        return
    totals = _totals(subject.book)
    for data, node in subject.comparisons:
        left, right = totals.get(data["left"]), totals.get(data["right"])
        if left is not None and right is not None and left != right:
            subject.diagnostics.add(
                CODE,
                f"`{data['left']}` trains for {_shown(left)}, `{data['right']}` for {_shown(right)}",
                node.span,
                label="unequal budgets",
                help="give both arms the same total, or suppress this if it is intended",
            )


def _totals(book: Draftbook) -> dict[str, Total]:
    """Epochs and updates from the root to the end of each arm, in one pass, since parents come first."""
    ends: list[Total] = []
    for draft in book.phases:
        epochs, updates = (0, 0) if draft.parent is None else ends[draft.parent.index]
        if draft.length is not None:
            value = draft.length.value
            added = value.numerator if value.denominator == 1 else value  # adding a `Fraction` takes ten times as long
            if draft.length.unit == "ep":
                epochs += added
            else:
                updates += added
        ends.append((epochs, updates))
    return {draft.arm: end for draft, end in zip(book.phases, ends, strict=True) if draft.arm}


def _shown(total: Total) -> str:
    parts = [f"{format_short(Fraction(value))}{unit}" for value, unit in zip(total, ("ep", "it"), strict=True) if value]
    return " + ".join(parts) or "0ep"
