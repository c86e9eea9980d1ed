"""The milestones of a step decay are not in order.

What it does
------------
Reports milestones of `decay=step(...)` in the same unit that do not increase, or are given twice.

Why is this bad
---------------
Milestones apply in the order of time, not in the order written, and a milestone given twice applies twice. So the
schedule does not do what it seems to say.

Example
-------
::

    dense 50ep lr=0.1 decay=step(60%, 30%)

Use instead
-----------
::

    dense 50ep lr=0.1 decay=step(30%, 60%)

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

from dsd_lang.base.diagnostics import Diagnostic, Span

CODE = "DSD412"


def not_after(milestone: str, before: str, span: Span, *, is_twice: bool) -> Diagnostic:
    """A milestone that is not after the one to its left."""
    return Diagnostic(
        CODE,
        f"milestones are in order, each once, found `{milestone}` after `{before}`",
        span,
        label="given before" if is_twice else "before the one on its left",
        help="at one milestone the rate falls once: keep one of them, or write a smaller `by=`"
        if is_twice
        else "write the earlier milestone first",
    )
