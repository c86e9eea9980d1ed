"""The milestones of a step decay are not in order.

What it does
------------
Reports milestones of `decay=step(...)` in one unit that do not increase, or stand there twice (pass `read_decays`).

Why is this bad
---------------
The steps are taken in the order of time, not of writing, and two at one milestone multiply: it reads as another
schedule than it is.

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

CODE = "DSD412"
