"""`repeat` has nothing to repeat.

What it does
------------
Reports a `repeat` without a block that has no sparse-dense pair before it.

Why is this bad
---------------
`repeat` without a block copies the last pair. Without a pair it has no meaning.

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
    """A `repeat` without a pair before it."""
    return Diagnostic(
        CODE,
        "`repeat` copies the last sparse...dense pair, and there is none before it",
        tail.span,
        label="nothing to repeat",
        help="write a `sparse` and a `dense` phase first, or `repeat N { ... }`",
    )
