"""A file is not plain UTF-8 text.

What it does
------------
Reports bytes that are not UTF-8, and control characters, also those that turn the direction of the text.

Why is this bad
---------------
What is shown would not be what is read.

Example
-------
::

    dense 50ep lr=8e-4  (followed by a byte 0x07)

Use instead
-----------
::

    dense 50ep lr=8e-4

Fix safety
----------
Unsafe: blanks are written in place of control characters. Bytes that are not UTF-8 are never rewritten.
"""

from __future__ import annotations

CODE = "DSD105"
