"""Renders diagnostics as GitHub workflow commands, which appear on the lines of a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.base.diagnostics import Diagnostic
from dsd_lang.report import CheckedFile, told

_COMMANDS = {"error": "error", "warning": "warning", "advice": "notice"}


def render_github(files: Sequence[CheckedFile]) -> str:
    """One command per diagnostic; escapes `%`, line endings and (in properties) `:` and `,`."""
    return "".join(_command(file.name, finding) for file in files for finding in file.diagnostics)


def _command(name: str, finding: Diagnostic) -> str:
    span = finding.span
    properties = {
        "file": name.replace("\\", "/"),
        "line": str(span.line),
        "col": str(span.column),
        "endLine": str(span.end_line),
        "endColumn": str(span.end_column),
        "title": f"{finding.code} {finding.name}",
    }
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{_COMMANDS[finding.severity]} {listed}::{_data(told(finding))}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
