"""Two statements stand on one line without a separator.

What it does
------------
Reports a phase, label or other statement that begins before the one on its line has ended (the parser).

Why is this bad
---------------
Reserved words are never names, so this cannot be read as anything else; without the `;` it is not a program.

Example
-------
::

    dense 50ep lr=8e-4 sparse 50%

Use instead
-----------
::

    dense 50ep lr=8e-4; sparse 50%

Fix safety
----------
Unsafe: a `;` is put in; a program with syntax errors has no plan to compare with.
"""

from __future__ import annotations

CODE = "DSD102"
