"""A re-dense phase starts no lower than its sparse phase.

What it does
------------
Reports a `dense` phase after `sparse` whose learning rate is as high as the sparse phase's or higher. Phases on a
global clock and sparse phases of no length are left alone.

Why is this bad
---------------
The paper lowers the rate to a tenth when weights come back; a high one throws the sparse solution away.

Example
-------
::

    dense 50ep lr=1e-2; sparse 50% lr=1e-3; dense lr=1e-2

Use instead
-----------
::

    dense 50ep lr=1e-2; sparse 50% lr=1e-3; dense

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

from dsd_lang.rules.subject import Subject

CODE = "DSD304"


def check(subject: Subject) -> None:
    """Every dense phase after a sparse one."""
    for draft in subject.book.phases if subject.book is not None else ():
        sparse = draft.parent
        if draft.mode != "dense" or sparse is None or sparse.mode != "sparse":
            continue
        if sparse.length is None or sparse.length.value == 0 or draft.fields.get("clock") is not None:
            continue
        rate, before = draft.lr, sparse.lr
        if rate is None or before is None or rate[1:] != before[1:] or rate.value < before.value:
            continue
        subject.findings.add(
            CODE,
            f"this re-dense phase starts at lr {rate}, which is not below its sparse phase's {before}",
            draft.span_of("lr"),
            label="not lower",
            help="without `lr=` it starts at a tenth of the sparse phase's",
        )
