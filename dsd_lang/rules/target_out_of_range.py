"""A target is no share from 0 to below 1.

What it does
------------
Reports bare numbers of 1 or more (`sparse 50`), 100% and above, negative shares, and patterns `N:M` without 0 < N < M
(pass `read_targets`).

Why is this bad
---------------
`50` may mean 50% or fifty weights; a target of 100% leaves nothing to train.

Example
-------
::

    sparse 50 20ep

Use instead
-----------
::

    sparse 50% 20ep

Fix safety
----------
Unsafe: `50%` for `50` and `2:4` for `4:2` are guesses; only you know what was meant.
"""

from __future__ import annotations

CODE = "DSD401"
