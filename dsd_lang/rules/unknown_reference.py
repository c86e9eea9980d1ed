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

    sparse 50% from=@ful.start 50ep

Use instead
-----------
::

    full: dense 50ep
    sparse 50% from=@full.start 50ep

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

CODE = "DSD203"
