"""The word around a cursor position."""

from __future__ import annotations

import re

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.records import record
from dsd_lang.syntax.nodes import Comment
from dsd_lang.syntax.terminals import Tokens

_INDEX = r"\[[^\[\]\r\n:]*"  # of an arm: `grid[25%]`
_BEFORE = re.compile(rf"@?(?:[^\W\d][\w.]*(?:{_INDEX}\][\w.]*)*(?:{_INDEX})?|[\w.]*)$")
_AFTER = re.compile(r"[\w.]*")
_AFTER_INDEX = re.compile(r"(?:[^\[\]\r\n:;#{}()]*\])?[\w.]*")
_LINE_START = re.compile(r"[^\r\n]*$")


@record
class Word:
    """Its span, the part before the cursor, and the characters just before and after it."""

    start: int
    end: int
    typed: str
    previous: str
    following: str


def word_at(text: str, offset: int) -> Word:
    """The word around an offset; empty if there is none."""
    line = _LINE_START.search(text, max(0, text.rfind("\n", 0, offset)), offset)
    before = _BEFORE.search(line[0] if line is not None else "")
    typed = before[0] if before is not None else ""
    is_open = typed.rfind("[") > typed.rfind("]")
    after = (_AFTER_INDEX if is_open else _AFTER).match(text, offset)
    end = after.end() if after is not None else offset
    start = offset - len(typed)
    return Word(start, end, typed, text[start - 1 : start] if start else "", text[end : end + 1])


def comment_at(tokens: Tokens, offset: int) -> Comment | None:
    """The comment that an offset is in."""
    return next((item for item in tokens.comments if item.span.start < offset <= item.span.end), None)


def is_in_token(tokens: Tokens, offset: int) -> bool:
    """Whether the offset is inside a string, number, arrow, ..., where nothing new can begin."""
    return any(_holds(item.span, offset) for item in tokens.tokens)


def _holds(span: Span, offset: int) -> bool:
    return span.start < offset < span.end
