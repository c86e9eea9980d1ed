"""A decay's floor is not below its start.

What it does
------------
Reports `floor=` (or `cosine(floor=...)`) at or above the start of the phase's learning rate, whether given or derived.
A dense phase after a sparse one starts at a tenth of its rate, and a copy made by `repeat` at a tenth of its
original's.

Why is this bad
---------------
`cosine` and `linear` run from the start to the floor, so the rate would rise; `step` and `exp` would stay at the floor
from the first update. Neither is a decay.

Example
-------
::

    dense 50ep lr=0.1 decay=cosine floor=1

Use instead
-----------
::

    dense 50ep lr=0.1 decay=cosine floor=1e-5

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

from fractions import Fraction

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.units import exact, format_short
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.passes.draft import Draft

CODE = "DSD411"


def check(subject: Subject) -> None:
    """Checks every decay with a floor whose start is known."""
    for draft in subject.book.phases if subject.book is not None else ():
        decay, rate = draft.rate["decay"], draft.lr
        if decay["kind"] == "constant" or "floor" not in decay or rate is None or rate.unit:
            continue
        floor = exact(decay["floor"])
        if not 0 < rate.value <= floor or (draft.length is not None and draft.length.value == 0):
            continue
        subject.diagnostics.add(
            CODE,
            f"the floor of this decay, {format_short(floor)}, is not below its start, {rate.short}",
            _span(draft),
            label=_effect(decay["kind"], rate.value, floor),
            help="write a floor below the start of every phase that it holds for",
        )


def _effect(kind: str, start: Fraction, floor: Fraction) -> str:
    if start == floor:
        return "the rate never falls"
    return "the rate rises" if kind in ("cosine", "linear") else "the rate is the floor all along"


def _span(draft: Draft) -> Span:
    """The span of the floor, the decay or the rate if the phase writes one; else of the `repeat` or the keyword."""
    if draft.item.repeat_span is not None and draft.item.override is None:
        return draft.item.repeat_span
    written = {item.name: item.span for item in draft.node.items if isinstance(item, nodes.Argument)}
    named = (written[name] for name in ("floor", "decay", "lr") if name in written)
    return next(named, draft.node.mode_span)
