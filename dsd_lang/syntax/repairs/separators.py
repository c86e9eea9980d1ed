"""Repairs what is between two statements: nothing, a `,`, a `->`, a `\\`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsd_lang.base.diagnostics import Edit, Fix, Span
from dsd_lang.syntax.terminals import PHASE_BEGINS, STATEMENT_WORDS, Token, before

if TYPE_CHECKING:
    from dsd_lang.syntax.recovery import Recovery

_BETWEEN_PHASES = frozenset({"ARROW", "PLUS", "MINUS", "STAR", "COMPARATOR", "THEN", "AND", "OR"})


def missing_separator(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`dense 50ep sparse 0.5`."""
    if (token.kind not in STATEMENT_WORDS and token.kind != "LABEL") or "_SEPARATOR" not in accepted:
        return None
    if token.kind == "LABEL" and recovery.kind(index + 2) not in ("DENSE", "SPARSE", "LBRACE"):
        return None
    if index and recovery.kind(index - 1) == "_SEPARATOR":
        return None  # there is one already: `fork { a: dense 5ep; repeat }`
    point, previous = before(token.span), recovery.driver.tokens[index - 1].span
    is_beside = previous.end_line == token.span.line
    gap = Span(*previous[2:4], *point[:2], previous.end, point.start) if is_beside else point
    what = "phase" if token.kind in ("DENSE", "SPARSE", "LABEL") else "statement"
    help = "put a `;` or a new line between the two"
    joined = recovery.scanned.text[previous.end : token.span.start]
    if "\\" in joined and "#" not in joined:
        _joined_lines(recovery, index, previous, joined)
        return index
    is_doubtful = token.kind == "DENSE" and _is_in_repeat(recovery)
    if is_doubtful:
        help = "write `then dense ...` if it belongs to the `repeat`, else put a `;` or a new line between the two"
    recovery.report(
        "DSD102",
        f"a new {what} begins here without a separator",
        token.span,
        label=f"`;` is missing before `{token.text}`",
        help=help,
        fix=Fix("put in the `;`", (Edit(gap, "; "),), "display" if is_doubtful else "unsafe"),
    )
    recovery.driver.tokens.insert(index, Token("_SEPARATOR", "", point))
    return index


def _joined_lines(recovery: Recovery, index: int, previous: Span, joined: str) -> None:
    """A `\\` before a statement, which joins two lines that do not belong together."""
    offset = previous.end + joined.index("\\")
    blank = len(joined[: joined.index("\\")])
    column = previous.end_column + blank
    sign = Span(previous.end_line, column, previous.end_line, column + 1, offset, offset + 1)
    gap = Span(*previous[2:4], *sign[2:4], previous.end, sign.end)
    token = recovery.driver.tokens[index]
    recovery.report(
        "DSD102",
        f"the `\\` joins this line to the next, which begins a statement of its own (`{token.text}`)",
        sign,
        label="leave it out",
        fix=Fix("leave out the `\\`", (Edit(gap if "\n" not in joined[:blank] else sign, ""),)),
    )
    recovery.driver.tokens.insert(index, Token("_SEPARATOR", "", before(token.span)))


def _is_in_repeat(recovery: Recovery) -> bool:
    """Whether a `repeat` without a block is being parsed."""
    for state, value in zip(reversed(recovery.driver.states), reversed(recovery.driver.values), strict=False):
        if recovery.stacks.is_list_state(state):
            return False
        if isinstance(value, Token) and value.kind == "REPEAT":
            return True
    return False


def comma_between_statements(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`dense 5ep, sparse 50%`, and a comma after a branch of a fork."""
    after = recovery.kind(index + 1)
    if token.kind != "COMMA" or "_SEPARATOR" not in accepted or index + 1 >= len(recovery.driver.tokens):
        return None
    if (
        after not in STATEMENT_WORDS
        and after != "LABEL"
        and after != "RBRACE"
        and not ("LBRACE" in accepted and "LABEL" in accepted)
    ):
        return None
    is_line_end = recovery.driver.tokens[index + 1].span.line > token.span.line
    better = "" if is_line_end or after == "RBRACE" else ";"
    recovery.report(
        "DSD102",
        "statements are separated by `;` or a new line, not by `,`",
        token.span,
        label=f"write `{better}`" if better else "leave it out",
        fix=Fix("write `;`" if better else "leave out the `,`", (Edit(token.span, better),)),
    )
    recovery.driver.tokens[index] = Token("_SEPARATOR", "", token.span)
    return index


def other_separator(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`dense 5ep -> sparse 50%`: phases separated by an invalid sign."""
    tokens = recovery.driver.tokens
    if token.kind in _BETWEEN_PHASES and recovery.kind(index + 1) in PHASE_BEGINS and "_SEPARATOR" in accepted:
        position = index
    elif token.kind in PHASE_BEGINS and index and recovery.kind(index - 1) in _BETWEEN_PHASES:
        position = index - 1
    else:
        return None
    sign, after = tokens[position], tokens[position + 1]
    if sign.kind == "ARROW" and after.span.line > sign.span.line:
        recovery.report(
            "DSD101", "the ramp is incomplete after its `->`", sign.span, label="expected the share it ends at"
        )
        separator = Token("_SEPARATOR", "", before(after.span))
        recovery.broken.append((tokens[recovery.statement_start(position)].span.start, after.span.start))
        if position < index:
            recovery.stacks.pop_to("_SEPARATOR")
            tokens.insert(index, separator)
        else:
            tokens[index] = separator
        return index
    if recovery.kind(recovery.statement_start(index)) not in ("DENSE", "SPARSE", "LABEL") or not position:
        return None
    if position < index:
        recovery.stacks.pop(1)
        if not recovery.stacks.accepts(0, "_SEPARATOR"):
            return None
    left = tokens[position - 1].span
    gap = Span(*left[2:4], *sign.span[2:4], left.end, sign.span.end)
    recovery.report(
        "DSD102",
        f"phases are separated by `;` or a new line, not by `{sign.text}`",
        sign.span,
        label="write `;`",
        fix=Fix("write `;`", (Edit(gap if left.end_line == sign.span.line else sign.span, ";"),)),
    )
    tokens[position] = Token("_SEPARATOR", "", before(after.span))
    return position
