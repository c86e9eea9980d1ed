"""The program expands to more than 100,000 phases.

What it does
------------
Reports loops, forks and sweeps that expand to too many phases, before anything is expanded, and numbers outside their
range.

Why is this bad
---------------
All phases are planned before training. A plan of this size is most likely a mistake.

Example
-------
::

    repeat 1000 { repeat 1000 { dense 1ep } }

Use instead
-----------
::

    repeat 1000 { dense 1ep }

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

from dsd_lang.base.diagnostics import Diagnostic, Span
from dsd_lang.base.units import MAX_DIGITS, RANGE_WORDS

CODE = "DSD405"
MAX_PHASES = 100_000
"""The phases that a plan may have, and the values that a range may."""


def too_many_phases(span: Span, *, help: str = "") -> Diagnostic:
    """More phases than a plan may have."""
    return Diagnostic(CODE, f"the program expands past {MAX_PHASES:,} phases", span, label="too many phases", help=help)


def product_too_large(span: Span) -> Diagnostic:
    """More phases than a plan may have, detected before anything is expanded."""
    return too_many_phases(span, help="lower the counts of the loops, forks and sweeps that multiply here")


def blocks_too_deep(most: int, span: Span) -> Diagnostic:
    """Blocks are nested too deep."""
    return Diagnostic(CODE, f"blocks nest deeper than {most}", span, label="too deep")


def number_too_long(span: Span) -> Diagnostic:
    """A number that the plan cannot store."""
    return Diagnostic(
        CODE,
        "this number is out of range",
        span,
        label="cannot be computed",
        help=f"numbers have {RANGE_WORDS}",
    )


def power_too_long(span: Span) -> Diagnostic:
    """A power that is too long to compute."""
    return Diagnostic(CODE, f"this power has more than {MAX_DIGITS} digits", span, label="cannot be computed")
