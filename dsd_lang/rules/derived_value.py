"""A learning rate or length was not written and has been derived.

What it does
------------
Advises on every phase whose lr or length is inherited. Off by default.

Why is this bad
---------------
Some want every number in the text.

Example
-------
::

    dense 50ep lr=8e-4; sparse 50%

Use instead
-----------
::

    dense 50ep lr=8e-4; sparse 50% 50ep lr=8e-4

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

from dsd_lang.passes.explain import reason
from dsd_lang.rules.subject import Subject

CODE = "DSD901"


def check(subject: Subject) -> None:
    """Every phase that says less than it does."""
    seen: set[int] = set()
    for draft in subject.book.phases if subject.book is not None else ():
        if draft.original is not None or not draft.derived or id(draft.node) in seen:
            continue
        seen.add(id(draft.node))
        parts: list[str] = []
        if "duration" in draft.derived and draft.length is not None:
            parts.append(f"its length ({draft.length})")
        if "lr" in draft.derived and draft.lr is not None:
            parts.append(f"its lr ({draft.lr})")
        if parts:
            subject.findings.add(
                CODE,
                f"this phase derives {' and '.join(parts)}",
                draft.node.mode_span,
                label="derived",
                help=reason(draft),
            )
