"""Writes the reports of the documentation from finished run folders: `docs/reports/NAME.html` for each.

    python tools/docs_reports.py RUN...

The script of the charts is not in them: they share one, which the site's hook writes beside them. Paths of the machine
that trained are shortened to the last part of the data's name.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from dsd_runtime.results.report import ReportedRun, charts_bundle, read_runs, report_html

REPOSITORY = Path(__file__).resolve().parent.parent
REPORTS = REPOSITORY / "docs" / "reports"
CHARTS = "charts.js"


def shared_script() -> dict[str, str]:
    """The script beside the reports, by its path in docs/."""
    return {f"reports/{CHARTS}": charts_bundle()}


def without_folders(run: ReportedRun) -> ReportedRun:
    """The run with the command that a reader gives: no `--out`, no folder before the data."""
    about = run.results.provenance
    command = [
        word for index, word in enumerate(about.command) if "--out" not in about.command[max(0, index - 1) : index + 1]
    ]
    shown = about.model_copy(update={"command": tuple(map(_last_part, command)), "data": _last_part(about.data or "")})
    return run._replace(results=run.results.model_copy(update={"provenance": shown}))


def _last_part(word: str) -> str:
    """`manifest:/data/an4.tar` as `manifest:an4.tar`."""
    return re.sub(r":/[^,]*/", ":", word)


def main(folders: list[str]) -> None:
    """Writes a report for each folder."""
    REPORTS.mkdir(exist_ok=True)
    for folder in folders:
        runs = [without_folders(run) for run in read_runs([Path(folder)])]
        (REPORTS / f"{Path(folder).name}.html").write_text(report_html(runs, charts_at=CHARTS), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
