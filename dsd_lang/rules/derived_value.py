"""A learning rate or length is derived, not written.

What it does
------------
Reports every phase whose learning rate or length is inherited. Off by default.

Why is this bad
---------------
Some people prefer to see every number in the text.

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
Safe: the derived values are written out, and the plan stays the same. There is no fix if the value differs between the
rounds of a loop, or is known only at run time.
"""

from __future__ import annotations

from dsd_lang.base.diagnostics import Edit, Fix, Span
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.passes.draft import Draft
    from dsd_lang.passes.quantities import Quantity

CODE = "DSD901"
_FIRST = ("of", "ramp", "every", "masks", "layers", "except")  # items before length and rate in canonical form


def check(subject: Subject) -> None:
    """Checks every phase for derived values."""
    book = subject.book
    if book is None:
        return
    said: dict[int, list[Draft]] = {}
    for draft in book.phases:
        said.setdefault(id(draft.node), []).append(draft)
    for drafts in said.values():
        draft = drafts[0]
        lengths, rates = _derived(drafts, "duration"), _derived(drafts, "lr")
        parts = [f"its {name} ({values[0]})" for name, values in (("length", lengths), ("lr", rates)) if values]
        if draft.original is None and parts:
            subject.diagnostics.add(
                CODE,
                f"this phase derives {' and '.join(parts)}",
                draft.node.mode_span,
                label="derived",
                help=draft.why,
                fix=_written_out(draft.node, lengths, rates),
            )


def _derived(drafts: list[Draft], name: str) -> list[Quantity]:
    """The derived values of the first phase written at a span, then the different ones of its other phases."""
    first = _value(drafts[0], name)
    if name not in drafts[0].derived or first is None:
        return []
    return [first, *(value for draft in drafts if (value := _value(draft, name)) is not None and value != first)]


def _value(draft: Draft, name: str) -> Quantity | None:
    return draft.length if name == "duration" else draft.lr


def _written_out(node: nodes.Phase, lengths: list[Quantity], rates: list[Quantity]) -> Fix | None:
    """The values as text; None if they differ between rounds of a loop or are known only at run time."""
    if len(lengths) > 1 or len(rates) > 1 or any(rate.unit for rate in rates):
        return None
    words = [*(str(length) for length in lengths), *(f"lr={rate}" for rate in rates)]
    before = [item.span for item in node.items if _is_first(item)]
    end = max((node.mode_span, *before), key=lambda span: span.end)
    edit = Edit(Span(*end[2:4], *end[2:4], end.end, end.end), "".join(f" {word}" for word in words))
    return Fix(f"write `{' '.join(words)}`", (edit,), "safe")


def _is_first(item: nodes.PhaseItem) -> bool:
    if isinstance(item, nodes.Argument):
        return item.name in _FIRST
    return not isinstance(item, nodes.Until)
