"""Repairs blocks without their braces, and branches without their colon: `repeat 3:`, `a { ... }`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsd_lang.base.diagnostics import Edit, Fix, Span
from dsd_lang.syntax.terminals import BLOCK_WORDS, Token, before, behind

if TYPE_CHECKING:
    from dsd_lang.syntax.recovery import Recovery


def python_block(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`repeat 3:` and the lines indented below it."""
    tokens = recovery.driver.tokens
    if token.kind != "COLON" or "LBRACE" not in accepted or index + 1 >= len(tokens):
        return None
    begin = recovery.statement_start(index)
    head = tokens[begin]
    if head.kind not in (*BLOCK_WORDS, "LABEL"):
        return None
    indent = head.span.column - 1
    end, last = index + 1, token.span
    while end < len(tokens) - 1:
        word = tokens[end]
        is_first = tokens[end - 1].kind == "_SEPARATOR" and tokens[end - 1].text != ";"
        if word.kind == "RBRACE" or (is_first and word.span.line > token.span.line and word.span.column - 1 <= indent):
            break
        if word.kind != "_SEPARATOR":
            last = word.span
        elif tokens[index + 1].span.line == token.span.line and tokens[index + 1].kind != "_SEPARATOR":
            break  # `repeat 3: dense 5ep`: the block is the rest of the line
        end += 1
    is_empty = last is token.span
    fix = None
    if not is_empty:
        close = " }" if last.line == token.span.line else "\n" + " " * indent + "}"
        colon = Span(*before(token.span)[:2], *token.span[2:4], token.span.start, token.span.end)
        fix = Fix("put the block in braces", (Edit(colon, " {"), Edit(behind(last), close)))
    counted = _counted_rounds(tokens[begin:index]) if fix is not None else None
    if counted is not None and fix is not None:
        whole = head.span.to(token.span)
        fix = Fix("write it as a `repeat`", (Edit(whole, f"{counted} {{"), fix.edits[1]))
        recovery.driver.builder.told_ranges.add(tokens[begin + 3].span.start)
        label, help = f"write `{counted} {{ ... }}`", "indentation has no meaning; a block is written `{ ... }`"
        message = "rounds are counted by `repeat`, and its block is written in braces"
        recovery.report("DSD101", message, whole, label=label, help=help, fix=fix)
        tokens[end:end] = [Token("RBRACE", "", behind(last)), Token("_SEPARATOR", "", behind(last))]
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
    tokens[end:end] = [Token("RBRACE", "", behind(last)), Token("_SEPARATOR", "", behind(last))]
    tokens[index] = Token("LBRACE", "", token.span)
    return index


def _counted_rounds(head: list[Token]) -> str | None:
    """`for i in range(3)` as `repeat 3 as i`."""
    if [word.kind for word in head] != ["FOR", "NAME", "IN", "NAME", "LPAR", "NUMBER", "RPAR"] or head[
        3
    ].text != "range":
        return None
    name = "" if head[1].text == "_" else f" as {head[1].text}"
    return f"repeat {head[5].text}{name}"


def brace_below(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`for x in 1, 2` with its `{` on the next line."""
    tokens = recovery.driver.tokens
    if token.kind != "_SEPARATOR" or "LBRACE" not in accepted or recovery.kind(index + 1) != "LBRACE" or not index:
        return None
    left, brace = tokens[index - 1].span, tokens[index + 1].span
    gap = Span(*left[2:4], *brace[:2], left.end, brace.start)
    recovery.report(
        "DSD101",
        "the `{` of a block belongs on the line of its statement",
        brace,
        label="one line up",
        fix=Fix("put it there", (Edit(gap, " "),)),
    )
    del tokens[index]
    return index


def missing_brace(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`sweep s in 25%, 50% sparse s`: a one-line block without braces."""
    tokens, head = recovery.driver.tokens, recovery.kind(recovery.statement_start(index))
    if token.kind not in ("DENSE", "SPARSE") or "LBRACE" not in accepted or head not in ("FOR", "SWEEP"):
        return None
    end = index
    while end < len(tokens) - 1 and (tokens[end].kind != "_SEPARATOR" or tokens[end].text == ";"):
        if tokens[end].kind in ("LBRACE", "RBRACE"):
            return None
        end += 1
    point = behind(tokens[end - 1].span)
    recovery.report(
        "DSD101",
        f"the block of a `{head.lower()}` is written in braces",
        token.span,
        label="expected `{` before this",
        fix=Fix("put the block in braces", (Edit(before(token.span), "{ "), Edit(point, " }"))),
    )
    tokens.insert(end, Token("RBRACE", "", point))
    tokens.insert(index, Token("LBRACE", "", before(token.span)))
    return index


def branch_without_colon(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """`a { ... }` in a fork."""
    can_be_branch = {"LABEL", "LBRACE"} <= accepted
    if token.kind != "NAME" or not can_be_branch or recovery.kind(index + 1) not in ("LBRACE", "DENSE", "SPARSE"):
        return None
    point = behind(token.span)
    recovery.report(
        "DSD101",
        f"the branch `{token.text}` needs a `:` after its name",
        token.span,
        label="`:` is missing after this",
        fix=Fix("put in `:`", (Edit(point, ":"),)),
    )
    recovery.driver.tokens[index : index + 1] = [Token("LABEL", token.text, token.span), Token("COLON", "", point)]
    return index
