"""Edits put in: what overlaps waits, what calls itself safe is checked, and it ends."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dsd_lang.analysis import analyse
from dsd_lang.base.diagnostics import CATALOGUE, Diagnostic, Edit, Fix
from dsd_lang.base.errors import DsdError
from dsd_lang.base.source import position_span
from dsd_lang.compiler import compile
from dsd_lang.lint.checking import check_text
from dsd_lang.lint.codes import DEFAULT_CODES
from dsd_lang.lint.fixes import apply_fixes, keeps_meaning, mend
from dsd_lang.syntax.parser import parse

if TYPE_CHECKING:
    from dsd_lang.base.diagnostics import Applicability

ALL = frozenset(CATALOGUE)


def found(text: str, *edits: tuple[int, int, str], kind: Applicability = "safe", code: str = "DSD903") -> Diagnostic:
    made = tuple(Edit(position_span(text, start, end), content) for start, end, content in edits)
    return Diagnostic(code, "x", made[0].span, fix=Fix("mend", made, kind))


def check(text: str) -> Sequence[Diagnostic]:
    return check_text(text, selected=DEFAULT_CODES)


def test_edits_are_put_in_from_left_to_right() -> None:
    text = "abcdef"
    second, first = found(text, (4, 5, "Y")), found(text, (0, 1, "X"), (2, 2, "+"))
    fixed = apply_fixes(text, [second, first], unsafe=False)
    assert fixed.text == "Xb+cdYf"
    assert fixed.applied == (first, second)


@pytest.mark.parametrize("other", [(1, 3, "Y"), (2, 4, "Y"), (2, 2, "Y"), (0, 6, "Y")])
def test_what_overlaps_or_touches_waits(other: tuple[int, int, str]) -> None:
    text = "abcdef"
    first = found(text, (1, 2, "X"))
    fixed = apply_fixes(text, [first, found(text, other)], unsafe=False)
    assert len(fixed.applied) == 1


def test_only_safe_ones_unless_asked_and_never_those_for_display() -> None:
    text = "abcdef"
    each = [found(text, (0, 1, "S")), found(text, (2, 3, "U"), kind="unsafe"), found(text, (4, 5, "D"), kind="display")]
    assert apply_fixes(text, each, unsafe=False).text == "Sbcdef"
    assert apply_fixes(text, each, unsafe=True).text == "SbUdef"
    assert apply_fixes(text, [Diagnostic("DSD101", "x", each[0].span)], unsafe=True).text == text


def test_line_ends_are_written_as_the_text_writes_them() -> None:
    text = "\ufeffdense 5ep lr=1\r\nsparse 50%\r\n"
    mended = mend(text, check, unsafe=True)
    assert mended.text == "\ufeffdense 5ep lr=1\r\nsparse 50%\r\ndense\r\n"
    assert mended.diagnostics == ()


def test_rounds_go_on_to_a_fixed_point() -> None:
    text = "\n".join("dense 5 lr 1, wd 0" for _ in range(120))
    mended = mend(text, check, unsafe=True)
    assert mended.text == "\n".join("dense 5ep lr=1 wd=0" for _ in range(120))
    assert mended.diagnostics == ()
    assert len(mended.applied) == 480


def test_fixes_that_undo_each_other_end() -> None:
    def flip(text: str) -> list[Diagnostic]:
        return [found(text, (0, 1, "b" if text == "a" else "a"), kind="unsafe")]

    assert mend("a", flip, unsafe=True).text in ("a", "b")


def test_fixes_that_never_end_are_stopped() -> None:
    def longer(text: str) -> list[Diagnostic]:
        return [found(text, (0, 0, "a"), kind="unsafe")]

    assert len(mend("", longer, unsafe=True).text) == 50


def test_a_safe_fix_that_changes_the_plan_is_refused() -> None:
    text = "dense 5ep lr=0.1  # dsd: ignore[DSD303]\ndense\n"

    def lie(text: str) -> list[Diagnostic]:
        honest = [item for item in check(text) if item.fix is not None]
        return [*honest, found(text, (text.index("5ep"), text.index("5ep") + 1, "6"), code="DSD901")] if honest else []

    with pytest.raises(DsdError, match=r"internal error: the fix of DSD901 on line 1 .* nothing was written"):
        mend(text, lie, unsafe=False)


@pytest.mark.parametrize(
    ("before", "after", "is_kept"),
    [
        ("dense 5ep lr=1", "dense lr=1.0 5ep # same", True),
        ("dense 5ep lr=1", "dense 5ep lr=2", False),
        ("dense 5 lr=1", "dense 5  lr=1 # same", True),
        ("dense 5 lr=1", "dense 6 lr=1", False),
        ("// a\ndense 5ep lr=1", "# a\ndense 5ep lr=1", True),
        ("dense lr=1 wd=0", "dense wd=0 lr=1", True),  # no plan: a length is missing
        ("dense lr=1 wd=0", "dense wd=1 lr=1", False),
    ],
)
def test_what_keeps_the_meaning(before: str, after: str, is_kept: bool) -> None:
    assert keeps_meaning(before, after) is is_kept


def schedules(repository: Path) -> list[tuple[str, str]]:
    return [(path.read_text("utf-8"), str(path)) for path in sorted((repository / "schedules").glob("*.dsd"))]


def test_safe_fixes_keep_the_hash_of_every_schedule(repository: Path) -> None:
    """With every rule on, derived values and canonical form too; what is left has no safe fix."""
    num_applied = 0
    for text, source in schedules(repository):
        spread = text.replace("\nsparse", "\n# dsd: ignore[DSD101]\nsparse").replace("  ", " ")
        check = partial(check_text, selected=ALL, source=source)
        mended = mend(spread, check, unsafe=False, source=source)
        num_applied += len(mended.applied)
        assert compile(mended.text, source=source).hash == compile(text, source=source).hash
        assert not [item for item in mended.diagnostics if item.fix is not None and item.fix.applicability == "safe"]
    assert num_applied > 30


def broken(text: str) -> list[str]:
    """A schedule with one mistake each: a word left out, doubled, cut short, or without what joins it."""
    words = text.split(" ")
    kept = range(len(words))
    return [
        *(" ".join(words[:place] + words[place + 1 :]) for place in kept),
        *(" ".join([*words[:place], words[place], *words[place:]]) for place in kept),
        *(" ".join([*words[:place], words[place][:-1], *words[place + 1 :]]) for place in kept if words[place]),
        *(text.replace(mark, "") for mark in "=,;%{}()[]:@#" if mark in text),
    ]


def test_fixes_of_broken_schedules_end_and_never_raise(repository: Path) -> None:
    num_mended = 0
    for schedule, _ in schedules(repository)[:8]:
        text = "\n".join(line.partition("#")[0].rstrip() for line in schedule.splitlines())
        for wrong in broken(text)[::7]:
            mended = mend(wrong, lambda text: check_text(text, selected=ALL - {"DSD902"}), unsafe=True)
            left = [item for item in mended.diagnostics if item.fix is not None]
            assert all(item.fix is None or item.fix.applicability == "display" for item in left), wrong
            num_mended += bool(parse(wrong).diagnostics) and not analyse(mended.text).errors
    assert num_mended > 10
