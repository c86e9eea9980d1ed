"""A learning rate is not above 0, or cannot be computed.

What it does
------------
Reports rates of 0 and below, sums with a rate that is only known at run time, and rates beyond the range of numbers
(pass `resolve_learning_rates`).

Why is this bad
---------------
A phase at rate 0 learns nothing. `last` is 0 after a cosine or linear decay without `floor=`.

Example
-------
::

    dense 50ep lr=1e-2 decay=cosine; sparse 50% lr=last

Use instead
-----------
::

    dense 50ep lr=1e-2 decay=cosine; sparse 50% lr=prev/10

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

CODE = "DSD403"
