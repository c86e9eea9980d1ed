"""Text in, tokens out: newlines given their meaning, reserved words reserved, brackets balanced, comments set aside.

What goes wrong here is reported and mended on the spot (a missing `)` is put in, a stray one left out), so that the
parser always sees balanced brackets and one mistake gives one message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from dsd_lang.diagnostics import Diagnostic, Edit, Fix, Span
from dsd_lang.syntax.nodes import Comment
from dsd_lang.units import exact

MAX_NESTING = 100
MAX_ERRORS = 1000
STATEMENT_WORDS = frozenset({"DENSE", "SPARSE", "SET", "REPEAT", "FOR", "SWEEP", "FORK", "COMPARE", "EXPECT"})
SELECTING_WORDS = ("layers", "except")
EPOCH_WORDS = ("e", "ep", "eps", "epoch", "epochs")
UPDATE_WORDS = ("i", "it", "its", "iter", "iters", "iteration", "iterations", "step", "steps", "update", "updates")

_OPENS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
_CLOSES = {close: open_ for open_, close in _OPENS.items()}
_TEXT_OF = {"LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "LBRACE": "{", "RBRACE": "}"}
_REGEX_MAY_FOLLOW = frozenset({"EQUAL", "COMMA", "LSQB"})
_NEWLINE_CONTINUES = frozenset({"COMMA", "ARROW", "_SEPARATOR", "LBRACE", ""})
_LOOKALIKES = {
    "→": "->", "“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "–": "-", "−": "-", "—": "-", "×": "*", "·": "*",
    "÷": "/", "：": ":", "；": ";", "，": ",", "（": "(", "）": ")", "≤": "<=", "≥": ">=", "≠": "!=", "％": "%",
    "\u00a0": " ", "\u2003": " ", "\u2009": " ", "\u200b": "", "\u3000": " ",
}  # fmt: skip


class Token(NamedTuple):
    """A terminal of the grammar with its text and place; one the lexer put in itself has an empty text."""

    kind: str
    text: str
    span: Span


class Tokens(NamedTuple):
    """The tokens of a text, the last one `$END`; its comments; what was wrong with it."""

    tokens: list[Token]
    comments: list[Comment]
    diagnostics: list[Diagnostic]


class _Open(NamedTuple):
    """A bracket waiting for its other half, and the indent of the line it stands on."""

    kind: str
    span: Span
    indent: int


def master_pattern(patterns: Mapping[str, str], marks: Mapping[str, str]) -> re.Pattern[str]:
    """One regular expression for every token, the grammar's own patterns in it."""
    punctuation = "|".join(re.escape(mark) for mark in sorted(marks, key=len, reverse=True))
    return re.compile(
        "[ \\t]*(?:"
        + "|".join(
            f"(?P<{name}>{pattern})"
            for name, pattern in (
                ("NAME", r"[^\W\d]\w*(?![\w.])"),
                ("LENGTH", patterns["LENGTH"]),
                ("NUMBER", patterns["NUMBER"]),
                ("ARROW", "->"),
                ("WRONG_COMMENT", r"//[^\r\n]*"),
                ("COMPARATOR", patterns["COMPARATOR"]),
                ("MARK", punctuation),
                ("NEWLINE", r"\r\n|\n|\r"),
                ("SEMICOLON", ";"),
                ("DOTTED", patterns["DOTTED"]),
                ("WORD", patterns["NAME"]),
                ("COMMENT", r"#[^\r\n]*"),
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


class Lexer:
    """One pass over a text."""

    def __init__(
        self, text: str, master: re.Pattern[str], keywords: Mapping[str, str], marks: Mapping[str, str], regex: str
    ) -> None:
        self.text = text
        self.master = master
        self.keywords = keywords
        self.marks = marks
        self.regex = regex
        self.tokens: list[Token] = []
        self.comments: list[Comment] = []
        self.diagnostics: list[Diagnostic] = []
        self.opened: list[_Open] = []
        self.line = 1
        self.line_start = 0
        self.indent = 0
        self.previous = ""  # the kind of the last token
        self.newline_skipped = False  # a newline within brackets since the last token
        self.continues = False  # a `\` waits for the end of its line
        self.lacks_closing = False  # more `{` than `}`: trust the indentation to say which
        self.stopped = False

    def run(self) -> Tokens:
        """The tokens, in one loop."""
        text, match = self.text, self.master.match
        self.lacks_closing = text.count("{") > text.count("}")
        position = 0
        special = self._special
        names, keywords, tokens = ("NAME", "DOTTED"), self.keywords, self.tokens
        while not self.stopped:
            found = match(text, position)
            assert found is not None, "the pattern ends in `.` and the end of the text"
            kind = found.lastgroup
            assert kind is not None
            start, end = found.span(kind)
            if self.line_start >= position and not self.tokens_on_line:
                self.indent = start - self.line_start
            position = end
            span = Span(
                self.line, start - self.line_start + 1, self.line, end - self.line_start + 1, start, end
            )
            if kind == "NUMBER" or kind == "LENGTH":
                self._number(kind, found[kind], span)
            elif kind in names and found[kind] not in keywords and found[kind] not in SELECTING_WORDS:
                self._name(kind, found[kind], span)
            elif kind == "END":
                break
            else:
                position = special(kind, found[kind], span)
            if len(self.diagnostics) > MAX_ERRORS:
                break
        self._finish(position)
        return Tokens(tokens, self.comments, self.diagnostics)
