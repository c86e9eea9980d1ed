"""A target is outside of 25-50%, the range in the paper.

What it does
------------
Reports plain targets below 25% or above 50%. Off by default.

Why is this bad
---------------
The paper reports gains from DSD at 25-50%. Far outside of it, expect little gain or a loss.

Example
-------
::

    sparse 90% 20ep

Use instead
-----------
::

    sparse 50% 20ep

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

from fractions import Fraction

from dsd_lang.base.units import exact, format_percent
from dsd_lang.rules.subject import Subject

CODE = "DSD407"


LOW, HIGH = Fraction(1, 4), Fraction(1, 2)


def check(subject: Subject) -> None:
    """Checks every plain target."""
    for draft in subject.book.phases if subject.book is not None else ():
        target = draft.target
        if target is not None and target["kind"] == "fraction" and not LOW <= exact(target["pruned"]) <= HIGH:
            subject.diagnostics.add(
                CODE,
                f"{format_percent(exact(target['pruned']))} lies outside 25-50%, the range the paper found to work",
                draft.node.span,
                label="outside the paper's range",
                help="write a target from 25% to 50%, or leave this rule off",
            )
