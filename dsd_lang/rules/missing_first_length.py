"""The first phase has no length.

What it does
------------
Reports a phase without a length that has no previous phase to inherit one from.

Why is this bad
---------------
dsd does not guess how long to train.

Example
-------
::

    dense lr=8e-4

Use instead
-----------
::

    dense 50ep lr=8e-4

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

from dsd_lang.base.diagnostics import Diagnostic
from dsd_lang.syntax import nodes

CODE = "DSD301"


def no_length(phase: nodes.Phase) -> Diagnostic:
    """A phase without a length and without a previous phase."""
    return Diagnostic(
        CODE,
        f"the first phase needs a length, and this `{phase.mode}` has none",
        phase.mode_span,
        label="how long?",
        help="write it in epochs (`50ep`) or optimizer updates (`500it`)",
    )
