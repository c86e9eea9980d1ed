"""Finds syntax from another language, if any, around the position of a syntax error.

The known forms are in habit_table.py. Imported only at a syntax error.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from dsd_lang.base.named_tuples import NamedTuple

MAX_TEXT = 300


class Habit(NamedTuple):
    """One form; its message may contain the pattern's groups: `{0}` is the first, `{name}` a named one.

    ``fix`` is the replacement of the whole match. If ``resumes``, parsing continues after the match; otherwise the rest
    of the statement is skipped.
    """

    pattern: re.Pattern[str]
    message: str
    label: str = ""
    help: str = ""
    fix: str | Callable[[re.Match[str]], str | None] | None = None
    resumes: bool = False


class FoundHabit(NamedTuple):
    """A match in a text: its range, its message, and its replacement."""

    start: int
    end: int
    message: str
    label: str
    help: str
    fix: str | None
    resumes: bool


def find(text: str, error: int) -> FoundHabit | None:
    """The form that the offset ``error`` in the text of a statement belongs to."""
    from dsd_lang.syntax.habit_table import HABITS

    for habit in HABITS:
        for match in habit.pattern.finditer(text):
            if match.start() <= error and not text[match.end() : error].strip(" \t"):
                found = _filled(habit, match)
                if found.fix is None or found.fix != text[found.start : found.end]:  # else it is right as it is
                    return found
    return None


def _filled(habit: Habit, match: re.Match[str]) -> FoundHabit:
    groups = [group or "" for group in match.groups()]
    names = {name: group or "" for name, group in match.groupdict().items()}
    fix = habit.fix(match) if callable(habit.fix) else habit.fix
    if isinstance(habit.fix, str):
        fix = habit.fix.format(*groups, **names)
    message, label, help = (words.format(*groups, **names) for words in (habit.message, habit.label, habit.help))
    shown = " ".join(fix.split()) if fix is not None else ""
    if not label and 0 < len(shown) <= 60:
        label = f"write `{shown}`"
    blank = len(match[0]) - len(match[0].lstrip())
    start, fix = (match.start() + blank, fix.lstrip(" \t")) if fix else (match.start() + blank, fix)
    if fix == "":  # including the blank before it
        start = match.start()
    return FoundHabit(start, match.end(), message, label, help, fix, habit.resumes)
