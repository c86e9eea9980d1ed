"""A suppression comment suppresses nothing.

What it does
------------
Reports `# dsd: ignore[...]` for a rule that reports nothing there, for a rule that does not exist, and without any
rule. Rules that were not selected, or could not run because of errors, are not reported. Errors cannot be suppressed,
so their codes are reported as well. The same holds for `# fmt: skip`, `# fmt: off` and `# fmt: on` where `dsd-fmt`
takes no notice of them, and for any other word after `# fmt:`.

Why is this bad
---------------
It would hide a future diagnostic that nobody has looked at.

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
Safe: the name or the whole comment is removed. Unsafe for a misspelt name: the nearest one is a guess.
"""

from __future__ import annotations

CODE = "DSD903"
