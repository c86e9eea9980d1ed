"""A length has no unit.

What it does
------------
Reports a bare number where a length must stand, and units written out: `50 epochs`, `500iterations` (the parser, and
passes that read lengths).

Why is this bad
---------------
50 epochs and 50 updates are different trainings.

Example
-------
::

    dense 50 lr=8e-4

Use instead
-----------
::

    dense 50ep lr=8e-4

Fix safety
----------
Unsafe: `50ep` chooses a unit. Display only where both units are as likely, as in `warmup=5`.
"""

from __future__ import annotations

CODE = "DSD402"
