"""Folding ranges: blocks, statements of several lines, and consecutive comments."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types

from dsd_lang.lsp.documents import Document
from dsd_lang.syntax.brackets import CLOSES, OPENS
from dsd_lang.syntax.terminals import Token


def folding_ranges(document: Document, params: types.FoldingRangeParams) -> list[types.FoldingRange]:
    """All folding ranges, sorted by first line."""
    found = [*_brackets(document), *_comments(document)]
    return sorted(found, key=lambda item: (item.start_line, -item.end_line))


def _brackets(document: Document) -> Iterator[types.FoldingRange]:
    """From the line of an opening bracket to the line before the closing one."""
    opened: list[Token] = []
    for token in document.tokens.tokens:
        if token.kind in OPENS:
            opened.append(token)
        elif token.kind in CLOSES and opened:
            first, last = opened.pop().span.line, token.span.line
            if token.text and last - first > 1:
                yield types.FoldingRange(first - 1, last - 2, kind=types.FoldingRangeKind.Region)


def _comments(document: Document) -> Iterator[types.FoldingRange]:
    """Consecutive lines with nothing but a comment."""
    lines = [comment.span.line for comment in document.tokens.comments if comment.is_alone]
    start = 0
    for index in range(1, len(lines) + 1):
        if index == len(lines) or lines[index] != lines[index - 1] + 1:
            if index - start > 1:
                yield types.FoldingRange(lines[start] - 1, lines[index - 1] - 1, kind=types.FoldingRangeKind.Comment)
            start = index
