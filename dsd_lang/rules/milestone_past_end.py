"""A milestone of the learning rate is after the end of its phase.

What it does
------------
Reports `decay=step(...)` milestones at or after the end of the phase.

Why is this bad
---------------
It has no effect. Milestones count from the start of each phase.

Example
-------
::

    dense 50ep lr=0.1 decay=step(81ep, 122ep)

Use instead
-----------
::

    dense 50ep lr=0.1 decay=step(50%, 75%)

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

from dsd_lang.base.units import exact, format_percent
from dsd_lang.rules.subject import Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.passes.quantities import Quantity
    from dsd_lang.plan.shapes import MilestoneData

CODE = "DSD406"


def check(subject: Subject) -> None:
    """Checks the milestones of every phase with its own clock."""
    for draft in subject.book.phases if subject.book is not None else ():
        if draft.length is None or draft.length.value == 0 or draft.clock is not None:
            continue
        rate = draft.rate
        late = [point for point in rate["decay"].get("milestones", ()) if _is_past(point, draft.length)]
        if late:
            shown = ", ".join(f"`{_shown(point)}`" for point in late)
            subject.diagnostics.add(
                CODE,
                f"a step at {shown} is never taken: the phase lasts {draft.length.short}",
                draft.span_of("decay"),
                label="the phase ends before",
                help="milestones count from the start of the phase; `50%` is its middle",
            )


def _is_past(point: MilestoneData, length: Quantity) -> bool:
    value = exact(point["value"])
    if point["unit"] == "ratio":
        return value.numerator >= value.denominator
    return point["unit"] == length.unit and value >= length.value


def _shown(point: MilestoneData) -> str:
    return format_percent(exact(point["value"])) if point["unit"] == "ratio" else point["value"] + point["unit"]
