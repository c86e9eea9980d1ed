"""Determines what the grammar accepts at a position, by running the parser up to it.

>>> from dsd_lang.syntax.parser import scan
>>> sorted(expected_at(scan("for x")[0], 5).accepted)
['IN']
"""

from __future__ import annotations

from typing import Any

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.records import record
from dsd_lang.syntax.parser import driver_of
from dsd_lang.syntax.recovery import Recovery
from dsd_lang.syntax.terminals import Token, Tokens

_POSITION = "$POSITION"  # a token that no state accepts


@record
class ExpectedTokens:
    """The terminals that may come next, and what is before them: tokens, and nodes not yet reduced to a statement."""

    accepted: frozenset[str]
    before: tuple[Any, ...]


class _ReachedError(Exception):
    """Raised when the automaton reaches the position."""


class _Stop(Recovery):
    """Repairs mistakes before the position, and stops there."""

    def mend(self, index: int, *, too_deep: bool) -> int:
        if self.driver.tokens[index].kind == _POSITION:
            raise _ReachedError
        return super().mend(index, too_deep=too_deep)


def expected_at(scanned: Tokens, offset: int) -> ExpectedTokens | None:
    """What may be written at ``offset``, outside of tokens; None if the statement before it has an error."""
    tokens = _before(scanned.tokens, offset)
    driver = driver_of(Tokens(tokens, [], []))
    stop = _Stop(driver, driver.scanned)
    try:
        driver.run(stop)
    except _ReachedError:
        return ExpectedTokens(frozenset(stop.stacks.accepted()), tuple(driver.values))
    return None


def _before(tokens: list[Token], offset: int) -> list[Token]:
    """The tokens that end at or before the offset, without the brackets that the lexer added after them."""
    kept = [token for token in tokens if token.span.end <= offset]
    while kept and not kept[-1].text:
        kept.pop()
    point = Span(0, 0, 0, 0, offset, offset)
    return [*kept, Token(_POSITION, "", point), Token("$END", "", point)]
