"""A sparse phase prunes less than the sparse phase before it.

What it does
------------
Reports a `sparse` phase right after a `sparse` phase on the same layers with a lower target.

Why is this bad
---------------
Targets are absolute, so a lower one revives weights, starting from zero. Use a `dense` phase for that.

Example
-------
::

    sparse 80% 10ep; sparse 50% 10ep

Use instead
-----------
::

    sparse 80% 10ep; dense 10ep; sparse 50% 10ep

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

from fractions import Fraction

from dsd_lang.base.units import exact, format_percent
from dsd_lang.rules.subject import Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from dsd_lang.plan.shapes import TargetData

CODE = "DSD306"


def check(subject: Subject) -> None:
    """Checks every sparse phase after a sparse one."""
    for draft in subject.book.phases if subject.book is not None else ():
        before = draft.parent
        if draft.mode != "sparse" or before is None or before.mode != "sparse":
            continue
        if set(draft.layers) != set(before.layers) or set(draft.exclude) != set(before.exclude):
            continue
        now, current = _share(draft.target, "start"), _share(before.target, "end")
        if now is not None and current is not None and now < current:
            subject.diagnostics.add(
                CODE,
                f"this phase prunes {format_percent(now)}, the sparse phase before it {format_percent(current)}",
                draft.node.span,
                label="gives weights back",
                help="targets are shares of the original size; write `dense` to give weights back",
            )


def _share(target: TargetData | None, end: Literal["start", "end"]) -> Fraction | None:
    """The share of a target at its start or end; None if it is not a plain share or a ramp."""
    if target is not None and target["kind"] == "fraction":
        return exact(target["pruned"])
    return exact(target[end]) if target is not None and target["kind"] == "ramp" else None
