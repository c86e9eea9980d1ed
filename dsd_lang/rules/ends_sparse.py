"""The last phase leaves its masks on.

What it does
------------
Reports a main line whose last phase is `sparse`. Branches of experiments may end sparse.

Why is this bad
---------------
Dense-sparse-dense training ends dense; a final sparse phase keeps the pruned network.

Example
-------
::

    dense 50ep; sparse 50%

Use instead
-----------
::

    dense 50ep; sparse 50%; dense

Fix safety
----------
There is no automatic fix. Where a sparse network is wanted, write `# dsd: ignore[DSD303]`.
"""

from __future__ import annotations

from dsd_lang.rules.subject import Subject

CODE = "DSD303"


def check(subject: Subject) -> None:
    """The last phase of the main line, unless branches go on from it."""
    if subject.book is None:
        return
    main = [draft for draft in subject.book.phases if not draft.path]
    if not main or main[-1].mode != "sparse":
        return
    final = main[-1]
    if any(draft.parent is final for draft in subject.book.phases):
        return
    subject.findings.add(
        CODE,
        "the schedule ends with a sparse phase, which leaves its masks on",
        final.node.mode_span,
        label="last phase",
        help="add a `dense` phase, or `# dsd: ignore[DSD303]` where a sparse network is wanted",
    )
