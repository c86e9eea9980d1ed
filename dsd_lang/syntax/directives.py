"""Parses `# dsd: ignore[...]` comments and finds the part of the text that each applies to.

A comment at the end of a line applies to every statement that has a part on that line, and to the whole statement. A
comment on a line of its own applies in the same way to the next line that has a statement. For a statement with a block
it applies to the head, up to the `{`.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.source import SourceText
from dsd_lang.syntax.nodes import Comment
from dsd_lang.syntax.terminals import Token

DIRECTIVE = re.compile(r"#\s*dsd:\s*ignore\b(?:\[([^\]]*)\])?")


_BEGINS = frozenset({"_SEPARATOR", "LABEL", "RBRACE", "$END"})
_NO_PART = frozenset({"_SEPARATOR", "$END"})


class StatementRange(NamedTuple):
    """A statement, the head of one with a block, or the closing `}`: its offsets and lines."""

    start: int
    end: int
    first_line: int
    last_line: int


def stretches(tokens: Iterable[Token]) -> list[StatementRange]:
    """The ranges of statements and heads of a text, in source order, from its tokens."""
    found: list[StatementRange] = []
    first = last = None  # the spans of the tokens at both ends of the current one
    for kind, _, span in tokens:
        if kind in _BEGINS and first is not None and last is not None:
            found.append(StatementRange(first.start, last.end, first.line, last.end_line))
            first = None
        if kind in _NO_PART:
            continue
        first, last = first or span, span
        if kind == "LBRACE" or kind == "RBRACE":
            found.append(StatementRange(first.start, last.end, first.line, last.end_line))
            first = None
    if first is not None and last is not None:
        found.append(StatementRange(first.start, last.end, first.line, last.end_line))
    return found


def covered_line(source: SourceText, comment: Comment) -> int:
    """The line that a comment applies to: its own, or the next with a statement if it is alone on its line."""
    line = comment.span.line
    if not comment.is_alone:
        return line
    for number in range(line + 1, source.num_lines + 1):
        text = source.line(number).strip()
        if text and not text.startswith("#"):
            return number
    return line


def covered(line: int, found: Sequence[StatementRange]) -> list[StatementRange]:
    """The statements and heads with a part on a line, of those in source order."""
    first = bisect_left(found, line, key=lambda stretch: stretch.last_line)
    behind = bisect_right(found, line, key=lambda stretch: stretch.first_line)
    return list(found[first:behind])
