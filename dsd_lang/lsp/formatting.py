"""Formatting as edits of whole lines, only of lines that change."""

from __future__ import annotations

import difflib
from itertools import pairwise

from lsprotocol import types

from dsd_lang.base.errors import DsdError
from dsd_lang.base.source import SourceText
from dsd_lang.lsp.documents import Document

MAX_COMPARED = 2_000  # lines; above that a single edit is faster than a minimal one


def format_document(document: Document, params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
    """The edits, checked to keep plan and comments; None for a text with syntax errors."""
    from dsd_lang.formatting import formatted

    try:
        # with suppressions, what all rules say is compared, and this analysis has only what is selected
        is_known = document.settings.layers is None and "dsd:" not in document.text
        known = document.analysis if is_known else None
        result = formatted(document.text, analysis=known, source=document.source, read=document.read)
        return line_edits(document, result.text)
    except DsdError:
        return None


def format_range(document: Document, params: types.DocumentRangeFormattingParams) -> list[types.TextEdit] | None:
    """The edits that touch a range."""
    first, last = params.range.start.line, params.range.end.line
    edits = format_document(document, types.DocumentFormattingParams(params.text_document, params.options))
    if edits is None:
        return None
    return [edit for edit in edits if edit.range.start.line <= last and edit.range.end.line >= first]


def line_edits(document: Document, text: str) -> list[types.TextEdit]:
    """The edits from a document to another text, line by line."""
    old, new = _lines(document.positions.source), _lines(SourceText(text))
    same = next((index for index, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), None)
    if same is None:
        same = min(len(old), len(new))
    starts = [*document.positions.source.starts, len(document.text)]
    return [
        types.TextEdit(document.range(starts[first + same], starts[last + same]), "".join(new[same:][left:right]))
        for first, last, left, right in _differences(old[same:], new[same:])
    ]


def _differences(old: list[str], new: list[str]) -> list[tuple[int, int, int, int]]:
    """The changed ranges: two indexes of old lines, two of new ones."""
    if max(len(old), len(new)) > MAX_COMPARED:
        return [(0, len(old), 0, len(new))]
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return [tuple_[1:] for tuple_ in matcher.get_opcodes() if tuple_[0] != "equal"]


def _lines(source: SourceText) -> list[str]:
    """The lines with their line endings."""
    return [source.text[start:end] for start, end in pairwise([*source.starts, len(source.text)])]
