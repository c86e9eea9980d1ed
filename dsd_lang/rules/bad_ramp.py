"""A ramp is not possible.

What it does
------------
Reports ramps that end lower than they start, and ramps whose `every=` is too long for their phase.

Why is this bad
---------------
The first selection uses the left value and the last one the right value. With only one selection in the phase there is
no ramp.

Example
-------
::

    sparse 0->90% 50it

Use instead
-----------
::

    sparse 0->90% every=10it 50it

Fix safety
----------
There is no automatic fix. For a falling ramp, the reversed one is shown but not applied.
"""

from __future__ import annotations

from fractions import Fraction

from dsd_lang.base.diagnostics import Diagnostic, Fix, replacement
from dsd_lang.base.units import exact, format_percent
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.passes.draft import Draft
    from dsd_lang.plan.shapes import LengthData

CODE = "DSD404"


def check(subject: Subject) -> None:
    """Checks every ramp against the length of its phase."""
    for draft in subject.book.phases if subject.book is not None else ():
        target = draft.target
        if target is None or draft.length is None:
            continue
        parts = [item["target"] for item in target["items"]] if target["kind"] == "list" else [target]
        ramps = [part for part in parts if part["kind"] == "ramp"]
        if ramps:
            is_flat = all(exact(ramp["start"]) == exact(ramp["end"]) for ramp in ramps)
            _check(subject, draft, ramps[0]["every"], is_flat=is_flat)


def _check(subject: Subject, draft: Draft, every: LengthData, *, is_flat: bool) -> None:
    length, interval = draft.length, exact(every["value"])
    assert length is not None
    if interval <= 0 or length.value == 0:
        what = "`every=` must be above 0" if interval <= 0 else "a ramp needs a phase with a length"
        help = "write for instance `every=100it`" if interval <= 0 else "give the phase a length above 0"
        subject.diagnostics.add(CODE, what, draft.span_of("every"), label="no selection fits", help=help)
    elif every["unit"] == length.unit and interval > length.value and not is_flat:
        written = every["value"] + every["unit"]
        subject.diagnostics.add(
            CODE,
            f"no second selection fits: `every={written}` is longer than the phase, {length.short}",
            draft.span_of("every"),
            label="no `every` fits",
            help="write a shorter `every=`, or a longer phase",
        )


def falls(node: nodes.RampTarget, first: Fraction, final: Fraction) -> Diagnostic:
    """A diagnostic about a ramp from a higher share to a lower one."""
    return Diagnostic(
        CODE,
        f"a ramp ends no lower than it starts, found {format_percent(first)} -> {format_percent(final)}",
        node.span,
        label="ends lower than it starts",
        help="to give weights back, write a `dense` phase or a lower target in a phase of its own",
        fix=_turned(node),
    )


def _turned(node: nodes.RampTarget) -> Fix | None:
    """The reversed ramp."""
    if not isinstance(node.start, nodes.Number) or not isinstance(node.end, nodes.Number):
        return None
    return replacement(node.span, f"{node.end.text}->{node.start.text}", "display")
