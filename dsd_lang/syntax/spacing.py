"""Lays out the parts of a statement and its comments as lines: blanks and line breaks.

A line is broken after a comma if it would otherwise be wider than :data:`MAX_WIDTH`, and after every comment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.syntax.canonical_order import Piece
from dsd_lang.syntax.nodes import Comment
from dsd_lang.syntax.terminals import Token

MAX_WIDTH = 100
_ENDS_AN_OPERAND = frozenset({"NUMBER", "LENGTH", "NAME", "DOTTED", "ARM", "STRING", "REFERENCE", "RPAR"})
_CALLABLE = frozenset({"NAME", "CALLED", "REFERENCE", "STRING"})
_NEVER_AFTER = frozenset({"LPAR", "LSQB", "EQUAL", "ARROW", "DOTS", "STAR", "SLASH", "CARET"})
_NEVER_BEFORE = frozenset({"COMMA", "RPAR", "RSQB", "EQUAL", "COLON", "ARROW", "DOTS", "STAR", "SLASH", "CARET"})
_SIGNS = frozenset({"PLUS", "MINUS"})
_DEPTHS = {"LPAR": 1, "LSQB": 1, "RPAR": -1, "RSQB": -1}
_KEEPS_SELECTORS = frozenset({"", "SELECTING", "EQUAL", "COMMA"})
_BREAKS_FREELY = frozenset({"COMMA", "ARROW"})
_QUOTED = re.compile("(\"[^\"]*\"|'[^']*')")


class TokenLine(NamedTuple):
    """A line of output: its indentation level, its code, and the comment at its end (code or comment may be empty)."""

    indent: int
    code: str
    comment: str = ""


def comment_text(comment: Comment) -> str:
    """The comment without trailing blanks."""
    return comment.text.rstrip()


def respaced_arm(text: str) -> str:
    """The name of an arm, or a reference with one, with a blank after each comma in its brackets and no others.

    >>> respaced_arm("@grid[ s=25%,w = 0 ].end")
    '@grid[s=25%, w=0].end'
    """
    parts = _QUOTED.split(text)  # every second one is in quotes
    parts[::2] = ["".join(part.split()).replace(",", ", ") for part in parts[::2]]
    return "".join(parts)


def lines_of(
    pieces: Sequence[Piece], texts: Mapping[int, str], comments: Mapping[int, Sequence[Comment]], *, indent: int
) -> list[TokenLine]:
    """A statement's head as lines; each of ``comments`` follows the token that begins at its key.

    ``texts`` are the tokens, by offset, that are written differently than in the source.
    """
    writer = _Writer(indent)
    previous: Token | None = None
    flat = [(token, piece.is_condition) for piece in pieces for token in piece.tokens]
    spaced = _Spacing()
    for index, (token, is_condition) in enumerate(flat):
        blank = previous is not None and spaced.has_blank(previous, token, is_condition)
        writer.add(texts.get(token.span.start, token.text), has_blank=blank)
        spaced.seen(token)
        writer.may_break = spaced.depth > 0 or token.kind in _BREAKS_FREELY
        if token.kind == "COMMA":
            writer.end_chunk()
        for comment in comments.get(token.span.start, ()):
            writer.comment(comment, is_last=index == len(flat) - 1)
        previous = token
    return writer.finish()


class _Spacing:
    """The state that tells a sign from an operator, and a list of selectors from one of values."""

    def __init__(self) -> None:
        self.depth = 0
        self._before = ""  # the kind of the last token
        self._is_unary = False
        self._in_selectors = False
        self._colon_is_ratio = False
        self._names_value = False  # in `let s`, whose `=` has blanks around it

    def has_blank(self, left: Token, right: Token, is_condition: bool) -> bool:
        """Whether there is a blank between two neighbours."""
        before, after = left.kind, right.kind
        if after in _SIGNS and before in _ENDS_AN_OPERAND:
            return is_condition
        if before in _SIGNS:
            return is_condition and not self._is_unary
        if self._names_value and "EQUAL" in (before, after):
            return True
        if before == "DOTS" and right.text[:1] == ".":
            return True  # `1.. .5`
        if before in _NEVER_AFTER or after in _NEVER_BEFORE:
            return False
        if before == "COMMA":
            return not self._in_selectors
        if before == "COLON":
            return not self._colon_is_ratio
        return not (after == "LPAR" and before in _CALLABLE)

    def seen(self, token: Token) -> None:
        """Updates the state after a token is written."""
        before, kind = self._before, token.kind
        self.depth += _DEPTHS.get(kind, 0)
        self._is_unary = kind in _SIGNS and before not in _ENDS_AN_OPERAND
        self._colon_is_ratio = kind == "COLON" and before == "NUMBER"
        if kind == "SELECTING" and self.depth == 0:
            self._in_selectors = True
        elif before not in _KEEPS_SELECTORS and kind != "COMMA":
            self._in_selectors = False
        self._names_value = before == "LET" or (self._names_value and kind == "EQUAL")
        self._before = kind


class _Writer:
    """Fills lines."""

    def __init__(self, indent: int) -> None:
        self.may_break = False  # a newline here does not end a statement
        self._indent = indent
        self._lines: list[TokenLine] = []
        self._line = ""
        self._chunk = ""
        self._blank = False  # the line before the chunk
        self._is_broken = False

    def add(self, text: str, *, has_blank: bool) -> None:
        if not self._chunk:
            self._blank = has_blank
            self._chunk = text
        else:
            self._chunk += " " + text if has_blank else text

    def end_chunk(self) -> None:
        """Ends a chunk: the line may be broken here."""
        if not self._chunk:
            return
        joined = self._line + (" " if self._blank and self._line else "") + self._chunk
        if self._line and self._is_broken and 2 * self._level + len(joined) > MAX_WIDTH:
            self._flush("")
            joined = self._chunk
        self._line, self._chunk = joined, ""
        self._is_broken = True

    def comment(self, comment: Comment, *, is_last: bool) -> None:
        """Adds a comment and ends the line; adds a `\\` before it if the line end would end the statement."""
        self.end_chunk()
        text = comment_text(comment)
        if comment.is_alone and self.may_break:
            if self._line:
                self._flush("")
            self._lines.append(TokenLine(self._level, "", text))
            return
        if not (self.may_break or is_last):
            self._line += " \\" if self._line else "\\"
        self._flush(text)

    def finish(self) -> list[TokenLine]:
        self.end_chunk()
        if self._line:
            self._flush("")
        return self._lines

    @property
    def _level(self) -> int:
        return self._indent + (2 if self._lines else 0)

    def _flush(self, comment: str) -> None:
        self._lines.append(TokenLine(self._level, self._line, comment))
        self._line = ""
        self._is_broken = False
