"""A reserved word is used where a name or value is expected.

What it does
------------
Reports `dense sparse set repeat for sweep fork compare expect until held as in vs then and or not` as a label, a
variable, a value or the name of an argument.

Why is this bad
---------------
If they could be names, a missing `;` could change the meaning of a program instead of being an error.

Example
-------
::

    dense: dense 50ep lr=8e-4

Use instead
-----------
::

    dense_1: dense 50ep lr=8e-4

Fix safety
----------
Unsafe: a number is added to a label, but references to it are not changed; an extra `:` or `=` is removed.
"""

from __future__ import annotations

CODE = "DSD103"
