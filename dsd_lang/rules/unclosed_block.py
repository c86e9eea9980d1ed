"""A bracket, string or regular expression is never closed.

What it does
------------
Reports `{`, `(`, `[`, a quote or the `/` of a regular expression without its other half (the lexer). Of several open
blocks the indentation says which one.

Why is this bad
---------------
Where it ends would be a guess, and all that follows could be inside.

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
Unsafe: the closing bracket is put where the statement or the indentation ends. For a string there is no fix.
"""

from __future__ import annotations

CODE = "DSD104"
