"""Repairs other notations of numbers: `0,1`, `1,000it`, `+0.1`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dsd_lang.base.diagnostics import Edit, Fix, replacement
from dsd_lang.syntax.terminals import Token

if TYPE_CHECKING:
    from dsd_lang.syntax.recovery import Recovery

_FRACTION = re.compile(r"\d{1,20}(?:[eE][+-]?\d{1,2})?(?:%|ep|it)?")
_GROUPED = re.compile(r"\d{1,3}(?:\.\d{3})+")


def decimal_comma(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`lr=0,1`, `1,000it`."""
    tokens = recovery.driver.tokens
    if token.kind != "COMMA" or not index or index + 1 >= len(tokens):
        return None
    left, right = tokens[index - 1], tokens[index + 1]
    is_beside = left.span.end == token.span.start and right.span.start == token.span.end
    if left.kind != "NUMBER" or right.kind not in ("NUMBER", "LENGTH") or not is_beside:
        return None
    whole = left.text.replace(".", "") if _GROUPED.fullmatch(left.text) else left.text
    # the number may be reduced to an argument already: then its name is unread too
    begin = next((first for first in (index - 1, index - 3) if first >= 0 and recovery.can_rewind_to(first)), None)
    if not whole.isdigit() or not _FRACTION.fullmatch(right.text) or begin is None:
        return None
    digits = right.text.rstrip("%eptiEPTI")
    is_grouped = len(digits) == 3 and digits.isdigit() and left.text != "0" and len(left.text) <= 3
    better = f"{whole}{'_' if is_grouped else '.'}{right.text}"
    recovery.report(
        "DSD101",
        "digits are grouped by `_`, not by `,`" if is_grouped else "a decimal point is written `.`, not `,`",
        left.span.to(right.span),
        label=f"write `{better}`",
        fix=replacement(left.span.to(right.span), better),
    )
    recovery.rewind_to(begin)
    tokens[index - 1 : index + 2] = [Token(right.kind, better, left.span.to(right.span))]
    return begin


def leading_plus(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`lr=+0.1`."""
    if token.kind != "PLUS" or "NUMBER" not in accepted or recovery.kind(index + 1) not in ("NUMBER", "LENGTH"):
        return None
    recovery.report(
        "DSD101",
        "a number has no `+` before it",
        token.span,
        label="leave it out",
        fix=Fix("leave out the `+`", (Edit(token.span, ""),)),
    )
    return index + 1
