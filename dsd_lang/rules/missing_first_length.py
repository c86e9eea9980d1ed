"""The first phase of a line has no length.

What it does
------------
Reports a phase without a length that has no phase before it to take one from (pass `resolve_lengths`).

Why is this bad
---------------
How long to train is never guessed.

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

CODE = "DSD301"
