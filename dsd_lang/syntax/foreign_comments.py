"""Recognises comments of other languages: `//`, `/* */`, `--`, `<!-- -->`.

Imported only when such a comment occurs.
"""

from __future__ import annotations

import re

from dsd_lang.base.diagnostics import Diagnostic, Edit, Fix, Span, replacement
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.syntax.terminals import clipped

_CLOSINGS = {"/*": "*/", "<!--": "-->", '"""': '"""', "'''": "'''"}
_LINE_ENDS = re.compile("\r\n|\n|\r")
_REST = re.compile(r"[ \t]*(?:[\r\n]|\Z)")
MAX_REWRITTEN = 10_000


class ForeignComment(NamedTuple):
    """The end of a comment, and its diagnostic."""

    end: int
    diagnostic: Diagnostic


def read_comment(text: str, opening: str, span: Span) -> ForeignComment:
    """Reads the comment that starts with ``opening`` at ``span``: to its closing sign, or to the end of the line."""
    closing = _CLOSINGS.get(opening, "")
    found = text.find(closing, span.end) if closing else -1
    line_end = _line_end(text, span.start)
    end = found + len(closing) if found >= 0 else line_end
    is_to_line_end = _REST.match(text, end) is not None
    help = "" if is_to_line_end else "a comment extends to the end of its line"
    if closing:
        message = f"a comment starts with `#` and ends with its line, not with `{clipped(f'{opening} {closing}')}`"
        fix = _as_lines(text, span, found if found >= 0 else line_end, end) if is_to_line_end else None
    else:
        message = f"a comment starts with `#`, not with `{opening}`"
        fix = replacement(span, "#", "safe")
    return ForeignComment(end, Diagnostic("DSD101", message, span, "write `#`", help, fix))


def _line_end(text: str, start: int) -> int:
    ends = [end for sign in "\r\n" if (end := text.find(sign, start)) >= 0]
    return min(ends, default=len(text))


def _as_lines(text: str, span: Span, body_end: int, end: int) -> Fix | None:
    """A fix that puts `#` before each line of the comment."""
    if end - span.start > MAX_REWRITTEN:
        return None
    lines = text[span.end : body_end].splitlines() or [""]
    kept = [line.strip().removeprefix("* ").strip() for line in lines]
    if len(kept) > 1:  # lines with only `/*` or `*/` are removed
        kept = [line for index, line in enumerate(kept) if line or 0 < index < len(kept) - 1]
    indent = " " * (span.column - 1)
    written = ("\n" + indent).join(f"# {line}".rstrip() for line in kept or [""])
    line_ends = list(_LINE_ENDS.finditer(text, span.start, end))
    column = span.column + end - span.start if not line_ends else end - line_ends[-1].end() + 1
    whole = Span(span.line, span.column, span.line + len(line_ends), column, span.start, end)
    return Fix("write `#`", (Edit(whole, written),))
