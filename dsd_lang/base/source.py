"""Maps offsets in a source text to lines and columns. Columns count code points."""

from __future__ import annotations

import re
from bisect import bisect_right

from dsd_lang.base.diagnostics import Diagnostic, Span

_LINE_END = re.compile("\r\n|\n|\r")


class SourceText:
    """A text and the offsets of its lines; a line ends only at `\\n`, `\\r\\n` or `\\r`."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.starts = [0, *(found.end() for found in _LINE_END.finditer(text))]

    @property
    def num_lines(self) -> int:
        return len(self.starts)

    def line(self, number: int) -> str:
        """The line with that number (from 1), without its line ending; empty if there is none."""
        if not 1 <= number <= len(self.starts):
            return ""
        start = self.starts[number - 1]
        end = self.starts[number] if number < len(self.starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")

    def width(self, number: int) -> int:
        """The number of characters in the line with that number, without its line ending; does not copy the text."""
        start = self.starts[number - 1]
        end = self.starts[number] if number < len(self.starts) else len(self.text)
        while end > start and self.text[end - 1] in "\r\n":
            end -= 1
        return end - start

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column from 1 of an offset from 0.

        >>> SourceText("ab\\ncd").position(4)
        (2, 2)
        """
        line = bisect_right(self.starts, offset)
        return line, offset - self.starts[line - 1] + 1

    def span(self, start: int, end: int) -> Span:
        """The span between two offsets."""
        return Span(*self.position(start), *self.position(end), start, end)


def position_span(text: str, start: int, end: int) -> Span:
    """The span between two offsets of a text, for a single use."""
    return SourceText(text).span(start, end)


def whole_span(text: str) -> Span:
    """The span of a whole text.

    >>> whole_span("ab\\ncd").end_column
    3
    """
    num_ends = text.count("\n") + text.count("\r") - text.count("\r\n")
    last_line = max(text.rfind("\n"), text.rfind("\r")) + 1
    return Span(1, 1, num_ends + 1, len(text) - last_line + 1, 0, len(text))


def decode_text(data: bytes) -> tuple[str, list[Diagnostic]]:
    """Decodes UTF-8, keeping a byte-order mark. All invalid bytes give one diagnostic and are read as U+FFFD."""
    try:
        return data.decode("utf-8"), []
    except UnicodeDecodeError as error:
        text = data.decode("utf-8", errors="replace")
        offset = len(data[: error.start].decode("utf-8"))
        diagnostic = Diagnostic(
            "DSD105",
            f"byte 0x{data[error.start]:02x} at offset {error.start} is not UTF-8 text",
            position_span(text, offset, offset + 1),
            help="save the file as UTF-8",
        )
        return text, [diagnostic]


def is_saved_plan(text: str) -> bool:
    """Whether a text is a saved plan (from `dsd-plan --json` or a run folder) and not a schedule."""
    return text.lstrip()[:1] == "{" and '"dsd_plan"' in text
