"""`dsd-report` makes the report of run folders again, without training and without torch.

Exit codes: 0 done, 1 an `expect` failed, 2 wrong usage, no run folder, or a failure of the tool.
"""

from __future__ import annotations

import argparse
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dsd_lang import __version__
from dsd_lang.base.command_parser import CommandParser
from dsd_lang.base.errors import DsdError
from dsd_lang.base.streams import guarded, write_to_stream
from dsd_runtime.storage.durable import write_where_told

if TYPE_CHECKING:
    from dsd_runtime.results.report import ReportedRun

PROGRAM = "dsd-report"
_EPILOGUE = """exit status: 0 done, 1 an `expect` of the schedule failed, 2 wrong usage or no run folder.
A damaged or unfinished run gives what is there, and the report says what is missing."""


def build_parser() -> argparse.ArgumentParser:
    """The command line; a test freezes its help."""
    parser = CommandParser(
        prog=PROGRAM,
        description="Write the report of one or several run folders, without training.",
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", metavar="RUN", nargs="*", type=Path, help="a run folder; several are compared")
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        help="the file to write; default: report.html in the run folder (of several: in this one), else stdout",
    )
    parser.add_argument("--format", default="html", choices=("html", "markdown", "json", "csv"), help="default html")
    parser.add_argument("--open", action="store_true", dest="opens", help="show the report in the browser")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of results.json (needs no RUN)")
    parser.add_argument(
        "--version", action="version", version=f"{PROGRAM} {__version__}", help="print the version and exit"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return guarded(PROGRAM, lambda: _main(arguments))


def _main(arguments: Sequence[str] | None) -> int:
    parser = build_parser()
    request = parser.parse_args(arguments)
    if request.schema:
        from dsd_runtime.results.results import schema_text

        write_to_stream(sys.stdout, schema_text(), "stdout")
        return 0
    if not request.runs:
        parser.error("the following arguments are required: RUN")
    try:
        return _run(request)
    except ModuleNotFoundError as error:
        message = f"`{error.name}` is not installed, which it needs"
        raise DsdError(message, help="run: pip install 'dsd-lang[run]'") from error


def _run(request: argparse.Namespace) -> int:
    if request.opens and request.format != "html":
        raise DsdError("`--open` shows HTML only", help="leave out `--format`")
    from dsd_runtime.results.report import read_runs

    runs = read_runs(request.runs)
    text = _text(runs, request.format)
    path = _path(request)
    if path is None:
        write_to_stream(sys.stdout, text, "stdout")
    else:
        write_where_told(path, text)
        write_to_stream(sys.stdout, f"report  {path}\n", "stdout")
    if request.opens and path is not None and not webbrowser.open(path.resolve().as_uri()):
        raise DsdError("no browser could be opened", help=f"open `{path}` yourself")
    return 0 if all(run.results.holds for run in runs) else 1


def _text(runs: Sequence[ReportedRun], form: str) -> str:
    if form == "html":
        from dsd_runtime.results.report import report_html

        return report_html(runs)
    if form == "json":
        parts = [run.results.to_json() for run in runs]
        return parts[0] if len(parts) == 1 else f"[\n{','.join(parts)}]\n"
    from dsd_runtime.results.text_report import csv_report, markdown_report

    named = [(run.name, run.results) for run in runs]
    return markdown_report(named) if form == "markdown" else csv_report(named)


def _path(request: argparse.Namespace) -> Path | None:
    """The file to write; None for stdout."""
    if request.out is not None or request.format != "html":
        return Path(request.out) if request.out is not None else None
    from dsd_runtime.experiment.folder import RunFolder

    return RunFolder(request.runs[0]).report if len(request.runs) == 1 else Path("report.html")


if __name__ == "__main__":
    sys.exit(main())
