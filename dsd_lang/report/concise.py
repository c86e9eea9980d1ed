"""Renders diagnostics as one line each: `path:line:column: CODE message`."""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.report import CheckedFile
from dsd_lang.report.colour import paint


def render_concise(files: Sequence[CheckedFile], *, is_coloured: bool) -> str:
    """All diagnostics, in the order of the files."""
    lines = [
        f"{file.name}:{diagnostic.span.line}:{diagnostic.span.column}: "
        f"{paint(diagnostic.code, diagnostic.severity, is_coloured=is_coloured)} {diagnostic.message}\n"
        for file in files
        for diagnostic in file.diagnostics
    ]
    return "".join(lines)
