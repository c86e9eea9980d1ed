"""Reports what was expected if no repair applies, with advice and a fix if one is clear.

Imported only at a syntax error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsd_lang.base.diagnostics import Edit, Fix, Span
from dsd_lang.syntax.phase_items import ARGUMENT_NAMES
from dsd_lang.syntax.terminals import STATEMENT_WORDS, Token, behind
from dsd_lang.syntax.words import expected_in_words, found_in_words

if TYPE_CHECKING:
    from dsd_lang.syntax.recovery import Recovery


def report_unexpected(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> None:
    """Reports a token that no repair handles, and what was expected instead."""
    if _follows_from_the_lexer(recovery, index, token):
        return
    expected = expected_here(recovery, accepted)
    found = found_in_words(token, recovery.driver.keywords)
    if (token.kind in ("_SEPARATOR", "$END", "RBRACE") or not token.text) and index:
        while index > 1 and (recovery.kind(index - 1) == "_SEPARATOR" or not recovery.driver.tokens[index - 1].text):
            index -= 1
        previous = recovery.driver.tokens[index - 1].span
        recovery.report(
            "DSD101", f"expected {expected}, found {found}", previous, label="the statement is incomplete here"
        )
        return
    label, help = _advice(recovery, index, token, accepted)
    fix = _repair(recovery, index, token)
    recovery.report("DSD101", f"expected {expected}, found {found}", token.span, label=label, help=help, fix=fix)


def expected_here(recovery: Recovery, accepted: set[str]) -> str:
    """What the grammar accepts at the current position, in words."""
    values = recovery.driver.values
    words = (value.kind for value in reversed(values) if isinstance(value, Token))
    mode = next((kind.lower() for kind in words if kind in ("DENSE", "SPARSE")), None)
    has_items = not (values and isinstance(values[-1], Token) and values[-1].kind in ("DENSE", "SPARSE"))
    return expected_in_words(accepted, phase=mode, has_items=has_items)


def _follows_from_the_lexer(recovery: Recovery, index: int, token: Token) -> bool:
    """Whether the lexer has already reported a mistake in this statement that may be the cause."""
    tokens = recovery.driver.tokens
    if not token.text and (token.kind != "$END" or recovery.scanned.stopped):
        return True
    begin = index
    while begin and tokens[begin - 1].kind not in ("_SEPARATOR", "LBRACE", "RBRACE"):
        begin -= 1
    start, end = tokens[begin].span.start, token.span.start
    if token.kind in ("$END", "_SEPARATOR"):
        end += 1
    reported = (diagnostic.span.start for diagnostic in recovery.scanned.diagnostics)
    return any(start <= offset < end for offset in (*reported, *recovery.guessed))


def _advice(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> tuple[str, str]:
    """The label and the help of an unexpected token."""
    after = recovery.kind(index + 1)
    previous = recovery.kind(index - 1) if index else ""
    if token.kind == "LBRACE" and "SET" in accepted:
        return "", "a block follows `repeat`, `for`, `sweep`, `fork`, `def`, `within` or the label of a branch"
    if token.kind in STATEMENT_WORDS and previous == "COLON":
        if token.kind == "SWEEP":
            return "", "a branch of a `fork` is a phase, a call or a block: write `label: { sweep ... }`"
        return "", "only phases, calls, sweeps, `within` and branches of a `fork` have labels"
    if token.kind == "COMPARATOR" and token.text == "==" and "SELECTING" in accepted:
        return "did you mean `=`?", ""
    if token.kind == "DOTTED" and after == "COLON":
        return "a label has no dots", ""
    if token.kind == "THEN" and "_SEPARATOR" in accepted:
        return "", "`then` is used only in `repeat sparse ... then dense ...`"
    if token.kind == "LABEL" and token.text in ARGUMENT_NAMES:
        return f"did you mean `{token.text}=`?", f"an argument is written `{token.text}=...`"
    return "", ""


def _repair(recovery: Recovery, index: int, token: Token) -> Fix | None:
    """The fix of an unexpected token, if one is clear."""
    if token.kind == "LABEL" and token.text in ARGUMENT_NAMES and recovery.kind(index + 1) == "COLON":
        colon, value = behind(token.span), recovery.driver.tokens[index + 2].span
        if value.line == token.span.line:
            gap = Span(*colon[:2], *value[:2], colon.start, value.start)
            return Fix(f"write `{token.text}=`", (Edit(gap, "="),))
    return None
