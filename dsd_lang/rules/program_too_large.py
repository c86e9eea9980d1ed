"""The program expands past 100,000 phases.

What it does
------------
Reports loops, forks and sweeps whose product is too large, before anything is expanded, and numbers beyond their range
(pass `measure_program`).

Why is this bad
---------------
A plan is finite and known before training; one of this size is a mistake.

Example
-------
::

    repeat 1000 { repeat 1000 { dense 1ep } }

Use instead
-----------
::

    repeat 1000 { dense 1ep }

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

CODE = "DSD405"
