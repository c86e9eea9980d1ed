"""Renders diagnostics as JSON: rows and columns from 1, columns in code points, the end exclusive."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dsd_lang.base.diagnostics import Diagnostic, Fix, Span, rule_url
from dsd_lang.report import CheckedFile


def render_json(files: Sequence[CheckedFile], *, docs_url: str) -> str:
    """One JSON object for all files; `valid`: there are no errors; `url`: the page of the rule."""
    found = [(file.name, diagnostic) for file in files for diagnostic in file.diagnostics]
    num_errors = sum(diagnostic.severity == "error" for _, diagnostic in found)
    report = {
        "format_version": "1",
        "valid": num_errors == 0,
        "error_count": num_errors,
        "warning_count": sum(diagnostic.severity == "warning" for _, diagnostic in found),
        "diagnostics": [_diagnostic(name, diagnostic, docs_url) for name, diagnostic in found],
    }
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


def _diagnostic(name: str, diagnostic: Diagnostic, docs_url: str) -> dict[str, Any]:
    return {
        "code": diagnostic.code,
        "name": diagnostic.name,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "help": diagnostic.help or None,
        "filename": name,
        **_positions(diagnostic.span),
        "url": rule_url(diagnostic.code, docs_url=docs_url),
        **_related(name, diagnostic),
        "fix": None if diagnostic.fix is None else _fix(diagnostic.fix),
    }


def _related(name: str, diagnostic: Diagnostic) -> dict[str, Any]:
    """The other spans, where there are some: calls of a `def`, text in a used file."""
    others = [
        {"message": other.message, "filename": other.file or name, **_positions(other.span)}
        for other in diagnostic.related
    ]
    return {"related": others} if others else {}


def _fix(fix: Fix) -> dict[str, Any]:
    edits = [{"content": edit.content, **_positions(edit.span)} for edit in fix.edits]
    return {"applicability": fix.applicability, "message": fix.message, "edits": edits}


def _positions(span: Span) -> dict[str, dict[str, int]]:
    return {
        "location": {"row": span.line, "column": span.column},
        "end_location": {"row": span.end_line, "column": span.end_column},
    }
