"""A file is not in canonical form.

What it does
------------
Reports a file that `dsd-fmt` would change, once, at the first line that differs. Off by default.

Why is this bad
---------------
If all schedules have the same form, a diff shows only what was meant to change.

Example
-------
::

    dense lr=8e-4 50ep; sparse 0.5

Use instead
-----------
::

    dense 50ep lr=8e-4
    sparse 50%

Fix safety
----------
Safe: the text that `dsd-fmt` writes, with the same plan and every comment.
"""

from __future__ import annotations

from dsd_lang.base.diagnostics import Diagnostic, Edit, Fix
from dsd_lang.base.source import SourceText

CODE = "DSD902"


def find(text: str) -> tuple[Diagnostic, ...]:
    """The diagnostic about a text, or none; a text with syntax errors has no canonical form."""
    from dsd_lang.syntax.formatter import UnformattableError, format_text

    try:
        canonical = format_text(text)
    except UnformattableError:
        return ()
    if canonical == text:
        return ()
    source, after = SourceText(text), SourceText(canonical)
    first, last, last_after = _changed_lines(source, after)
    line = source.line(first)
    begin = source.starts[first - 1]
    indent = len(line) - len(line.lstrip())
    shown = after.line(first).strip()
    end, end_after = _start(source, last + 1), _start(after, last_after + 1)
    edit = Edit(source.span(begin, end), canonical[after.starts[first - 1] : end_after])
    return (
        Diagnostic(
            CODE,
            "this file is not in canonical form",
            source.span(begin + min(indent, len(line.rstrip())), begin + len(line.rstrip())),
            label="the first line that `dsd-fmt` would change",
            help=f"`dsd-fmt` writes it as `{shown}`" if shown and shown != line.strip() else "run `dsd-fmt`",
            fix=Fix("write the file in canonical form", (edit,), "safe"),
        ),
    )


def _changed_lines(before: SourceText, after: SourceText) -> tuple[int, int, int]:
    """The first and last lines that differ in both texts; line endings count."""
    old, new = _lines(before), _lines(after)
    first = next((number for number, pair in enumerate(zip(old, new, strict=False)) if pair[0] != pair[1]), -1)
    if first < 0:
        first = min(len(old), len(new)) - 1
    num_same = 0
    while num_same < min(len(old), len(new)) - first - 1 and old[-1 - num_same] == new[-1 - num_same]:
        num_same += 1
    return first + 1, len(old) - num_same, len(new) - num_same


def _lines(source: SourceText) -> list[str]:
    return [source.text[_start(source, number) : _start(source, number + 1)] for number in _numbers(source)]


def _numbers(source: SourceText) -> range:
    return range(1, source.num_lines + 1)


def _start(source: SourceText, number: int) -> int:
    return source.starts[number - 1] if number <= source.num_lines else len(source.text)
