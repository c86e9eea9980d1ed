"""The parts of a dotted name in a text, each with its span: `grid[s=25%].S1` has `grid` with its variable, and `S1`."""

from __future__ import annotations

import re

from dsd_lang.base.arms import split_path
from dsd_lang.base.diagnostics import Span
from dsd_lang.base.named_tuples import NamedTuple

_VARIABLE = re.compile(r"(?:^|,)[ \t]*([^\W\d]\w*)[ \t]*=")
_VALUE = re.compile(r"(?:^|[,=])[ \t]*([^\W\d]\w*)[ \t]*(?=[,\]])")


class NamePart(NamedTuple):
    """A label, its span, and the variables and values that the brackets behind it name."""

    name: str
    span: Span
    variables: tuple[tuple[str, Span], ...] = ()
    values: tuple[tuple[str, Span], ...] = ()


def parts_of(path: str, span: Span) -> tuple[NamePart, ...]:
    """The parts of a path, whose text starts where ``span`` does.

    >>> [(part.name, part.variables) for part in parts_of("grid[25%].S1", Span(1, 1, 1, 13, 0, 12))]
    [('grid', ()), ('S1', ())]
    """
    placed: list[NamePart] = []
    skipped = 0
    for part in split_path(path):
        name, bracket, index = part.partition("[")
        inside = skipped + len(name) + len(bracket)
        variables, values = (
            tuple((found[1], _moved(span, inside + found.start(1), len(found[1]))) for found in pattern.finditer(index))
            for pattern in (_VARIABLE, _VALUE)
        )
        placed.append(NamePart(name.strip(), _moved(span, skipped, len(name)), variables, values))
        skipped += len(part) + 1
    return tuple(placed)


def _moved(span: Span, by: int, width: int) -> Span:
    column, start = span.column + by, span.start + by
    return Span(span.line, column, span.line, column + width, start, start + width)
