"""The reports of the documentation say how a reader makes them, and nothing of the machine that trained."""

from __future__ import annotations

import re
from pathlib import Path

import docs_reports
import pytest
from docs_reports import without_folders

from dsd_runtime.results.parts import Provenance
from dsd_runtime.results.report import ReportedRun
from dsd_runtime.results.results import Results

REPORTS = sorted(docs_reports.REPORTS.glob("*.html"))


def test_a_reader_gets_the_command_without_folders_of_the_machine(tmp_path: Path) -> None:
    words = (
        "dsd-run",
        "a.dsd",
        "--data",
        f"manifest:{tmp_path}/an4.tar,val=0.1",
        "--out",
        str(tmp_path),
        "--threads",
        "1",
    )
    about = Provenance(plan_hash="x", command=words, data=f"manifest:{tmp_path}/an4.tar")
    shown = without_folders(
        ReportedRun("a", Results(run="a", finished=True, provenance=about), None)
    ).results.provenance
    assert shown.command == ("dsd-run", "a.dsd", "--data", "manifest:an4.tar,val=0.1", "--threads", "1")
    assert shown.data == "manifest:an4.tar"


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.stem)
def test_a_report_names_no_folder_of_the_machine(report: Path) -> None:
    assert not re.search(r"(?<![\w/<.])/(home|tmp|work|root|usr)/", report.read_text(encoding="utf-8"))
