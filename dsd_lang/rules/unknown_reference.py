"""A reference names a phase or branch that is not there, or not there yet.

What it does
------------
Reports `@name` and the arms of `compare` and `expect` that name nothing before them (pass `resolve_references`).

Why is this bad
---------------
A schedule is acyclic: a phase can only start from what has been trained when it begins.

Example
-------
::

    full: dense 50ep lr=8e-4
    sparse 50% from=@ful.start

Use instead
-----------
::

    full: dense 50ep lr=8e-4
    sparse 50% from=@full.start

Fix safety
----------
Unsafe: the nearest name is a guess. For a name that is later, or like no other, there is no fix.
"""

from __future__ import annotations

CODE = "DSD203"
