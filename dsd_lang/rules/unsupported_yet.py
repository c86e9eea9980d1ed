"""An argument is in the language, and its engine is not there yet.

What it does
------------
`dsd-run` reports it before anything is trained; `dsd-plan` keeps the argument in the plan.

Why is this bad
---------------
An argument that is accepted and ignored makes a result that says something else than its schedule.

Example
-------
::

    sparse 50% by=movement(score_lr=0.1) 50ep

Use instead
-----------
::

    sparse 50% by=magnitude 50ep

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

CODE = "DSD207"
