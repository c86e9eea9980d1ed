"""Renders diagnostics as GitHub workflow commands, which appear on the lines of a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.base.diagnostics import Diagnostic
from dsd_lang.report import CheckedFile, told

_COMMANDS = {"error": "error", "warning": "warning", "advice": "notice"}


def render_github(files: Sequence[CheckedFile]) -> str:
    """One command per diagnostic; escapes `%`, line endings and (in properties) `:` and `,`."""
    return "".join(_command(file.name, diagnostic) for file in files for diagnostic in file.diagnostics)


def _command(name: str, diagnostic: Diagnostic) -> str:
    span = diagnostic.span
    properties = {
        "file": name.replace("\\", "/"),
        "line": str(span.line),
        "col": str(span.column),
        "endLine": str(span.end_line),
        "endColumn": str(span.end_column),
        "title": f"{diagnostic.code} {diagnostic.name}",
    }
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{_COMMANDS[diagnostic.severity]} {listed}::{_data(told(diagnostic))}\n"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
