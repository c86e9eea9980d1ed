"""Offsets of a text in, an editor's lines and characters out, and back: UTF-8, UTF-16 or UTF-32 units from 0."""

from __future__ import annotations

from lsprotocol import types

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.source import Source


class Positions:
    """One text as an editor counts it. A place past the end of a line is the line's end, as the protocol wants it."""

    def __init__(self, source: Source, encoding: str) -> None:
        self.source = source
        self.encoding = encoding

    def position(self, offset: int) -> types.Position:
        """Where an offset is."""
        line, column = self.source.position(offset)
        before = self.source.line(line)[: column - 1]
        return types.Position(line - 1, num_units(before, self.encoding))

    def range(self, start: int, end: int) -> types.Range:
        """The stretch between two offsets."""
        return types.Range(self.position(start), self.position(end))

    def range_of(self, span: Span) -> types.Range:
        """The stretch of a span."""
        return self.range(span.start, span.end)

    def offset(self, position: types.Position) -> int:
        """The offset of a place; within one character, that character's start."""
        if position.line >= self.source.num_lines:
            return len(self.source.text)
        line = self.source.line(position.line + 1)
        return self.source.starts[position.line] + _num_characters(line, position.character, self.encoding)


def num_units(text: str, encoding: str) -> int:
    """How many units of an encoding a text has.

    >>> [num_units("a\\U0001f600", encoding) for encoding in ("utf-8", "utf-16", "utf-32")]
    [5, 3, 2]
    """
    if text.isascii() or encoding == "utf-32":
        return len(text)
    if encoding == "utf-8":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text) + sum(character > "\uffff" for character in text)


def _num_characters(line: str, units: int, encoding: str) -> int:
    """How many whole characters of a line have at most that many units."""
    if line.isascii():
        return min(units, len(line))
    for index, character in enumerate(line):
        units -= num_units(character, encoding)
        if units < 0:
            return index
    return len(line)
