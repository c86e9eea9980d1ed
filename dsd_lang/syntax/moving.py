"""Moves tokens and nodes to other lines and offsets: text behind an edit stays the same, its positions do not.

The function for each class of nodes is written from its fields, so a new class needs nothing here: spans are moved,
what may hold nodes is searched, and plain data is shared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.syntax import nodes
from dsd_lang.syntax.terminals import Token

_PLAIN = ("str", "bool", "Fraction", "Unit", "Selector", "str | None", "tuple[str, ...]")
_SPAN = "new(Span, ({0}[0] + lines, {0}[1], {0}[2] + lines, {0}[3], {0}[4] + offsets, {0}[5] + offsets))"
_Mover = Callable[[Any, int, int], Any]


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


def _moved(value: Any, lines: int, offsets: int) -> Any:
    cls = type(value)
    mover = _MOVERS.get(cls)
    if mover is None:
        if cls.__module__ != nodes.__name__:
            return value
        mover = _MOVERS[cls] = _mover_of(cls)
    return mover(value, lines, offsets)


def _moved_tuple(values: tuple[Any, ...], lines: int, offsets: int) -> tuple[Any, ...]:
    return tuple([_moved(value, lines, offsets) for value in values])


def _moved_span(span: Span, lines: int, offsets: int) -> Span:
    return tuple.__new__(
        Span, (span[0] + lines, span[1], span[2] + lines, span[3], span[4] + offsets, span[5] + offsets)
    )


def _mover_of(cls: Any) -> _Mover:
    """The function for a class of nodes."""
    parts = []
    for name, kind in cls.__annotations__.items():
        if kind == "Span":
            parts.append(_SPAN.format(f"span_{name}"))
        elif kind in _PLAIN or kind.startswith("Literal["):
            parts.append(f"node.{name}")
        else:
            parts.append(f"moved(node.{name}, lines, offsets)")
    spans = "; ".join(f"span_{name} = node.{name}" for name, kind in cls.__annotations__.items() if kind == "Span")
    scope: dict[str, Any] = {"Span": Span, "new": tuple.__new__, "cls": cls, "moved": _moved}
    exec(f"def mover(node, lines, offsets):\n {spans or 'pass'}\n return cls({', '.join(parts)})", scope)
    mover: _Mover = scope["mover"]
    return mover


_MOVERS: dict[type, _Mover] = {tuple: _moved_tuple, Span: _moved_span}
