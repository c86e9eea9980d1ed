"""`repeat` stands where nothing can be repeated.

What it does
------------
Reports a tail `repeat` without a sparse...dense pair before it on its line (pass `expand_repeats`).

Why is this bad
---------------
The tail form copies the last pair; without one it has no meaning.

Example
-------
::

    dense 50ep; repeat 2

Use instead
-----------
::

    dense 50ep; sparse 50%; dense; repeat 2

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

from dsd_lang.base.diagnostics import Diagnostic
from dsd_lang.syntax import nodes

CODE = "DSD302"


def no_pair(tail: nodes.RepeatTail) -> Diagnostic:
    """A tail `repeat` without a pair before it."""
    return Diagnostic(
        CODE,
        "`repeat` copies the last sparse...dense pair, and there is none before it",
        tail.span,
        label="nothing to repeat",
        help="write a `sparse` and a `dense` phase first, or `repeat N { ... }`",
    )
