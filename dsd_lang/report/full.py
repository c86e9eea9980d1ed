"""Renders diagnostics with the source and carets under it, in the style of rustc."""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.base.diagnostics import Diagnostic
from dsd_lang.base.source import SourceText
from dsd_lang.report import CheckedFile
from dsd_lang.report.colour import paint

TAB = "    "
MAX_EXCERPT_WIDTH = 160
_BEFORE_THE_CARET = 60


def render_full(files: Sequence[CheckedFile], *, is_coloured: bool) -> str:
    """All diagnostics, each followed by a blank line."""
    blocks = [
        render_one(file.name, file.source, diagnostic, is_coloured=is_coloured) + "\n"
        for file in files
        for diagnostic in file.diagnostics
    ]
    return "".join(blocks)


def render_one(name: str, source: SourceText, diagnostic: Diagnostic, *, is_coloured: bool = False) -> str:
    """One diagnostic: head, position, source line, carets with the label, help."""

    def frame(text: str) -> str:
        return paint(text, "frame", is_coloured=is_coloured)

    span = diagnostic.span
    margin = " " * len(str(span.line))
    shown, before, under = excerpt(source.line(span.line), span.column, _width_on_line(source, diagnostic))
    carets = paint(f"{under} {diagnostic.label}".rstrip(), diagnostic.severity, is_coloured=is_coloured)
    head = paint(f"{diagnostic.severity}[{diagnostic.code}]", diagnostic.severity, is_coloured=is_coloured)
    lines = [
        f"{head}{paint(': ' + diagnostic.message, 'strong', is_coloured=is_coloured)}",
        f"{margin}{frame('-->')} {name}:{span.line}:{span.column}",
        f"{margin} {frame('|')}",
        f"{frame(f'{span.line} |')} {shown}".rstrip(),
        f"{margin} {frame('|')} {before}{carets}",
    ]
    for other in diagnostic.related:
        where = f"{other.file or name}:{other.span.line}:{other.span.column}"
        note = f"{_strong('note', is_coloured)}: {other.message}"
        lines += [f"{margin} {frame('=')} {note} ({where})"]
    if diagnostic.help:
        lines += [f"{margin} {frame('|')}", f"{margin} {frame('=')} {_strong('help', is_coloured)}: {diagnostic.help}"]
    return "\n".join(lines) + "\n"


def _strong(text: str, is_coloured: bool) -> str:
    return paint(text, "strong", is_coloured=is_coloured)


def _width_on_line(source: SourceText, diagnostic: Diagnostic) -> int:
    """How many columns of the first line the diagnostic covers, at least one."""
    span = diagnostic.span
    end = span.end_column if span.end_line == span.line else len(source.line(span.line)) + 1
    return max(1, end - span.column)


def excerpt(line: str, column: int, width: int) -> tuple[str, str, str]:
    """The line as displayed, the blanks before the carets, and the carets; a very long line is cut around them."""
    start = column - 1
    cut = 0
    mark = ""
    if len(line) > MAX_EXCERPT_WIDTH and start > _BEFORE_THE_CARET:
        cut, mark = start - _BEFORE_THE_CARET, "..."
    end = min(len(line), cut + MAX_EXCERPT_WIDTH)
    tail = "..." if end < len(line) else ""
    width = min(width, max(1, end - start))
    under = line[start : start + width]
    shown = mark + _visible(line[cut:end]) + tail
    before = " " * (len(mark) + _columns(line[cut:start]) + max(0, start - len(line)))
    return shown, before, "^" * max(1, _columns(under))


def _visible(text: str) -> str:
    """Replaces tabs by blanks and control characters by a symbol, so that nothing shifts or hides the line."""
    plain = text.replace("\t", TAB)
    if plain.isprintable():
        return plain
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in plain)


def _columns(text: str) -> int:
    """How many terminal columns the text takes."""
    plain = _visible(text)
    if plain.isascii():
        return len(plain)
    import unicodedata

    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in plain
    )
