"""Renders diagnostics as text with :func:`render`; one module for each format."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dsd_lang.base.diagnostics import DOCS_URL, Diagnostic
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.source import SourceText

FORMATS = ("full", "concise", "json", "github", "sarif", "junit")
FOR_PEOPLE = ("full", "concise")
PageOf = Callable[[str], str | None]


class CheckedFile(NamedTuple):
    """A file as the user named it, its text, and its diagnostics."""

    name: str
    source: SourceText
    diagnostics: tuple[Diagnostic, ...]


def render(
    files: Sequence[CheckedFile],
    format: str,
    *,
    is_coloured: bool = False,
    exit_code: int = 0,
    docs_url: str = DOCS_URL,
    page_of: PageOf = lambda code: None,
) -> str:
    """The diagnostics of all files in one of :data:`FORMATS`; colour applies only to :data:`FOR_PEOPLE`.

    ``exit_code`` is the tool's exit status, ``docs_url`` the address of the rules' pages, and ``page_of`` returns the
    text of a page.
    """
    if format == "full":
        from dsd_lang.report.full import render_full

        return render_full(files, is_coloured=is_coloured)
    if format == "concise":
        from dsd_lang.report.concise import render_concise

        return render_concise(files, is_coloured=is_coloured)
    if format == "json":
        from dsd_lang.report.machine import render_json

        return render_json(files, docs_url=docs_url)
    if format == "github":
        from dsd_lang.report.github import render_github

        return render_github(files)
    if format == "sarif":
        from dsd_lang.report.sarif import render_sarif

        return render_sarif(files, exit_code=exit_code, docs_url=docs_url, page_of=page_of)
    if format == "junit":
        from dsd_lang.report.junit import render_junit

        return render_junit(files)
    raise ValueError(f"unknown format {format!r}; there are {', '.join(FORMATS)}")


def told(diagnostic: Diagnostic) -> str:
    """Message, label and help as lines of plain text, for formats without carets."""
    label = f" ({diagnostic.label})" if diagnostic.label else ""
    help = f"\nhelp: {diagnostic.help}" if diagnostic.help else ""
    others = "".join(
        f"\nnote: {other.message} ({other.file or 'line'}{':' if other.file else ' '}{other.span.line})"
        for other in diagnostic.related
    )
    return f"{diagnostic.message}{label}{others}{help}"


def summary(files: Sequence[CheckedFile], *, num_fixed: int = 0) -> str:
    """The last line: `2 errors and 1 warning in 1 file`, or that no problems were found."""
    counts = {"error": 0, "warning": 0, "advice": 0}
    for file in files:
        for diagnostic in file.diagnostics:
            counts[diagnostic.severity] += 1
    checked = _counted(len(files), "file")
    fixed = f", {num_fixed} fixed" if num_fixed else ""
    parts = [_counted(count, severity) for severity, count in counts.items() if count]
    if not parts:
        return f"{checked} checked{fixed}, no problems {'left' if fixed else 'found'}\n"
    return f"{' and '.join(parts)} {'left ' if fixed else ''}in {checked}{fixed}\n"


def fixable(files: Sequence[CheckedFile]) -> str:
    """How many diagnostics can be fixed: `2 fixable with --fix, 1 more with --unsafe-fixes`; empty for none."""
    fixes = [diagnostic.fix for file in files for diagnostic in file.diagnostics if diagnostic.fix is not None]
    num_safe, num_unsafe = (sum(fix.applicability == kind for fix in fixes) for kind in ("safe", "unsafe"))
    if num_safe and num_unsafe:
        return f"{num_safe} fixable with --fix, {num_unsafe} more with --unsafe-fixes\n"
    if num_safe or num_unsafe:
        return f"{num_safe or num_unsafe} fixable with {'--fix' if num_safe else '--unsafe-fixes'}\n"
    return ""


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 or noun == "advice" else f"{count} {noun}s"
