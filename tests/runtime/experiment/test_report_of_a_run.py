"""`dsd-run` and its report: written while it trains, and never in the way of the training."""

from __future__ import annotations

from pathlib import Path

import pytest

from dsd_lang.base.errors import DsdError
from dsd_runtime.experiment import reporting
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.results.results import Results

from .conftest import DSD, Run, stopping_after


def test_the_report_is_there_after_the_first_node_and_complete_at_the_end(
    dsd_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    write = reporting.write_report

    def write_and_look(folder: Path, results: Results | None = None) -> None:
        write(folder, results)
        seen.append(RunFolder(folder).report.read_text(encoding="utf-8"))

    monkeypatch.setattr(reporting, "write_report", write_and_look)
    assert dsd_run(DSD).code == 0
    assert "not finished: 1 of 3 phases are trained" in seen[0]
    assert "finished, 3 phases" in seen[-1]


def test_a_stopped_run_leaves_its_report(dsd_run: Run) -> None:
    with stopping_after(60):
        outcome = dsd_run(DSD)
    assert outcome.code != 0
    assert "not finished" in (outcome.folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("trouble", [DsdError("the disk is full"), ZeroDivisionError("a bug")])
def test_a_report_that_cannot_be_written_is_told_and_ends_nothing(
    dsd_run: Run, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    def fail(folder: Path, results: Results | None = None) -> None:
        raise trouble

    monkeypatch.setattr(reporting, "write_report", fail)
    outcome = dsd_run(DSD)
    assert outcome.code == 0
    assert outcome.states() == ["trained"] * 3
    assert "note: the report was not written" in outcome.err
    assert str(trouble) in outcome.err
    assert not (outcome.folder / "report.html").exists()
