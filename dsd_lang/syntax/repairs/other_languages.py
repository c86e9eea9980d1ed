"""Reports syntax from another language around a mistake; the forms are in habit_table.py."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from dsd_lang.base.diagnostics import Edit, Fix, Span
from dsd_lang.syntax.terminals import Token

if TYPE_CHECKING:
    from dsd_lang.syntax.recovery import Recovery

_LINE = re.compile("[^\r\n]*")


def other_language(recovery: Recovery, index: int, token: Token, accepted: set[str]) -> int | None:
    """Syntax from another language around a mistake."""
    from dsd_lang.syntax.habits import MAX_TEXT, find

    text, tokens = recovery.scanned.text, recovery.driver.tokens
    first = tokens[recovery.statement_start(index)].span
    start = max(first.start, token.span.start - MAX_TEXT, token.span.start - token.span.column + 1)
    line_end = _LINE.match(text, token.span.start, token.span.start + MAX_TEXT)
    found = find(text[start : line_end.end() if line_end is not None else start], token.span.start - start)
    if found is None:
        return None
    begin, behind_it = start + found.start, start + found.end
    if (begin, behind_it) in recovery.covered:
        return None  # it has been reported, and what follows it is wrong too
    reported = (item.span.start for item in recovery.scanned.diagnostics)
    if any(first.start <= offset <= token.span.start and not begin <= offset < behind_it for offset in reported):
        return None  # a consequence of another mistake
    line, column = token.span.line, token.span.column - token.span.start
    span = Span(line, column + begin, line, column + behind_it, begin, behind_it)
    fix = (
        Fix("write it so" if found.fix else "leave it out", (Edit(span, found.fix),)) if found.fix is not None else None
    )
    recovery.report("DSD101", found.message, span, label=found.label, help=found.help, fix=fix)
    recovery.covered.append((begin, behind_it))
    if found.resumes:
        while tokens[index].kind != "$END" and tokens[index].span.start < behind_it:
            index += 1
        return index
    stop = index
    while tokens[stop].kind != "$END" and tokens[stop].span.start < behind_it:
        stop += 1
    if _is_balanced(tokens[index:stop]):
        del tokens[index:stop]
    return recovery.skip(index)


def _is_balanced(tokens: list[Token]) -> bool:
    """Whether every brace among the tokens is closed there."""
    depth = 0
    for token in tokens:
        depth += (token.kind == "LBRACE") - (token.kind == "RBRACE")
        if depth < 0:
            return False
    return not depth
