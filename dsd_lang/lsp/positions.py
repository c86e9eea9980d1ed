"""Converts offsets to an editor's lines and characters and back, in UTF-8, UTF-16 or UTF-32 units."""

from __future__ import annotations

from lsprotocol import types

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.source import SourceText


class Positions:
    """One text in an editor's units. A position past the end of a line is the line's end, as in the protocol."""

    def __init__(self, source: SourceText, encoding: str) -> None:
        self.source = source
        self.encoding = encoding
        self._counts_characters = encoding == "utf-32" or source.text.isascii()
        self._counted = (0, 0, 0)

    def position(self, offset: int) -> types.Position:
        """The position of an offset."""
        line, column = self.source.position(offset)
        column = min(column - 1, self.source.width(line))
        return types.Position(line - 1, column if self._counts_characters else self._units_before(line, column))

    def _units_before(self, line: int, column: int) -> int:
        """The units of a line before a column, continuing from the last query, because queries come in order."""
        last_line, last_column, units = self._counted
        first = last_column if line == last_line and column >= last_column else 0
        start = self.source.starts[line - 1]
        new = num_units(self.source.text[start + first : start + column], self.encoding)
        units = new + (units if first else 0)
        self._counted = (line, column, units)
        return units

    def range(self, start: int, end: int) -> types.Range:
        """The range between two offsets."""
        return types.Range(self.position(start), self.position(end))

    def range_of(self, span: Span) -> types.Range:
        """The range of a span."""
        return self.range(span.start, span.end)

    def offset(self, position: types.Position) -> int:
        """The offset of a position; inside a character, the start of that character."""
        if position.line >= self.source.num_lines:
            return len(self.source.text)
        line = self.source.line(position.line + 1)
        return self.source.starts[position.line] + _num_characters(line, position.character, self.encoding)


def num_units(text: str, encoding: str) -> int:
    """How many units a text has in an encoding.

    >>> [num_units("a\\U0001f600", encoding) for encoding in ("utf-8", "utf-16", "utf-32")]
    [5, 3, 2]
    """
    if text.isascii() or encoding == "utf-32":
        return len(text)
    if encoding == "utf-8":
        return len(text.encode("utf-8", "surrogatepass"))
    return len(text) + sum(character > "\uffff" for character in text)


def _num_characters(line: str, units: int, encoding: str) -> int:
    """How many whole characters of a line fit in that many units."""
    if line.isascii():
        return min(units, len(line))
    for index, character in enumerate(line):
        units -= num_units(character, encoding)
        if units < 0:
            return index
    return len(line)
