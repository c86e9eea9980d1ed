"""Parses a changed text, reusing the parse of its earlier version before the change.

For editors, where one keystroke follows another. The result is the same as that of
:func:`dsd_lang.syntax.parser.parse`, including spans and diagnostics.
"""

from __future__ import annotations

from bisect import bisect_left

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.syntax.brackets import lacks_closing
from dsd_lang.syntax.parser import Head, ParseResult, parse

MAX_KEPT_TOKENS = 100_000  # far below the lexer's own limit, which applies to a whole text


class Reading(NamedTuple):
    """A text and what was parsed of it."""

    text: str
    parsed: ParseResult


def read(text: str, before: Reading | None = None) -> Reading:
    """Parses a text; ``before`` is the result for an earlier version."""
    head = None if before is None else _head(before, text)
    return Reading(text, parse(text, after=head))


def _head(before: Reading, text: str) -> Head | None:
    """The statements before the last one that ends before the change; None if nothing can be reused."""
    tokens = before.parsed.tokens
    if len(tokens) > MAX_KEPT_TOKENS or lacks_closing(before.text) or lacks_closing(text):
        return None  # where a missing `}` is inserted depends on the following indentation
    program, num_same = before.parsed.program, _length_of_the_same(before.text, text)
    last = bisect_left(program.statements, num_same, key=lambda statement: statement.span.end) - 1
    if last < 1:
        return None
    end = program.statements[last].span
    num_tokens = bisect_left(tokens, end.start, key=lambda token: token.span.start)
    separator = tokens[num_tokens - 1]
    is_separated = separator.kind == "_SEPARATOR" and bool(separator.text)
    if not is_separated or any(diagnostic.span.start <= end.start for diagnostic in before.parsed.diagnostics):
        return None
    num_comments = bisect_left(program.comments, end.start, key=lambda comment: comment.span.start)
    return Head(end, program.statements[:last], program.comments[:num_comments], tokens[:num_tokens])


def _length_of_the_same(left: str, right: str) -> int:
    """The length of the common prefix of two texts."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
