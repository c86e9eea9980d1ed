"""Sorts the parts of a statement's head into canonical order.

The order of a phase is: label, `dense` or `sparse`, target (with `of=`, `ramp=`, `every=`, `masks=`), selectors,
length, `lr=`, the others in the order of the argument table, `until`. Arguments of calls, parameters, values of loops
and names, and settings keep their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

from dsd_lang.base.arguments import ARGUMENTS
from dsd_lang.base.diagnostics import Span
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.units import format_percent
from dsd_lang.syntax import nodes
from dsd_lang.syntax.terminals import Token

_TABLE_INDEX = {row.name: index for index, row in enumerate(ARGUMENTS)}
_FIRST, _WORD, _TARGET, _TARGET_ARGUMENT, _SELECTORS, _LENGTH, _RATE, _REST, _UNTIL, _LAST = range(10)
_TARGET_ARGUMENTS = tuple(row.name for row in ARGUMENTS if row.home == "target")
_SELECTING = ("layers", "except")
_ONLY_TARGETS = (nodes.NofMTarget, nodes.RampTarget, nodes.HeldTarget, nodes.ListTarget, nodes.Number)
_OPENING = ("LPAR", "LSQB")
_CLOSING = ("RPAR", "RSQB")

Rank = tuple[int, int, int]


class Piece(NamedTuple):
    """Tokens that stay together; ``is_condition`` if `+` and `-` are written with blanks around them."""

    tokens: Sequence[Token]
    is_condition: bool = False


class _Part(NamedTuple):
    """The end of a piece in the text, and its position in the order."""

    span: Span
    rank: Rank
    is_condition: bool = False


def pieces_of(
    statement: nodes.Statement | nodes.Branch, head: Sequence[Token], *, keeps_order: bool, has_shares: bool = False
) -> list[Piece]:
    """The tokens of a statement's head, cut into pieces and in canonical order unless ``keeps_order``.

    ``has_shares`` if a percentage can be the length of a phase: in a `within` and in a `def`.
    """
    first = _Part(head[0].span, (0, _FIRST, 0))
    parts = [first, *sorted(_parts(statement, has_shares), key=lambda part: part.span.start)]
    cut = list(_cut(head, parts))
    if not keeps_order:
        cut.sort(key=lambda pair: pair[0])
    return [piece for _, piece in cut]


def percentages(statement: nodes.Statement | nodes.Branch) -> dict[int, str]:
    """For each plain number that is a target between 0 and 1, the percentage to write, by offset."""
    found: dict[int, str] = {}
    for phase in _phases(statement):
        for item in phase.items:
            for number in _target_numbers(item):
                if not number.percent and 0 < number.value < Fraction(1):
                    found[number.span.start] = format_percent(number.value)
    return found


# --- parts ------------------------------------------------------------------------------------------------------------


def _parts(statement: nodes.Statement | nodes.Branch, has_shares: bool) -> Iterator[_Part]:
    if isinstance(statement, (nodes.Phase, nodes.Branch)):
        for phase in _phases(statement):
            yield from _phase_parts(phase, has_shares, block=0)
    elif isinstance(statement, nodes.RepeatTail):
        yield from _tail_parts(statement, has_shares)
    elif isinstance(statement, nodes.RepeatBlock) and statement.until is not None:
        yield _Part(statement.until.span, (0, _UNTIL, 0), is_condition=True)
    elif isinstance(statement, nodes.Expect):
        yield _Part(statement.condition.span, (0, _WORD, 0), is_condition=True)
    elif isinstance(statement, (nodes.Compare, nodes.Fork)):
        if isinstance(statement, nodes.Compare):
            yield _Part((statement.right or statement.left).span, (0, _WORD, 0))
        for argument in statement.arguments:
            yield _Part(argument.span, (0, _REST, _table_index(argument)))


def _tail_parts(statement: nodes.RepeatTail, has_shares: bool) -> Iterator[_Part]:
    """`repeat N until COND ...`, then the phases, then `scale=`."""
    if statement.count is not None:
        yield _Part(statement.count.span, (0, _WORD, 0))
    if statement.until is not None:
        yield _Part(statement.until.span, (0, _UNTIL, 0), is_condition=True)
    for argument in statement.arguments:
        block = 3 if argument.name == "scale" else 0
        yield _Part(argument.span, (block, _LAST, 0))
    for block, phase in ((1, statement.sparse), (2, statement.dense)):
        if phase is not None:
            yield from _phase_parts(phase, has_shares, block=block)


def _phase_parts(phase: nodes.Phase, has_shares: bool, *, block: int) -> Iterator[_Part]:
    yield _Part(phase.mode_span, (block, _WORD, 0))
    positional = [item for item in phase.items if not isinstance(item, (nodes.Argument, nodes.Until))]
    lengths = _lengths_among(positional, phase.mode, has_shares)
    for item in phase.items:
        if isinstance(item, nodes.Until):
            yield _Part(item.span, (block, _UNTIL, 0), is_condition=True)
        elif isinstance(item, nodes.Argument):
            yield _Part(item.span, (block, *_argument_order(item)))
        else:
            yield _Part(item.span, (block, _LENGTH if id(item) in lengths else _TARGET, 0))


def _argument_order(argument: nodes.Argument) -> tuple[int, int]:
    if argument.name in _TARGET_ARGUMENTS:
        return _TARGET_ARGUMENT, _table_index(argument)
    if argument.name in _SELECTING:
        return _SELECTORS, _table_index(argument)
    return (_RATE, 0) if argument.name == "lr" else (_REST, _table_index(argument))


def _table_index(argument: nodes.Argument) -> int:
    return _TABLE_INDEX.get(argument.name, len(_TABLE_INDEX))


def _lengths_among(positional: Sequence[nodes.PhaseItem], mode: str, has_shares: bool) -> set[int]:
    """The ids of positional items that move to the position of the length; none move if two are of the same kind.

    The order of two targets decides which one counts and which is the mistake.
    """
    lengths = {id(item) for item in positional if _is_length(item, positional, mode, has_shares)}
    return lengths if len(lengths) <= 1 and len(positional) - len(lengths) <= 1 else set()


def _is_length(item: nodes.PhaseItem, positional: Sequence[nodes.PhaseItem], mode: str, has_shares: bool) -> bool:
    """Whether a positional item is the length; a variable is, if another item is certainly the target.

    Of two numbers in a `within`, the second is the length; and a variable before a number may be the target.
    """
    if mode == "dense" or _has_length(item):
        return True
    if has_shares and isinstance(item, nodes.Number):
        return item is not positional[0] and not any(_has_length(other) for other in positional)
    if isinstance(item, _ONLY_TARGETS):
        return False
    certain = tuple(one for one in _ONLY_TARGETS if one is not nodes.Number) if has_shares else _ONLY_TARGETS
    return any(isinstance(other, certain) for other in positional)


def _has_length(item: object) -> bool:
    if isinstance(item, nodes.LengthLiteral):
        return True
    if isinstance(item, nodes.Unary):
        return _has_length(item.operand)
    return isinstance(item, nodes.Binary) and (_has_length(item.left) or _has_length(item.right))


def _phases(statement: nodes.Statement | nodes.Branch) -> Iterator[nodes.Phase]:
    """The phases whose items are in the statement's own head."""
    if isinstance(statement, nodes.Phase):
        yield statement
    elif isinstance(statement, nodes.RepeatTail):
        yield from (phase for phase in (statement.sparse, statement.dense) if phase is not None)
    elif isinstance(statement, nodes.Branch) and statement.is_phase:
        yield from (phase for phase in statement.body if isinstance(phase, nodes.Phase))


def _target_numbers(item: object) -> Iterator[nodes.Number]:
    if isinstance(item, nodes.Number):
        yield item
    elif isinstance(item, nodes.RampTarget):
        yield from (end for end in (item.start, item.end) if isinstance(end, nodes.Number))
    elif isinstance(item, nodes.ListTarget):
        for one in item.items:
            yield from _target_numbers(one.target)


# --- tokens -----------------------------------------------------------------------------------------------------------


def _cut(head: Sequence[Token], parts: Sequence[_Part]) -> Iterator[tuple[Rank, Piece]]:
    """Each part with the tokens since the end of the previous one; closing brackets stay with their contents."""
    cursor = 0
    for part in parts:
        start, depth = cursor, 0
        while cursor < len(head) and (head[cursor].span.start < part.span.end or depth > 0):
            depth += (head[cursor].kind in _OPENING) - (head[cursor].kind in _CLOSING)
            cursor += 1
        yield part.rank, Piece(head[start:cursor], part.is_condition)
    if cursor < len(head):
        yield (4, 0, 0), Piece(head[cursor:])
