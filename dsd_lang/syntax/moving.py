"""Moves tokens and nodes to other lines and offsets: text behind an edit stays the same, its positions do not."""

from __future__ import annotations

from typing import Any

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.syntax.node_copies import NodeCopies
from dsd_lang.syntax.terminals import Token

_SPAN = "new(Span, ({0}[0] + lines, {0}[1], {0}[2] + lines, {0}[3], {0}[4] + offsets, {0}[5] + offsets))"
_moved = NodeCopies("lines, offsets", _SPAN, Span=Span, new=tuple.__new__)


class Move(NamedTuple):
    """How many lines and how many characters further down a text stands now; columns stay the same."""

    lines: int
    offsets: int

    def token(self, token: Token) -> Token:
        """The token, moved."""
        return token._replace(span=self.of(token.span))

    def tokens(self, tokens: list[Token]) -> list[Token]:
        """Tokens, moved; the same list if they stay."""
        if not self.offsets and not self.lines:
            return tokens
        (lines, offsets), new = self, tuple.__new__
        return [
            new(Token, (kind, text, new(Span, (a + lines, b, c + lines, d, e + offsets, f + offsets))))
            for kind, text, (a, b, c, d, e, f) in tokens
        ]

    def of(self, value: Any) -> Any:
        """A node, a span or a tuple of them, moved; anything else as it is."""
        return _moved(value, *self) if self.offsets or self.lines else value
