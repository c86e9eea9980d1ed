"""Inlay hints: the inherited length and learning rate of each phase, at its end."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.units import format_exact
from dsd_lang.lsp.documents import Document
from dsd_lang.lsp.rows import calls_of, drafts_by_phase, written_phases
from dsd_lang.passes.draft import Draft
from dsd_lang.passes.quantities import Quantity
from dsd_lang.syntax import nodes

_TEXTS = {"duration": "", "lr": "lr="}


def inlay_hints(document: Document, params: types.InlayHintParams) -> list[types.InlayHint] | None:
    """The hints of the phases that end in a range; None if the text has errors."""
    if document.analysis.resolved is None:
        return None
    start, end = document.offset(params.range.start), document.offset(params.range.end)
    drafts = drafts_by_phase(document)
    return [
        hint
        for phase in written_phases(document)
        if start <= phase.span.end <= end
        for hint in _hints(document, phase, drafts.get(phase.mode_span, []))
    ]


def _hints(document: Document, phase: nodes.Phase, drafts: list[Draft]) -> Iterator[types.InlayHint]:
    """The inherited values of a phase; those of copies are shown at their `repeat`.

    In a `def` that is called several times, only what is the same in all calls.
    """
    own = [draft for draft in drafts if draft.original is None or draft.item.override is not None]
    by_call: dict[tuple[Span, ...], list[Draft]] = {}
    for draft in own:
        by_call.setdefault(calls_of(draft.node.mode_span), []).append(draft)
    found = {tuple((name, _text(called, name)) for name in _TEXTS) for called in by_call.values()}
    shown = [(name, text) for name, text in found.pop() if text] if len(found) == 1 else []
    if not shown:
        return
    position = document.positions.position(phase.span.end)
    written = " ".join(text for _, text in shown)
    edits = [types.TextEdit(types.Range(position, position), f" {written}")] if "..." not in written else None
    if any(" " in text for _, text in shown):
        edits = None
    yield types.InlayHint(
        position=position,
        label=written,
        text_edits=edits,
        tooltip=own[0].why,
        padding_left=True,
    )


def _text(drafts: list[Draft], name: str) -> str:
    """An inherited value: `50ep`, `lr=8e-4`, `lr=1e-3 ... 1e-5` if rounds differ; empty if it is given."""
    values = [draft.length if name == "duration" else draft.lr for draft in drafts if name in draft.derived]
    texts = list(dict.fromkeys(_written(value) for value in values if value is not None))
    if not texts:
        return ""
    ends = texts[0] if len(texts) == 1 else f"{texts[0]} ... {texts[-1]}"
    return f"{_TEXTS[name]}{ends}"


def _written(value: Quantity) -> str:
    if value.unit == "optimizer":
        return "the optimizer's" if value.value == 1 else f"{format_exact(value.value)} x the optimizer's"
    text = str(value)
    return text if len(text) <= 14 else f"{float(value.value):.4g}{value.unit if value.is_length else ''}"
