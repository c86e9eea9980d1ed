"""What CI systems read: GitHub's workflow commands and JUnit XML."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from dsd_lang.base.diagnostics import CATALOGUE, Diagnostic
from dsd_lang.base.source import SourceText, position_span
from dsd_lang.lint.checking import check_text
from dsd_lang.report import CheckedFile, fixable, render, told

ALL = frozenset(CATALOGUE)


def checked(name: str, text: str) -> CheckedFile:
    return CheckedFile(name, SourceText(text), check_text(text, selected=ALL - {"DSD902"}))


def unescaped(text: str) -> str:
    """What GitHub's runner does to a value."""
    for escape, character in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(escape, character)
    return text


def test_github_commands_are_read_back() -> None:
    file = checked("sub/a,b: 100%.dsd", "dense 50 lr=1\nsparse 90% layers=birn\ndense 5ep; sparse 90%\n")
    lines = render([file], "github").splitlines()
    assert len(lines) == len(file.diagnostics) > 2
    for line, diagnostic in zip(lines, file.diagnostics, strict=True):
        command = re.fullmatch(r"::(\w+) ([^:]*)::(.*)", line)
        assert command is not None, line
        assert command[1] == {"error": "error", "warning": "warning", "advice": "notice"}[diagnostic.severity]
        properties = dict(item.split("=", 1) for item in command[2].split(","))
        assert {name: unescaped(value) for name, value in properties.items()} == {
            "file": "sub/a,b: 100%.dsd",
            "line": str(diagnostic.span.line),
            "col": str(diagnostic.span.column),
            "endLine": str(diagnostic.span.end_line),
            "endColumn": str(diagnostic.span.end_column),
            "title": f"{diagnostic.code} {diagnostic.name}",
        }
        assert unescaped(command[3]) == told(diagnostic)


def test_github_escapes_percent_signs_first() -> None:
    found = Diagnostic("DSD401", "a target of 100% and 5%0A:,", position_span("x", 0, 1), help="two\r\nlines")
    line = render([CheckedFile("a.dsd", SourceText("x"), (found,))], "github")
    assert line.endswith("::a target of 100%25 and 5%250A:,%0Ahelp: two%0D%0Alines\n")
    assert line.count("\n") == 1


def test_junit_counts_and_tells() -> None:
    files = [checked('a & <b> "c".dsd', "dense 50 lr=1 \x01\n"), checked("clean.dsd", "dense 5ep lr=1\n")]
    suites = ElementTree.fromstring(render(files, "junit"))
    assert suites.tag == "testsuites"
    assert [suite.get("name") for suite in suites] == ['a & <b> "c".dsd', "clean.dsd"]
    num_cases = num_failures = 0
    for suite, file in zip(suites, files, strict=True):
        failures = suite.findall("testcase/failure")
        assert len(failures) == len(file.diagnostics) == int(suite.get("failures", ""))
        assert len(suite) == int(suite.get("tests", "")) == max(1, len(failures))
        for failure, diagnostic in zip(failures, file.diagnostics, strict=True):
            assert failure.get("type") == diagnostic.severity
            assert failure.get("message") == told(diagnostic)
            assert f"{diagnostic.severity}[{diagnostic.code}]" in (failure.text or "")
        num_cases, num_failures = num_cases + len(suite), num_failures + len(failures)
    assert (suites.get("tests"), suites.get("failures")) == (str(num_cases), str(num_failures))


def test_junit_of_nothing() -> None:
    assert len(ElementTree.fromstring(render([], "junit"))) == 0


def test_what_could_be_fixed_is_counted() -> None:
    assert fixable([checked("a", "dense 5ep lr=1\n")]) == ""
    assert fixable([checked("a", "dense 5 lr=1\n// x\n")]) == "1 fixable with --fix, 1 more with --unsafe-fixes\n"
    assert fixable([checked("a", "dense 5 lr=1\n")] * 2) == "2 fixable with --unsafe-fixes\n"
    assert fixable([checked("a", "dense 5ep warmup=5 lr=1\n")]) == ""
