"""Findings in, text out: one module a format. :func:`render` is the only door."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dsd_lang.diagnostics import Diagnostic
from dsd_lang.source import Source

FORMATS = ("full", "concise", "json")


class CheckedFile(NamedTuple):
    """A file as the user named it, its text, and what was found in it."""

    name: str
    source: Source
    diagnostics: tuple[Diagnostic, ...]


def render(files: Sequence[CheckedFile], format: str, *, is_coloured: bool = False) -> str:
    """The findings of all files in one of :data:`FORMATS`; colour never reaches `json`."""
    if format == "full":
        from dsd_lang.report.full import render_full

        return render_full(files, is_coloured=is_coloured)
    if format == "concise":
        from dsd_lang.report.concise import render_concise

        return render_concise(files, is_coloured=is_coloured)
    if format == "json":
        from dsd_lang.report.machine import render_json

        return render_json(files)
    raise ValueError(f"unknown format {format!r}; there are {', '.join(FORMATS)}")


def summary(files: Sequence[CheckedFile]) -> str:
    """The last line: `2 errors and 1 warning in 1 file`, or that there is nothing to say."""
    counts = {"error": 0, "warning": 0, "advice": 0}
    for file in files:
        for finding in file.diagnostics:
            counts[finding.severity] += 1
    checked = _counted(len(files), "file")
    parts = [_counted(count, severity) for severity, count in counts.items() if count]
    if not parts:
        return f"{checked} checked, nothing to say\n"
    return f"{' and '.join(parts)} in {checked}\n"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 or noun == "advice" else f"{count} {noun}s"
