"""Repairs lists: extra or missing commas, and brackets that do not belong there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsd_lang.base.diagnostics import Edit, Fix, Span
from dsd_lang.syntax.brackets import OPENS
from dsd_lang.syntax.phase_items import ARGUMENT_NAMES
from dsd_lang.syntax.terminals import PHASE_BEGINS, SIMPLE_VALUES, STATEMENT_WORDS, Token, before

if TYPE_CHECKING:
    from dsd_lang.syntax.recovery import Recovery

MAX_GROUP = 40


def stray_comma(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`dense 50ep, lr=3`."""
    if token.kind != "COMMA" or "SELECTING" not in accepted:
        return None
    name = recovery.driver.tokens[index - 1]
    if name.kind == "NAME" and name.text in ARGUMENT_NAMES and recovery.can_rewind_to(index - 1):
        recovery.report(
            "DSD101",
            f"the argument `{name.text}` needs a `=` before its value, not a `,`",
            token.span,
            label="write `=`",
            fix=Fix("write `=`", (Edit(_with_blank(recovery, index), "="),)),
        )
        recovery.rewind_to(index - 1)
        recovery.driver.tokens[index] = Token("EQUAL", "=", token.span)
        return index - 1
    recovery.report(
        "DSD101",
        "`,` joins only the items of a list",
        token.span,
        label="leave it out",
        help="arguments are separated by spaces, statements by `;` or a new line",
        fix=Fix("leave out the `,`", (Edit(token.span, ""),)),
    )
    return index + 1


def _with_blank(recovery: Recovery, index: int) -> Span:
    """A token's span including the blank after it."""
    span, after = recovery.driver.tokens[index].span, recovery.driver.tokens[index + 1].span
    return span.to(before(after)) if after.line == span.line else span


def trailing_comma(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`layers=fc,` at the end of a line, although the next line is not an item of the list."""
    tokens = recovery.driver.tokens
    if token.kind not in (*STATEMENT_WORDS, "LABEL") or not index or tokens[index - 1].kind != "COMMA":
        return None
    if not recovery.stacks.accepts(1, "_SEPARATOR"):
        return None
    comma = tokens[index - 1].span
    recovery.report(
        "DSD101",
        "a list ends without a `,`",
        comma,
        label="leave it out, or add an item",
        fix=Fix("leave out the `,`", (Edit(comma, ""),)) if comma.line < token.span.line else None,
    )
    recovery.stacks.pop(1)
    tokens[index - 1] = Token("_SEPARATOR", "", before(token.span))
    return index - 1


def missing_comma(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`sweep s in 25% 50% { ... }`, `sparse [conv: 30% fc: 50%]`."""
    head = recovery.kind(recovery.statement_start(index))
    is_list = head in ("FOR", "SWEEP") or "RSQB" in accepted
    if token.kind not in SIMPLE_VALUES or "COMMA" not in accepted or not is_list or not index:
        return None
    if token.kind == "NAME" and recovery.kind(index + 1) in ("EQUAL", "NAME"):
        return None
    tokens = recovery.driver.tokens
    left = tokens[index - 1].span
    gap = Span(*left[2:4], *token.span[:2], left.end, token.span.start)
    recovery.report(
        "DSD101",
        "the values of a list are joined by `,`",
        token.span,
        label="a `,` is missing before this",
        fix=Fix("put in the `,`", (Edit(gap, ", "),)),
    )
    tokens.insert(index, Token("COMMA", "", before(token.span)))
    return index


def _opening(recovery: Recovery, index: int, token: Token) -> int | None:
    """The bracket that a value or `,` stands in."""
    if token.kind == "COMMA":
        return recovery.open_group(index)
    return index - 1 if token.kind in SIMPLE_VALUES and recovery.kind(index - 1) == "LSQB" else None


def needless_brackets(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`for s in [20%, 40%] { ... }`, `layers=[fc, conv]`: a list of values has no brackets."""
    opening = index if token.kind in OPENS else _opening(recovery, index, token)
    if opening is None or not opening or (opening != index and not recovery.can_rewind_to(opening)):
        return None
    tokens = recovery.driver.tokens
    kind, previous = tokens[opening].kind, tokens[opening - 1]
    is_selection = previous.kind == "EQUAL" and opening > 1 and tokens[opening - 2].kind == "SELECTING"
    if previous.kind != "IN" and not is_selection:
        return None
    closing = recovery.partner(opening, OPENS[kind], MAX_GROUP)
    if closing is None:
        return None
    inner = [word.kind for word in tokens[opening + 1 : closing]]
    if not inner or not set(inner) <= SIMPLE_VALUES | {"COMMA", "REGEX", "MINUS"}:
        return None
    what = f"the selectors of `{tokens[opening - 2].text}=`" if is_selection else "the values of a loop"
    left, right = tokens[opening].span, tokens[closing].span
    recovery.report(
        "DSD101",
        f"{what} are written without brackets, separated by `,`",
        left.to(right) if left.line == right.line else left,
        label="leave the brackets out",
        fix=Fix("leave the brackets out", (Edit(left, ""), Edit(right, ""))),
    )
    if opening != index:
        recovery.rewind_to(opening)
    del tokens[closing], tokens[opening]
    if tokens[closing - 2].kind == "COMMA":
        del tokens[closing - 2]
    return opening


def bracketed_selection(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """Braces in a phase that are not a block: `sparse {conv: 30%}`, `layers={fc, conv}`."""
    if token.kind != "LBRACE" or recovery.kind(recovery.statement_start(index)) not in PHASE_BEGINS:
        return None
    closing = recovery.partner(index, "RBRACE", MAX_GROUP)
    tokens = recovery.driver.tokens
    if closing is None or tokens[closing].span.line != token.span.line:
        return None
    if any(word.kind in STATEMENT_WORDS for word in tokens[index + 1 : closing]):
        return None
    recovery.report(
        "DSD101",
        "a phase has no block",
        token.span,
        label="expected its arguments",
        help="write them on the phase's line: `dense 50ep lr=0.1`",
    )
    del tokens[index : closing + 1]
    return recovery.skip(index)
