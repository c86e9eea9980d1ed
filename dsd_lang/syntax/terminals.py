"""Definitions shared by lexer and parser: tokens, limits, groups of words, and the pattern for all tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from dsd_lang.base.diagnostics import Diagnostic, Span
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.syntax.nodes import Comment

MAX_NESTING = 100
MAX_ERRORS = 1000
MAX_TOKENS = 250_000
MAX_STEPS = 400_000
STATEMENT_WORDS = frozenset({"DENSE", "SPARSE", "SET", "REPEAT", "FOR", "SWEEP", "FORK", "COMPARE", "EXPECT"})
SOFT_WORDS = {"let": "LET", "def": "DEF", "use": "USE", "within": "WITHIN"}  # reserved only where a statement may begin
SELECTING_WORDS = ("layers", "except", "freeze")
BLOCK_WORDS = frozenset({"REPEAT", "FOR", "SWEEP", "FORK", "DEF", "WITHIN"})
STATEMENT_STARTS = frozenset({"", "_SEPARATOR", "LBRACE", "RBRACE"})  # what is before a statement
PHASE_BEGINS = frozenset({"DENSE", "SPARSE", "LABEL"})
SIMPLE_VALUES = frozenset({"NUMBER", "LENGTH", "NAME", "DOTTED", "STRING", "REFERENCE"})
VALUE_OPENERS = frozenset({"EQUAL", "COMMA", "LSQB"})
PATTERN_OPENERS = VALUE_OPENERS | {"LPAR", "IN"}  # after these a `/` begins a regular expression
EPOCH_WORDS = ("e", "ep", "eps", "epoch", "epochs")
UPDATE_WORDS = ("i", "it", "its", "iter", "iters", "iteration", "iterations", "step", "steps", "update", "updates")


class Token(NamedTuple):
    """A terminal of the grammar with its text and span; a token added by the lexer has an empty text."""

    kind: str
    text: str
    span: Span


class Tokens(NamedTuple):
    """The tokens of a text, the last one `$END`; its comments; its diagnostics."""

    tokens: list[Token]
    comments: list[Comment]
    diagnostics: list[Diagnostic]
    stopped: bool = False
    text: str = ""
    unread: Sequence[int] = ()  # spans of characters that gave no token


def master_pattern(patterns: Mapping[str, str], marks: Mapping[str, str]) -> re.Pattern[str]:
    """One regular expression for all tokens, made of the grammar's patterns."""
    punctuation = "|".join(re.escape(mark) for mark in sorted(marks, key=len, reverse=True))
    return re.compile(
        "[ \\t]*(?:"
        + "|".join(
            f"(?P<{name}>{pattern})"
            for name, pattern in (
                ("NAME", r"[^\W\d]\w*(?![\w.\[])"),
                ("LENGTH", patterns["LENGTH"]),
                ("NUMBER", patterns["NUMBER"]),
                ("ARROW", "->"),
                ("WRONG_COMMENT", r"//|/\*|<!--|--(?=-|[ \t]+[^\W\d])"),
                ("COMPARATOR", patterns["COMPARATOR"]),
                ("MARK", punctuation),
                ("NEWLINE", r"(?:\r\n|\n|\r)(?:[ \t]*(?:\r\n|\n|\r))*"),
                ("SEMICOLON", ";+"),
                ("ARM", patterns["ARM"]),
                ("DOTTED", patterns["DOTTED"]),
                ("WORD", patterns["NAME"]),
                ("COMMENT", r"#[^\r\n]*"),
                ("WRONG_STRING", "\"{3}|'{3}"),
                ("STRING", patterns["STRING"]),
                ("REFERENCE", patterns["REFERENCE"]),
                ("WRONG_NUMBER", r"\.?\d[\w.%]*"),
                ("OPEN_STRING", r"[\"'][^\r\n]*"),
                ("CONTINUED", r"\\"),
                ("END", r"\Z"),
                ("UNKNOWN", "."),
            )
        )
        + ")"
    )


def clipped(text: str, limit: int = 40) -> str:
    """A text shortened for a message."""
    return text if len(text) <= limit else text[: limit - 3] + "..."


def widened(span: Span, width: int) -> Span:
    """A span with the same start and that many characters."""
    return Span(span.line, span.column, span.line, span.column + width, span.start, span.start + width)


def point_in_line(span: Span, offset: int) -> Span:
    """The point at a later offset in the line of a span."""
    column = span.column + offset - span.start
    return Span(span.line, column, span.line, column, offset, offset)


def before(span: Span) -> Span:
    """The empty span just before a span."""
    return Span(span.line, span.column, span.line, span.column, span.start, span.start)


def behind(span: Span) -> Span:
    """The empty span just after a span."""
    return Span(span.end_line, span.end_column, span.end_line, span.end_column, span.end, span.end)
