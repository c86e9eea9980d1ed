"""A bracket, string or regular expression is never closed.

What it does
------------
Reports `{`, `(`, `[`, a quote or the `/` of a regular expression that is not closed. If several blocks are open, the
indentation decides which one is reported.

Why is this bad
---------------
It is not clear where it ends, and everything that follows could be inside.

Example
-------
::

    set decay=step(33%, 66%, by=0.1
    dense 50ep lr=8e-4

Use instead
-----------
::

    set decay=step(33%, 66%, by=0.1)
    dense 50ep lr=8e-4

Fix safety
----------
Unsafe: the closing bracket is inserted where the statement or the indentation ends. There is no fix for a string.
"""

from __future__ import annotations

CODE = "DSD104"
