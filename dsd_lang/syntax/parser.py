"""Parses a text with the saved LALR table to a tree and diagnostics, and continues after every mistake.

>>> parse("dense 50ep lr=8e-4").program.statements[0].mode
'dense'
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from itertools import islice

from dsd_lang.base.diagnostics import Diagnostic, Edit, Fix, Span
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.records import record
from dsd_lang.base.source import SourceText, position_span, whole_span
from dsd_lang.syntax import nodes
from dsd_lang.syntax.lexer import Lexer
from dsd_lang.syntax.recovery import Recovery
from dsd_lang.syntax.table import Table, load_table
from dsd_lang.syntax.terminals import MAX_ERRORS, Token, Tokens, master_pattern
from dsd_lang.syntax.tree import TreeBuilder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_REPORTED = 50
MAX_STACK = 1500
_PART_END = "[\r\n;{}]"
_CONTROL = "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"  # none is printable
_BLANK = {ord(sign): " " for sign in "\t\n\r"}


@record
class ParseResult:
    """Everything that could be parsed, and the diagnostics in source order.

    ``tokens`` ends with `$END`; it has been repaired where there are diagnostics, and is empty for binary data.
    """

    program: nodes.Program
    diagnostics: tuple[Diagnostic, ...]
    broken: tuple[tuple[int, int], ...] = ()  # ranges of statements that were not read completely
    tokens: Sequence[Token] = ()


class Head(NamedTuple):
    """The text before a statement, without mistakes: the offset of that statement, and the parse result so far."""

    end: Span
    statements: tuple[nodes.Statement, ...]
    comments: tuple[nodes.Comment, ...]
    tokens: Sequence[Token]


def parse(text: str, *, after: Head | None = None) -> ParseResult:
    """Parses ``text``; never raises. At most 50 diagnostics, then one that says how many more there are.

    ``after`` is the start of the text, if it has already been parsed.
    """
    whole = whole_span(text)
    scanned, controls = scan(text, start=None if after is None else after.end)
    if scanned is None:
        return ParseResult(nodes.Program((), (), whole), tuple(controls))
    driver = driver_of(scanned)
    recovery = Recovery(driver, scanned)
    statements = driver.run(recovery)
    scanned_only = [item for item in scanned.diagnostics if not _is_in(item.span.start, recovery.covered)]
    built = list(dict.fromkeys(driver.builder.diagnostics))  # a statement that was read again says the same again
    found = [*controls, *_merged(scanned_only, built)]
    comments, tokens = tuple(scanned.comments), scanned.tokens
    if after is not None:
        statements, comments = (*after.statements, *statements), (*after.comments, *comments)
        tokens = [*after.tokens, *tokens]
    program = nodes.Program(statements, comments, whole)
    reported = _capped(sorted(found, key=lambda diagnostic: diagnostic.span.start))
    return ParseResult(program, reported, (*recovery.broken, *_unread(scanned)), tokens)


class Stretch(NamedTuple):
    """A part of a text that was read without a mistake, up to a point between two statements."""

    statements: tuple[nodes.Statement, ...]
    comments: Sequence[nodes.Comment]
    tokens: Sequence[Token]
    end_line: int
    end_column: int
    is_separated: bool  # whether another statement may begin at the end


def parse_stretch(text: str, start: Span | None, end: int) -> Stretch | None:
    """Parses the part of a text from a statement (or its beginning) to an offset; None if there is a mistake."""
    body, controls = _without_control_characters(text[:end])
    if body is None or controls:
        return None
    lexer = _lexer(body, start)
    scanned = lexer.run()
    if scanned.diagnostics:
        return None
    driver = driver_of(scanned)
    recovery = Recovery(driver, scanned)
    statements = driver.run(recovery)
    if recovery.num_errors or driver.builder.diagnostics:
        return None
    tokens = scanned.tokens
    is_separated = len(tokens) == 1 or tokens[-2].kind == "_SEPARATOR"
    return Stretch(statements, scanned.comments, tokens, lexer.line, end - lexer.line_start + 1, is_separated)


def scan(text: str, *, start: Span | None = None) -> tuple[Tokens | None, list[Diagnostic]]:
    """The tokens of a text (from the ``start`` of a statement) and the diagnostics about its characters.

    There are no tokens for binary data.
    """
    body, controls = _without_control_characters(text)
    if body is None:
        return None, controls
    return _lexer(body, start).run(), controls


def _lexer(body: str, start: Span | None) -> Lexer:
    """The lexer of a text, or of its rest from the ``start`` of a statement."""
    if start is None:
        return Lexer(body, _table(), _master())
    line_start = start.start - start.column + 1
    return Lexer(body, _table(), _master(), start=start.start, line=start.line, line_start=line_start)


def driver_of(tokens: Tokens) -> Driver:
    """The automaton at the first of these tokens."""
    return Driver(_table(), tokens)


@cache
def _table() -> Table:
    return load_table()


@cache
def _master() -> re.Pattern[str]:
    return master_pattern(_table().patterns, _table().marks)


class Driver:
    """The LALR automaton: four parallel stacks (states, values, spans of first and last symbol)."""

    def __init__(self, table: Table, scanned: Tokens) -> None:
        self.rows = table.rows
        self.rules = table.rules
        self.keywords = table.keywords
        self.units = table.units
        self.scanned = scanned
        self.tokens = scanned.tokens
        self.builder = TreeBuilder()
        self.states: list[int] = [0]
        self.values: list[Any] = []
        self.firsts: list[Span] = []
        self.lasts: list[Span] = []

    def run(self, recovery: Recovery | None = None) -> tuple[nodes.Statement, ...]:
        """Parses all statements; ``recovery`` decides how to continue after a mistake."""
        recovery = recovery or Recovery(self, self.scanned)
        states, values, firsts, lasts, rows, rules = (
            self.states, self.values, self.firsts, self.lasts, self.rows, self.rules,
        )  # fmt: skip
        builder = self.builder
        literals, builders, tokens = builder.literals, builder.builders, self.tokens
        index = 0
        while True:
            token = tokens[index]
            action = rows[states[-1]].get(token.kind)
            if action is None or len(states) > MAX_STACK:
                index = recovery.mend(index, too_deep=action is not None)
                continue
            if action >= 0:
                kind, text, span = token
                make = literals.get(kind)
                if make is not None:
                    values.append(make(text, span))
                elif kind == "$END":
                    result: tuple[nodes.Statement, ...] = values[-1]
                    return result
                else:
                    values.append(token)
                    if kind == "_SEPARATOR" or kind == "LBRACE":
                        builder.is_quiet = False
                states.append(action)
                firsts.append(span)
                lasts.append(span)
                index += 1
                continue
            symbol, length, builds, kept = rules[~action]
            if not builds:
                states[-1] = self._after_units(states[-2], states[-1], token.kind)
                continue
            if length:
                first, last = firsts[-length], lasts[-1]
                children = values[-length:]
                del states[-length:], values[-length:], firsts[-length:], lasts[-length:]
            else:
                first = last = token.span
                children = []
            states.append(rows[states[-1]][symbol])
            if builds == "[]":
                values.append(_joined(children, kept))
            else:
                values.append(builders[builds](_children(children, kept), first, last))
            firsts.append(first)
            lasts.append(last)

    def _after_units(self, below: int, top: int, kind: str) -> int:
        """The topmost state after all reductions that only pass on their child, before a terminal."""
        key = (below, top, kind)
        state = self.units.get(key)
        if state is None:
            state, action = top, self.rows[top].get(kind)
            while action is not None and action < 0 and not self.rules[~action].builds:
                state = self.rows[below][self.rules[~action].symbol]
                action = self.rows[state].get(kind)
            self.units[key] = state
        return state


def _joined(children: list[Any], kept: tuple[tuple[int, bool], ...]) -> list[Any]:
    """The list of a helper rule. The list of its first child is extended, so that long lists take linear time."""
    if not kept:
        return []
    position, joins = kept[0]
    first = children[position]
    result: list[Any] = first if joins else [] if first is None else [first]
    for position, joins in kept[1:]:
        child = children[position]
        if joins:
            result.extend(child)
        elif child is not None:
            result.append(child)
    return result


def _children(children: list[Any], kept: tuple[tuple[int, bool], ...]) -> list[Any]:
    result: list[Any] = []
    for position, joins in kept:
        if joins:
            result.extend(children[position])
        else:
            result.append(children[position])
    return result


def _without_control_characters(text: str) -> tuple[str | None, list[Diagnostic]]:
    """The text with blanks for control characters, and the diagnostic; no text for binary data."""
    body = " " + text[1:] if text.startswith("\ufeff") else text
    if body.translate(_BLANK).isprintable():
        return body, []
    first = re.search(_CONTROL, body)
    if first is None:
        return body, []
    is_binary = "\x00" in body
    what = "unpaired surrogate" if "\ud800" <= first[0] <= "\udfff" else "control character"
    count = len(re.findall(_CONTROL, body))
    more = f" ({count} such characters in the file)" if count > 1 else ""
    diagnostic = Diagnostic(
        "DSD105",
        f"the {what} U+{ord(first[0]):04X} is not allowed in a schedule{more}",
        position_span(text, first.start(), first.end()),
        help="a schedule is plain text in UTF-8" if is_binary else "write a space instead, or delete it",
        fix=None if is_binary else _with_blanks(body),
    )
    return (None if is_binary else re.sub(_CONTROL, " ", body)), [diagnostic]


def _with_blanks(text: str) -> Fix:
    """Replaces control characters by blanks."""
    source = SourceText(text)
    found = islice(re.finditer(_CONTROL, text), MAX_REPORTED)
    return Fix("write spaces instead", tuple(Edit(source.span(*match.span()), " ") for match in found))


def _unread(scanned: Tokens) -> list[tuple[int, int]]:
    """The parts of lines with characters that were not parsed, or with brackets that are never closed."""
    starts = [*scanned.unread, *(item.span.start for item in scanned.diagnostics if item.code == "DSD104")]
    stretches = []
    for position in starts[:MAX_REPORTED]:
        start = max(scanned.text.rfind(sign, 0, position) for sign in "\r\n;{}") + 1
        end = re.compile(_PART_END).search(scanned.text, position + 1)
        if scanned.text[position : position + 1] != "{":
            stretches.append((start, len(scanned.text) if end is None else end.start()))
    return stretches


def _is_in(position: int, stretches: Sequence[tuple[int, int]]) -> bool:
    return any(start <= position < end for start, end in stretches)


def _merged(scanned: list[Diagnostic], parsed: list[Diagnostic]) -> list[Diagnostic]:
    """Both lists, one diagnostic per position: an unexpected `{` is preferred to an unclosed one, else the lexer's."""
    starts = {diagnostic.span.start for diagnostic in parsed}
    kept = [item for item in scanned if not (item.code == "DSD104" and item.span.start in starts)]
    starts = {diagnostic.span.start for diagnostic in kept}
    return kept + [diagnostic for diagnostic in parsed if diagnostic.span.start not in starts]


def _capped(found: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    if len(found) <= MAX_REPORTED:
        return tuple(found)
    more = len(found) - MAX_REPORTED
    at_least = "at least " if len(found) >= MAX_ERRORS else ""
    rest = Diagnostic(
        "DSD101",
        f"{at_least}{more} more errors are not shown",
        found[MAX_REPORTED].span,
        help="fix the errors above first",
    )
    return (*found[:MAX_REPORTED], rest)


__all__ = ["Driver", "Head", "ParseResult", "Stretch", "Token", "driver_of", "parse", "parse_stretch", "scan"]
