"""A file is not plain UTF-8 text.

What it does
------------
Reports bytes that are not UTF-8, and control characters, including those that change the direction of the text.

Why is this bad
---------------
The text on the screen would differ from the text that is parsed.

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
Unsafe: control characters are replaced by blanks. Bytes that are not UTF-8 are never changed.
"""

from __future__ import annotations

CODE = "DSD105"
