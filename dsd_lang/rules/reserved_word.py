"""A reserved word stands where a name or value is expected.

What it does
------------
Reports `dense sparse set repeat for sweep fork compare expect until held as in vs then and or not` as a label, a
variable, a value or the name of an argument (the lexer and the parser).

Why is this bad
---------------
If they could be names, a forgotten `;` would make another program in place of an error.

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
Unsafe: a label gets a number while references to it stay as they are; a `:` or `=` too many is left out.
"""

from __future__ import annotations

CODE = "DSD103"
