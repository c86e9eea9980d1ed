"""Renders diagnostics as JUnit XML: a suite for each file, a failed case for each diagnostic."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from dsd_lang.base.diagnostics import Diagnostic
from dsd_lang.report import CheckedFile, told
from dsd_lang.report.full import render_one

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render_junit(files: Sequence[CheckedFile]) -> str:
    """One document for all files."""
    num_cases = sum(max(1, len(file.diagnostics)) for file in files)
    num_failures = sum(len(file.diagnostics) for file in files)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="dsd-lint" tests="{num_cases}" failures="{num_failures}" errors="0">',
        *(line for file in files for line in _suite(file)),
        "</testsuites>",
    ]
    return "\n".join(lines) + "\n"


def _suite(file: CheckedFile) -> list[str]:
    name, num_failures = _attribute(file.name), len(file.diagnostics)
    counts = f'tests="{max(1, num_failures)}" failures="{num_failures}" errors="0" skipped="0"'
    cases = [_case(file, diagnostic) for diagnostic in file.diagnostics]
    return [
        f"  <testsuite name={name} {counts}>",
        *(cases or [f'    <testcase name="no problems found" classname={name} />']),
        "  </testsuite>",
    ]


def _case(file: CheckedFile, diagnostic: Diagnostic) -> str:
    span = diagnostic.span
    name = _attribute(f"{diagnostic.code} {diagnostic.name} at {span.line}:{span.column}")
    message = _attribute(told(diagnostic))
    body = escape(_clean(render_one(file.name, file.source, diagnostic)))
    return (
        f"    <testcase name={name} classname={_attribute(file.name)}>\n"
        f"      <failure type={_attribute(diagnostic.severity)} message={message}>{body}</failure>\n"
        "    </testcase>"
    )


def _attribute(text: str) -> str:
    return quoteattr(_clean(text), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})


def _clean(text: str) -> str:
    """The text without characters that are invalid in XML."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
