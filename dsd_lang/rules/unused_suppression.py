"""A suppression comment silences nothing.

What it does
------------
Reports `# dsd: ignore[...]` for a rule that finds nothing there, for a rule that does not exist, and without any rule.
A rule that was not looked for, or could not be because of errors, is not called unused. An error cannot be suppressed:
its code is reported as well.

Why is this bad
---------------
It would hide the next diagnostic, one that nobody has looked at.

Example
-------
::

    dense 50ep lr=8e-4  # dsd: ignore[ends-sparse]

Use instead
-----------
::

    dense 50ep lr=8e-4

Fix safety
----------
Safe: the name or the whole comment is deleted. Unsafe for a misspelt name: the nearest one is a guess.
"""

from __future__ import annotations

CODE = "DSD903"
