"""Edits that remove an item of a statement together with the blanks before it."""

from __future__ import annotations

from collections.abc import Iterable

from dsd_lang.base.diagnostics import Edit, Fix, Span
from dsd_lang.syntax import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.base.diagnostics import Applicability


def removal(span: Span, others: Iterable[Span], name: str, applicability: Applicability = "unsafe") -> Fix:
    """A fix that removes the text of ``span``; ``others`` are the spans of the items around it."""
    before = max((other for other in others if other.end <= span.start), key=lambda other: other.end)
    gone = Span(before.end_line, before.end_column, span.end_line, span.end_column, before.end, span.end)
    return Fix(f"leave out `{name}`", (Edit(gone, ""),), applicability)


def phase_spans(phase: nodes.Phase) -> list[Span]:
    """The spans of a phase's keyword and items."""
    return [phase.mode_span, *(item.span for item in phase.items)]


def without_argument(phase: nodes.Phase, name: str, applicability: Applicability = "unsafe") -> Fix | None:
    """A fix that removes `name=` from a phase; None if the phase does not have it."""
    written = (item for item in phase.items if isinstance(item, nodes.Argument) and item.name == name)
    argument = next(written, None)
    return None if argument is None else removal(argument.span, phase_spans(phase), f"{name}=", applicability)
