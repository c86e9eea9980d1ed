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

CODE = "DSD302"
