"""An argument, a setting or a count does not take this value.

What it does
------------
Reports a value of the wrong kind or outside of what an argument takes (`batch=1.5`, `scope=globl`), wrong parameters
between parentheses (`plateau(val.loss, patience=0)`), counts that are none (`repeat 0 { ... }`), and expressions that
cannot be computed.

Why is this bad
---------------
A value that is read as something else, or skipped, changes the experiment without a word.

Example
-------
::

    sparse 50% scope=globl 50ep

Use instead
-----------
::

    sparse 50% scope=global 50ep

Fix safety
----------
Unsafe: the nearest word is a guess.
"""

from __future__ import annotations

CODE = "DSD209"
