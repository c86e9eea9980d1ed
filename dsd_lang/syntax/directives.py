"""Parses `# dsd: ignore[...]` comments and finds the part of the text that each applies to.

A comment at the end of a line applies to every statement that has a part on that line, and to the whole statement. A
comment on a line of its own applies in the same way to the next line that has a statement. For a statement with a block
it applies to the head, up to the `{`.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.source import SourceText
from dsd_lang.syntax.nodes import Comment, Statement
from dsd_lang.syntax.terminals import Token

_DIRECTIVE = r"#\s*dsd:\s*ignore\b(?:\[([^\]]*)\])?"


def directive_in(comment: str) -> re.Match[str] | None:
    """`# dsd: ignore` at the start of a comment; the first group has its codes, None for all."""
    return re.match(_DIRECTIVE, comment)


_BOUNDS = frozenset({"_SEPARATOR", "LABEL", "LBRACE", "RBRACE", "$END"})


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
        if kind in _BOUNDS:
            if first is not None and last is not None and kind != "LBRACE":
                found.append(_range(first, last))
                first = None
            if kind == "LBRACE" or kind == "RBRACE":
                found.append(_range(first or span, span))
                first = None
            elif kind == "LABEL":
                first = last = span
        else:
            first, last = first or span, span
    if first is not None and last is not None:
        found.append(_range(first, last))
    return found


def _range(first: Span, last: Span) -> StatementRange:
    return StatementRange(first.start, last.end, first.line, last.end_line)


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


class Reach:
    """Finds the statements and heads with a part on a line, looking only at the tokens of the statements around it."""

    def __init__(self, tokens: Sequence[Token], outer: Sequence[Statement]) -> None:
        """``outer`` are the statements outside of all blocks, if the tokens were read without a mistake."""
        self._tokens = tokens
        self._outer = outer
        self._found: dict[int, list[StatementRange]] = {}

    def on(self, line: int) -> list[StatementRange]:
        """The statements and heads with a part on a line, in source order."""
        if not self._outer:
            return covered(line, self._stretches(0))
        first = bisect_left(self._outer, line, key=lambda statement: statement.span.end_line)
        behind = bisect_right(self._outer, line, key=lambda statement: statement.span.line)
        return [found for index in range(first, behind) for found in covered(line, self._stretches(index))]

    def _stretches(self, index: int) -> list[StatementRange]:
        if index not in self._found:
            self._found[index] = stretches(self._tokens_of(index) if self._outer else self._tokens)
        return self._found[index]

    def _tokens_of(self, index: int) -> Sequence[Token]:
        """The tokens of a statement."""
        if not isinstance(self._tokens, list):
            from dsd_lang.syntax.token_runs import TokenRuns

            assert isinstance(self._tokens, TokenRuns), "an editor's text has runs"
            return self._tokens.of_statement(index)
        start, end = (
            bisect_left(self._tokens, offset, key=lambda token: token.span.start)
            for offset in (self._outer[index].span.start, self._outer[index].span.end)
        )
        return self._tokens[start:end]


def covered(line: int, found: Sequence[StatementRange]) -> list[StatementRange]:
    """The statements and heads with a part on a line, of those in source order."""
    first = bisect_left(found, line, key=lambda stretch: stretch.last_line)
    behind = bisect_right(found, line, key=lambda stretch: stretch.first_line)
    return list(found[first:behind])
