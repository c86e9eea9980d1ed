"""Two statements are on one line without a separator.

What it does
------------
Reports a phase, label or other statement that begins before the previous one on its line has ended.

Why is this bad
---------------
Reserved words are never names, so this can only be a missing `;` or line break.

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
Unsafe: a `;` is inserted. A program with syntax errors has no plan that could be compared.
"""

from __future__ import annotations

CODE = "DSD102"
