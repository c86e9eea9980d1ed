"""There is no mask to drop or to hold.

What it does
------------
Reports `restore=` on a `dense` phase that does not follow a sparse one, and `sparse held` without a sparse phase
right before it.

Why is this bad
---------------
Nothing is revived and nothing is held: the words have no effect.

Example
-------
::

    dense 50ep restore=saved

Use instead
-----------
::

    dense 50ep; sparse 50%; dense restore=saved

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

from dsd_lang.rules.subject import Subject

CODE = "DSD305"


def check(subject: Subject) -> None:
    """Every `restore=` and every `held`."""
    for draft in subject.book.phases if subject.book is not None else ():
        if draft.parent is not None and draft.parent.mode == "sparse":
            continue
        if draft.mode == "dense" and draft.given.get("restore") is not None:
            subject.findings.add(
                CODE,
                "`restore=` has nothing to restore: no masks are on before this phase",
                draft.span_of("restore"),
                label="no sparse phase before it",
                help="leave `restore=` out, or write a `sparse` phase before",
            )
        target = draft.fields.get("target")
        if target is not None and target["kind"] == "held":
            subject.findings.add(
                CODE,
                "`held` has nothing to hold: no masks are on before this phase",
                draft.node.span,
                label="no sparse phase before it",
                help="say how much is pruned: `sparse 50%`",
            )
