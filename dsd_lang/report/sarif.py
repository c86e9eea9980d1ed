"""Renders diagnostics as SARIF 2.1.0 for code scanning; paths are relative to the working directory."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from dsd_lang import __version__
from dsd_lang.base.diagnostics import CATALOGUE, Code, Diagnostic, Fix, Span, rule_url
from dsd_lang.report import CheckedFile, PageOf, told

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
_LEVELS = {"error": "error", "warning": "warning", "advice": "note"}
_INDEXES = {code: index for index, code in enumerate(CATALOGUE)}


def render_sarif(files: Sequence[CheckedFile], *, exit_code: int, docs_url: str, page_of: PageOf) -> str:
    """One log with one run; it describes every rule of the catalogue."""
    run = {
        "tool": {
            "driver": {
                "name": "dsd-lint",
                "version": __version__,
                "semanticVersion": __version__,
                "informationUri": docs_url,
                "rules": [_rule(entry, page_of(entry.code) or "", docs_url) for entry in CATALOGUE.values()],
            }
        },
        "invocations": [{"executionSuccessful": True, "exitCode": exit_code}],
        "artifacts": [{"location": _location(file.name), "roles": ["analysisTarget"]} for file in files],
        "results": [_result(file.name, diagnostic) for file in files for diagnostic in file.diagnostics],
        "columnKind": "unicodeCodePoints",
        "newlineSequences": ["\r\n", "\n", "\r"],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False) + "\n"


def _rule(entry: Code, page: str, docs_url: str) -> dict[str, Any]:
    headline, _, rest = page.partition("\n")
    _, _, does = rest.partition("What it does\n------------\n")
    described = does.partition("\n\n")[0].replace("\n", " ") or headline or entry.name
    return {
        "id": entry.code,
        "name": entry.name,
        "shortDescription": {"text": headline or entry.name},
        "fullDescription": {"text": described},
        "help": {"text": page or entry.name},
        "helpUri": rule_url(entry.code, docs_url=docs_url),
        "defaultConfiguration": {"enabled": entry.default, "level": _LEVELS[entry.severity]},
    }


def _result(name: str, diagnostic: Diagnostic) -> dict[str, Any]:
    location = _location(name)
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": _INDEXES[diagnostic.code],
        "level": _LEVELS[diagnostic.severity],
        "message": {"text": told(diagnostic)},
        "locations": [{"physicalLocation": {"artifactLocation": location, "region": _region(diagnostic.span)}}],
    }
    if diagnostic.related:
        result["relatedLocations"] = [
            {
                "physicalLocation": {"artifactLocation": _location(other.file or name), "region": _region(other.span)},
                "message": {"text": other.message},
            }
            for other in diagnostic.related
        ]
    if diagnostic.fix is not None and diagnostic.fix.edits:
        result["fixes"] = [_fix(location, diagnostic.fix)]
    return result


def _fix(location: dict[str, str], fix: Fix) -> dict[str, Any]:
    replacements = [
        {"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.content}} for edit in fix.edits
    ]
    return {
        "description": {"text": fix.message},
        "artifactChanges": [{"artifactLocation": location, "replacements": replacements}],
        "properties": {"applicability": fix.applicability},
    }


def _region(span: Span) -> dict[str, int]:
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }


def _location(name: str) -> dict[str, str]:
    """A file relative to the current folder; one outside of it as a `file:` URI."""
    path, here = os.path.abspath(name), os.path.join(os.getcwd(), "")
    if not path.startswith(here):
        return {"uri": f"file://{_address(path)}"}
    return {"uri": _address(path[len(here) :]), "uriBaseId": ROOT}


def _address(path: str) -> str:
    return quote(os.fsencode(path.replace(os.sep, "/")))
