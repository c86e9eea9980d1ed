"""The excerpt with carets: tabs, wide characters, long lines, places at the end, colour."""

from __future__ import annotations

import pytest

from dsd_lang.base.diagnostics import Diagnostic
from dsd_lang.base.source import SourceText
from dsd_lang.report import FOR_PEOPLE, FORMATS, CheckedFile, render, summary
from dsd_lang.report.colour import wants_colour
from dsd_lang.report.full import MAX_EXCERPT_WIDTH, excerpt, render_one


def diagnostic(text: str, start: int, end: int, *, label: str = "", help: str = "") -> tuple[SourceText, Diagnostic]:
    source = SourceText(text)
    return source, Diagnostic("DSD201", "no layer matches `birn`", source.span(start, end), label, help)


def test_the_reference_rendering() -> None:
    text = "dense 50ep lr=8e-4\nsparse 0.5 layers=fc,birn 50ep\n"
    start = text.index("birn")
    source, found = diagnostic(
        text,
        start,
        start + 4,
        label="did you mean `birnn`?",
        help="this model has: conv (2), birnn (7), fc (1), ctc (1)",
    )
    assert render_one("schedules/ds2.dsd", source, found) == (
        "error[DSD201]: no layer matches `birn`\n"
        " --> schedules/ds2.dsd:2:22\n"
        "  |\n"
        "2 | sparse 0.5 layers=fc,birn 50ep\n"
        "  |                      ^^^^ did you mean `birnn`?\n"
        "  |\n"
        "  = help: this model has: conv (2), birnn (7), fc (1), ctc (1)\n"
    )


def test_the_margin_grows_with_the_line_number() -> None:
    source, found = diagnostic("\n" * 99 + "dense", 99, 104)
    lines = render_one("a.dsd", source, found).splitlines()
    assert lines[1:] == ["   --> a.dsd:100:1", "    |", "100 | dense", "    | ^^^^^"]


@pytest.mark.parametrize(
    ("line", "column", "width", "shown", "carets"),
    [
        ("\tdense x", 8, 1, "    dense x", "          ^"),
        ("日本 x", 4, 1, "日本 x", "     ^"),
        ("a 日本", 3, 2, "a 日本", "  ^^^^"),
        ("e\u0301 x", 4, 1, "e\u0301 x", "  ^"),
        ("dense", 6, 1, "dense", "     ^"),
        ("a\x1b[31mb", 7, 1, "a\N{REPLACEMENT CHARACTER}[31mb", "      ^"),
    ],
)
def test_carets_stand_under_their_place(line: str, column: int, width: int, shown: str, carets: str) -> None:
    text, before, under = excerpt(line, column, width)
    assert (text, before + under) == (shown, carets)


def test_a_long_line_is_cut_around_the_place() -> None:
    line = "a" * 5000 + "X" + "b" * 5000
    text, before, under = excerpt(line, 5001, 1)
    assert len(text) <= MAX_EXCERPT_WIDTH + 6
    assert text[len(before)] == "X"
    assert under == "^"


def test_a_diagnostic_over_several_lines_is_underlined_to_the_end_of_the_first() -> None:
    source, found = diagnostic("sparse [conv: 1,\nfc: 2]", 7, 23)
    assert render_one("a", source, found).splitlines()[-1] == "  |        ^^^^^^^^^"


@pytest.mark.parametrize(
    ("choice", "environment", "is_terminal", "expected"),
    [
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"TERM": "dumb"}, True, False),
    ],
)
def test_when_to_colour(choice: str, environment: dict[str, str], is_terminal: bool, expected: bool) -> None:
    assert wants_colour(choice, environment, is_terminal=is_terminal) is expected


def test_colour_only_adds_escapes() -> None:
    import re

    source, found = diagnostic("dense birn", 6, 10, label="here", help="do that")
    plain = render_one("a", source, found)
    coloured = render_one("a", source, found, is_coloured=True)
    assert coloured != plain
    assert re.sub("\033\\[[0-9;]*m", "", coloured) == plain
    files = [CheckedFile("a", source, (found,))]
    for format in set(FORMATS) - set(FOR_PEOPLE):
        assert "\033" not in render(files, format, is_coloured=True), format


def test_summary_counts() -> None:
    source, found = diagnostic("dense", 0, 5)
    warning = Diagnostic("DSD303", "x", found.span)
    assert summary([CheckedFile("a", source, ())]) == "1 file checked, no problems found\n"
    assert summary([CheckedFile("a", source, (found, found, warning))] * 2) == "4 errors and 2 warnings in 2 files\n"


def test_an_unknown_format_is_a_programming_mistake() -> None:
    with pytest.raises(ValueError, match="unknown format"):
        render([], "xml")
