"""The context of the cursor, from the parser's stack: in a statement, an argument, a call or a condition."""

from __future__ import annotations

from typing import Any

from dsd_lang.base.records import record
from dsd_lang.syntax import nodes
from dsd_lang.syntax.expectation import ExpectedTokens
from dsd_lang.syntax.terminals import SOFT_WORDS, STATEMENT_WORDS, Token

_OPENS = ("LPAR", "LSQB")
_CLOSES = ("RPAR", "RSQB")
_STARTS = STATEMENT_WORDS | frozenset(SOFT_WORDS.values())
_BEFORE_CALL = ("_SEPARATOR", "LBRACE", "RBRACE")
_CLAUSE_ENDS = ("UNTIL", "AND", "OR", "NOT")


@record
class Cursor:
    """What the parser expects at the cursor.

    ``statement`` is the innermost statement's keyword, `CALLED` in the parentheses of a call, None where one may begin.

    A phase after a `repeat` belongs to it. ``argument`` is the name whose value is expected, ``call`` the function
    whose parentheses the cursor is in, and ``named`` the names already given to the call, else to the statement.
    ``clause`` is the last comparison of the condition as far as it is written, None outside of conditions. ``words``
    are the kinds of all tokens around.
    """

    accepted: frozenset[str]
    statement: str | None
    label: nodes.Label | None
    argument: str | None
    call: str | None
    named: tuple[str, ...]
    items: tuple[Any, ...]
    clause: tuple[Any, ...] | None
    words: tuple[str, ...]

    def takes(self, *kinds: str) -> bool:
        """Whether the grammar accepts one of these terminals here."""
        return any(kind in self.accepted for kind in kinds)


def cursor_of(expectation: ExpectedTokens) -> Cursor:
    """The cursor that an expectation describes."""
    before = expectation.before
    start = _statement_start(before)
    inside = before[start + 1 :] if start is not None else ()
    opened = _innermost_open(inside)
    statement = _kind_of_statement(before, start)
    call = before[start].text if statement == "CALLED" and start is not None else _call_at(inside, opened)
    if statement == "DEF":
        call = None
    items = inside[opened + 1 :] if opened is not None and call is not None else inside
    label = before[start - 1] if start else None
    named = _named(items) if call is not None else [*_named_before(before, start), *_named(items)]
    return Cursor(
        expectation.accepted,
        statement,
        label if isinstance(label, nodes.Label) else None,
        _argument(inside if call is None else inside[:opened]),
        call,
        tuple(named),
        tuple(items),
        _clause(statement, inside) if call is None else None,
        tuple(item.kind for item in before if isinstance(item, Token)),
    )


def _statement_start(before: tuple[Any, ...]) -> int | None:
    """The index of the statement's keyword, while the statement is not complete."""
    for index in reversed(range(len(before))):
        item = before[index]
        if (isinstance(item, Token) and item.kind in _STARTS) or _is_called(before, index):
            return index
        if isinstance(item, Token) and item.kind in ("LBRACE", "_SEPARATOR", "RBRACE"):
            return None
    return None


def _is_called(before: tuple[Any, ...], index: int) -> bool:
    """Whether a name with an open parenthesis is the call of a `def`: it begins a statement."""
    if not isinstance(before[index], nodes.Name) or index + 1 == len(before) or _kind(before[index + 1]) != "LPAR":
        return False
    previous = before[index - 1] if index else None
    return index == 0 or isinstance(previous, (list, nodes.Label)) or _kind(previous) in _BEFORE_CALL


def _kind_of_statement(before: tuple[Any, ...], start: int | None) -> str | None:
    return None if start is None else _kind(before[start]) or "CALLED"


def _innermost_open(inside: tuple[Any, ...]) -> int | None:
    depth = 0
    for index in reversed(range(len(inside))):
        kind = _kind(inside[index])
        if kind in _CLOSES:
            depth += 1
        elif kind in _OPENS and depth:
            depth -= 1
        elif kind in _OPENS:
            return index
    return None


def _call_at(inside: tuple[Any, ...], opened: int | None) -> str | None:
    """The function whose parenthesis is open; None for brackets that only group."""
    if not opened or _kind(inside[opened]) != "LPAR":
        return None
    callee = inside[opened - 1]
    if isinstance(callee, (nodes.Reference, nodes.Text)):
        return "@"
    return callee.text if isinstance(callee, nodes.Name) and "." not in callee.text else None


def _argument(inside: tuple[Any, ...]) -> str | None:
    """The name before the last `=` that is not yet part of an argument."""
    for index in reversed(range(1, len(inside))):
        if _kind(inside[index]) == "EQUAL":
            return str(inside[index - 1].text)
        if _kind(inside[index]) in _CLAUSE_ENDS:
            return None
    return None


def _named_before(before: tuple[Any, ...], start: int | None) -> list[str]:
    """The names given to a `repeat` without a block before its phase began."""
    position = start
    while position and _kind(before[position]) not in ("LBRACE", "_SEPARATOR", "REPEAT"):
        position -= 1
    is_tail = position is not None and position != start and _kind(before[position]) == "REPEAT"
    return _named(before[position:start]) if is_tail else []


def _named(items: tuple[Any, ...]) -> list[str]:
    found: list[str] = []
    for index, item in enumerate(items):
        parts = item if isinstance(item, list) else [item]
        found += [part.name for part in parts if isinstance(part, (nodes.Argument, nodes.CallArgument)) and part.name]
        found += [part.name.text for part in parts if isinstance(part, nodes.GivenValue) and part.name is not None]
        if _kind(item) == "EQUAL" and index:
            found.append(str(items[index - 1].text))
    return found


def _clause(statement: str | None, inside: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The written part of the comparison in a condition."""
    kinds = [_kind(item) for item in inside]
    if statement != "EXPECT" and "UNTIL" not in kinds:
        return None
    start = max((index + 1 for index, kind in enumerate(kinds) if kind in _CLAUSE_ENDS), default=0)
    opened = _innermost_open(inside)
    return inside[max(start, opened + 1) if opened is not None and opened >= start else start :]


def _kind(item: Any) -> str:
    return item.kind if isinstance(item, Token) else ""
