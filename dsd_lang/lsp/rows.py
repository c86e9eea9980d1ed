"""The rows of the resolved plan that come from one written phase: one for each round, branch and copy."""

from __future__ import annotations

from dsd_lang.base.diagnostics import CalledSpan, Span, here
from dsd_lang.lsp.documents import Document
from dsd_lang.lsp.markdown import table
from dsd_lang.passes.draft import Draft
from dsd_lang.syntax import nodes
from dsd_lang.syntax.walk import phases_of, statements

MAX_ROWS = 12


def written_phases(document: Document) -> list[nodes.Phase]:
    """Every phase of the text, including those of `repeat` statements and branches, in source order."""
    program = document.analysis.program
    return [phase for statement, _ in statements(program.statements) for phase in phases_of(statement)]


def phase_at(document: Document, offset: int) -> nodes.Phase | None:
    """The phase whose keyword (`dense`, `sparse`) is at an offset."""
    return next((phase for phase in written_phases(document) if _touches(phase.mode_span, offset)), None)


def drafts_by_phase(document: Document) -> dict[Span, list[Draft]]:
    """The resolved phases of each phase written here, by the span of its keyword; empty if the text has errors."""
    found: dict[Span, list[Draft]] = {}
    resolved = document.analysis.resolved
    for draft in resolved.book.phases if resolved is not None else ():
        if here(draft.node.mode_span) is draft.node.mode_span:  # else it is written in another file
            found.setdefault(Span(*draft.node.mode_span), []).append(draft)
    return found


def calls_of(span: Span) -> tuple[Span, ...]:
    """The calls that a span of the expanded program came from, the innermost first."""
    calls: list[Span] = []
    while isinstance(span, CalledSpan):
        span = span.call
        calls.append(span)
    return tuple(calls)


def called_rows(document: Document, call: Span) -> str | None:
    """The plan's table of the phases that a call stands for; None if the text has errors or it stands for none."""
    resolved = document.analysis.resolved
    drafts = [] if resolved is None else [draft for draft in resolved.book.phases if _is_from(draft, call)]
    return _rows(document, drafts)


def _is_from(draft: Draft, call: Span) -> bool:
    return any(outer == call and here(outer) is outer for outer in calls_of(draft.node.mode_span))


def resolved_rows(document: Document, phase: nodes.Phase) -> str | None:
    """The plan's table of a phase; None if the text has errors."""
    return _rows(document, drafts_by_phase(document).get(phase.mode_span, []))


def _rows(document: Document, drafts: list[Draft]) -> str | None:
    from dsd_lang.views.table import table_rows

    plan = document.plan
    if plan is None or not drafts:
        return None
    indexes = [draft.index for draft in drafts]
    shown = plan.model_copy(update={"phases": tuple(plan.phases[index] for index in indexes[:MAX_ROWS])})
    headers, rows = table_rows(shown)
    numbered = [[str(index), *row[1:]] for index, row in zip(indexes, rows, strict=False)]
    more = len(indexes) - MAX_ROWS
    return table(headers, numbered) + (f"\n\n... and {more} more" if more > 0 else "")


def _touches(span: Span, offset: int) -> bool:
    return span.start <= offset <= span.end
