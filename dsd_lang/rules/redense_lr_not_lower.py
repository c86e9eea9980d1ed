"""A dense phase after a sparse one does not start at a lower learning rate.

What it does
------------
Reports a `dense` phase after `sparse` whose learning rate is as high as the sparse phase's or higher. Phases on a
global clock and sparse phases of length 0 are not reported.

Why is this bad
---------------
The paper lowers the learning rate to a tenth when weights are revived. A high one destroys the sparse solution.

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
Unsafe: without `lr=` the phase starts at a tenth of its sparse phase's rate.
"""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.rules.subject import Subject
from dsd_lang.syntax.removal import without_argument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.passes.draft import Draft

CODE = "DSD304"


def check(subject: Subject) -> None:
    """Checks every dense phase after a sparse one."""
    phases = subject.book.phases if subject.book is not None else []
    elsewhere = _elsewhere(phases)
    for draft in phases:
        sparse = draft.parent
        if draft.mode != "dense" or sparse is None or sparse.mode != "sparse":
            continue
        if sparse.length is None or sparse.length.value == 0 or draft.clock is not None:
            continue
        rate, before = draft.lr, sparse.lr
        if rate is None or before is None or rate[1:] != before[1:] or rate.value < before.value:
            continue
        subject.diagnostics.add(
            CODE,
            f"this re-dense phase starts at lr {rate.short}, which is not below its sparse phase's {before.short}",
            draft.span_of("lr"),
            label="not lower",
            help="without `lr=` it starts at a tenth of the sparse phase's",
            fix=None if id(draft.node) in elsewhere else without_argument(draft.node, "lr"),
        )


def _elsewhere(phases: Sequence[Draft]) -> set[int]:
    """The phases that some round of a loop reaches without a sparse phase before them: there they need their `lr=`."""
    return {id(draft.node) for draft in phases if draft.parent is None or draft.parent.mode != "sparse"}
