"""Repairs mistakes that are known by their tokens, so that the rest of the statement is read normally.

Each repair takes the recovery, the place, the token there and what the grammar would accept; it returns the index to go
on from, or None where the mistake is another one. Imported at the first syntax error only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dsd_lang.base.arguments import BY_NAME
from dsd_lang.base.diagnostics import Edit, Fix, Span, replacement
from dsd_lang.base.errors import nearest
from dsd_lang.syntax.terminals import STATEMENT_WORDS, Token, before, behind

if TYPE_CHECKING:
    from dsd_lang.syntax.recovery import Recovery

_BLOCK_WORDS = frozenset({"REPEAT", "FOR", "SWEEP", "FORK"})
_PHASE_BEGINS = frozenset({"DENSE", "SPARSE", "LABEL"})
_VALUES = frozenset({"NUMBER", "LENGTH", "NAME", "DOTTED", "STRING", "REFERENCE"})
_BETWEEN_PHASES = frozenset({"ARROW", "PLUS", "MINUS", "STAR", "COMPARATOR", "THEN", "AND", "OR"})
_PARTNERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
_FRACTION = re.compile(r"\d{1,20}(?:[eE][+-]?\d{1,2})?(?:%|ep|it)?")
_GROUPED = re.compile(r"\d{1,3}(?:\.\d{3})+")
MAX_GROUP = 40


def python_block(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`repeat 3:` and the lines indented below it."""
    tokens = recovery.driver.tokens
    if token.kind != "COLON" or "LBRACE" not in accepted or index + 1 >= len(tokens):
        return None
    begin = recovery.statement_start(index)
    head = tokens[begin]
    if head.kind not in (*_BLOCK_WORDS, "LABEL"):
        return None
    indent = head.span.column - 1
    end, place = index + 1, token.span
    while end < len(tokens) - 1:
        word = tokens[end]
        is_first = tokens[end - 1].kind == "_SEPARATOR" and tokens[end - 1].text != ";"
        if word.kind == "RBRACE" or (is_first and word.span.line > token.span.line and word.span.column - 1 <= indent):
            break
        if word.kind != "_SEPARATOR":
            place = word.span
        elif tokens[index + 1].span.line == token.span.line and tokens[index + 1].kind != "_SEPARATOR":
            break  # `repeat 3: dense 5ep`: the block is what stands on the line
        end += 1
    is_empty = place is token.span
    fix = None
    if not is_empty:
        close = " }" if place.line == token.span.line else "\n" + " " * indent + "}"
        colon = Span(*before(token.span)[:2], *token.span[2:4], token.span.start, token.span.end)
        fix = Fix("put the block in braces", (Edit(colon, " {"), Edit(behind(place), close)))
    counted = _counted_rounds(tokens[begin:index]) if fix is not None else None
    if counted is not None and fix is not None:
        whole = head.span.to(token.span)
        fix = Fix("write it as a `repeat`", (Edit(whole, f"{counted} {{"), fix.edits[1]))
        recovery.driver.builder.told_ranges.add(tokens[begin + 3].span.start)
        label, help = f"write `{counted} {{ ... }}`", "indentation has no meaning; a block is written `{ ... }`"
        message = "rounds are counted by `repeat`, and its block is written in braces"
        recovery.report("DSD101", message, whole, label=label, help=help, fix=fix)
        tokens[end:end] = [Token("RBRACE", "", behind(place)), Token("_SEPARATOR", "", behind(place))]
        tokens[index] = Token("LBRACE", "", token.span)
        return index
    recovery.report(
        "DSD101",
        f"the block of a `{head.kind.lower()}` is written in braces"
        if head.kind != "LABEL"
        else "a branch is written in braces",
        token.span,
        label="expected `{`",
        help="indentation has no meaning; a block is written `{ ... }`",
        fix=fix,
    )
    tokens[end:end] = [Token("RBRACE", "", behind(place)), Token("_SEPARATOR", "", behind(place))]
    tokens[index] = Token("LBRACE", "", token.span)
    return index


def misspelt_until(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`dense 5ep untill val.err < 1`, `dense 5ep while val.err > 1`."""
    tokens = recovery.driver.tokens
    if token.kind != "COMPARATOR" or index < 3 or "SELECTING" not in accepted:
        return None
    word = tokens[index - 2]
    if word.kind != "NAME" or not recovery.can_rewind_to(index - 2):
        return None
    from dsd_lang.base.foreign_words import ITEMS

    meant = ITEMS.get(word.text.lower())
    if meant is None and nearest(word.text.lower(), ("until",)) is None:
        return None
    recovery.report(
        "DSD101",
        f"a phase has no `{word.text}`",
        word.span,
        label="" if meant is not None else "did you mean `until`?",
        help=meant.help if meant is not None else "",
        fix=None if meant is not None else replacement(word.span, "until"),
    )
    recovery.rewind_to(index - 2)
    tokens[index - 2] = Token("UNTIL", "until", word.span)
    return index - 2


def _counted_rounds(head: list[Token]) -> str | None:
    """`for i in range(3)` as `repeat 3 as i`."""
    if [word.kind for word in head] != ["FOR", "NAME", "IN", "NAME", "LPAR", "NUMBER", "RPAR"] or head[
        3
    ].text != "range":
        return None
    name = "" if head[1].text == "_" else f" as {head[1].text}"
    return f"repeat {head[5].text}{name}"


def brace_below(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`for x in 1, 2` with its `{` on the line below."""
    tokens = recovery.driver.tokens
    if token.kind != "_SEPARATOR" or "LBRACE" not in accepted or recovery.kind(index + 1) != "LBRACE" or not index:
        return None
    left, brace = tokens[index - 1].span, tokens[index + 1].span
    gap = Span(*left[2:4], *brace[:2], left.end, brace.start)
    recovery.report(
        "DSD101",
        "the `{` of a block stands on the line that it belongs to",
        brace,
        label="one line up",
        fix=Fix("put it there", (Edit(gap, " "),)),
    )
    del tokens[index]
    return index


def missing_brace(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`sweep s in 25%, 50% sparse s`: a block of one line without its braces."""
    tokens, head = recovery.driver.tokens, recovery.kind(recovery.statement_start(index))
    if token.kind not in ("DENSE", "SPARSE") or "LBRACE" not in accepted or head not in ("FOR", "SWEEP"):
        return None
    end = index
    while end < len(tokens) - 1 and (tokens[end].kind != "_SEPARATOR" or tokens[end].text == ";"):
        if tokens[end].kind in ("LBRACE", "RBRACE"):
            return None
        end += 1
    place = behind(tokens[end - 1].span)
    recovery.report(
        "DSD101",
        f"the block of a `{head.lower()}` is written in braces",
        token.span,
        label="expected `{` before this",
        fix=Fix("put the block in braces", (Edit(before(token.span), "{ "), Edit(place, " }"))),
    )
    tokens.insert(end, Token("RBRACE", "", place))
    tokens.insert(index, Token("LBRACE", "", before(token.span)))
    return index


def needless_brackets(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`for s in [20%, 40%] { ... }`, `layers=[fc, conv]`: a list of values has no brackets."""
    opening = index if token.kind in _PARTNERS else recovery.open_group(index) if token.kind == "COMMA" else None
    if opening is None or not opening or (opening != index and not recovery.can_rewind_to(opening)):
        return None
    tokens = recovery.driver.tokens
    kind, previous = tokens[opening].kind, tokens[opening - 1]
    is_selection = previous.kind == "EQUAL" and opening > 1 and tokens[opening - 2].kind == "SELECTING"
    if previous.kind != "IN" and not is_selection:
        return None
    closing = recovery.partner(opening, _PARTNERS[kind], MAX_GROUP)
    if closing is None:
        return None
    inner = [word.kind for word in tokens[opening + 1 : closing]]
    if not inner or not set(inner) <= _VALUES | {"COMMA", "REGEX", "MINUS"}:
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


def missing_equals(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`set lr 0.1`, `fork seeds 3 { ... }`, `compare a vs b on test.err`."""
    is_option = "EQUAL" in accepted and "RPAR" in accepted and token.kind in ("NUMBER", "LENGTH")
    if (accepted != {"EQUAL"} and not is_option) or token.kind not in _VALUES or not index:
        return None
    tokens = recovery.driver.tokens
    name = tokens[index - 1]
    if name.kind != "NAME" or (name.text not in BY_NAME and not is_option):
        return None
    gap = Span(*name.span[2:4], *token.span[:2], name.span.end, token.span.start)
    recovery.report(
        "DSD101",
        f"the argument `{name.text}` needs a `=` before its value",
        name.span,
        label="an `=` is missing after this",
        fix=Fix("put in the `=`", (Edit(gap, "="),)),
    )
    tokens.insert(index, Token("EQUAL", "", before(token.span)))
    return index


def other_separator(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`dense 5ep -> sparse 50%`: phases joined by a sign that joins none."""
    tokens = recovery.driver.tokens
    if token.kind in _BETWEEN_PHASES and recovery.kind(index + 1) in _PHASE_BEGINS and "_SEPARATOR" in accepted:
        place = index
    elif token.kind in _PHASE_BEGINS and index and recovery.kind(index - 1) in _BETWEEN_PHASES:
        place = index - 1
    else:
        return None
    sign, after = tokens[place], tokens[place + 1]
    if sign.kind == "ARROW" and after.span.line > sign.span.line:
        recovery.report(
            "DSD101", "the ramp is incomplete after its `->`", sign.span, label="expected the share it ends at"
        )
        if place < index:
            recovery.stacks.pop_to("_SEPARATOR")
        tokens.insert(index, Token("_SEPARATOR", "", before(after.span)))
        recovery.broken.append((tokens[recovery.statement_start(place)].span.start, after.span.start))
        return index
    if recovery.kind(recovery.statement_start(index)) not in ("DENSE", "SPARSE", "LABEL") or not place:
        return None
    if place < index:
        recovery.stacks.pop(1)
        if not recovery.stacks.accepts(0, "_SEPARATOR"):
            return None
    left = tokens[place - 1].span
    gap = Span(*left[2:4], *sign.span[2:4], left.end, sign.span.end)
    recovery.report(
        "DSD102",
        f"phases are separated by `;` or a new line, not by `{sign.text}`",
        sign.span,
        label="write `;`",
        fix=Fix("write `;`", (Edit(gap if left.end_line == sign.span.line else sign.span, ";"),)),
    )
    tokens[place] = Token("_SEPARATOR", "", before(after.span))
    return place


def trailing_comma(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`layers=fc,` at the end of a line: the statement below is no item of the list."""
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
    if not whole.isdigit() or not _FRACTION.fullmatch(right.text) or not recovery.can_rewind_to(index - 1):
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
    recovery.rewind_to(index - 1)
    tokens[index - 1 : index + 2] = [Token(right.kind, better, left.span.to(right.span))]
    return index - 1


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


def missing_comma(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`sweep s in 25% 50% { ... }`, `sparse [conv: 30% fc: 50%]`."""
    head = recovery.kind(recovery.statement_start(index))
    is_list = head in ("FOR", "SWEEP") or "RSQB" in accepted
    if token.kind not in _VALUES or "COMMA" not in accepted or not is_list or not index:
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


def setting_as_label(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`lr: 0.1` on a line of its own, as in YAML."""
    tokens = recovery.driver.tokens
    if index < 2 or tokens[index - 1].kind != "COLON" or tokens[index - 2].kind != "LABEL":
        return None
    name = tokens[index - 2]
    from dsd_lang.base.foreign_words import ARGUMENTS

    row, meant = BY_NAME.get(name.text), ARGUMENTS.get(name.text.lower())
    if token.kind in STATEMENT_WORDS or (row is None and meant is None and token.kind not in _VALUES):
        return None
    if row is not None and "set" in row.places and token.kind in _VALUES and token.span.line == name.span.line:
        gap = Span(*name.span[:2], *token.span[:2], name.span.start, token.span.start)
        fix = Fix(f"write `set {name.text}=`", (Edit(gap, f"set {name.text}="),))
        recovery.report(
            "DSD101",
            f"a setting is written `set {name.text}=`, not `{name.text}:`",
            name.span,
            label=f"write `set {name.text}={token.text}`",
            fix=fix,
        )
    else:
        recovery.report(
            "DSD101",
            f"`{name.text}:` is a label, and no phase follows it",
            name.span,
            label="expected `dense` or `sparse` after the `:`",
            help=meant.help if meant is not None else "settings are written `set lr=0.1`, phases `base: dense 50ep`",
        )
    return recovery.skip(index)


def bracketed_selection(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """A brace within a phase: `sparse {conv: 30%}`, `layers={fc, conv}` are not blocks."""
    if token.kind != "LBRACE" or recovery.kind(recovery.statement_start(index)) not in _PHASE_BEGINS:
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


REPAIRS = (
    python_block,
    brace_below,
    missing_brace,
    misspelt_until,
    needless_brackets,
    decimal_comma,
    trailing_comma,
    missing_equals,
    other_separator,
    leading_plus,
    setting_as_label,
)
LATE_REPAIRS = (missing_comma, bracketed_selection)
