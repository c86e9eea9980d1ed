"""`dsd-run` and its report: written while it trains, and never in the way of the training."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dsd_lang.base.errors import DsdError
from dsd_runtime.experiment import reporting
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.results.progress import progress_text
from dsd_runtime.results.reading import read_results
from dsd_runtime.results.results import Results

from .conftest import DSD, Run, stopping_after


def test_the_report_is_there_after_the_first_node_and_complete_at_the_end(
    dsd_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    write = reporting.write_report

    def write_and_look(folder: Path, results: Results | None = None, *, is_running: bool = False) -> None:
        write(folder, results, is_running=is_running)
        seen.append(RunFolder(folder).report.read_text(encoding="utf-8"))

    monkeypatch.setattr(reporting, "write_report", write_and_look)
    assert dsd_run(DSD).code == 0
    assert "not finished: 1 of 3 phases are trained" in seen[0]
    told = r"2 waiting, from <code>s</code> on; about \d+s of training left at its pace; reload to see more"
    assert re.search(told, seen[0])
    assert "finished, 3 phases" in seen[-1]


def test_the_report_is_written_whenever_progress_is_saved(dsd_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[str] = []
    monkeypatch.setattr(reporting, "MOST_SHARE", float("inf"))
    monkeypatch.setattr(
        reporting,
        "write_report",
        lambda folder, results=None, *, is_running=False: states.append(
            progress_text(read_results(folder), is_running=is_running)
        ),
    )
    assert dsd_run("d0: dense 3ep lr=0.05\ns: sparse 50% 1ep", "--save-every", "0.0001").code == 0
    assert [state.split("; ")[:2] for state in states] == [
        ["not finished: 0 of 2 phases are trained", "in training: `d0` (1 of 3ep)"],
        ["not finished: 0 of 2 phases are trained", "in training: `d0` (2 of 3ep)"],
        ["not finished: 1 of 2 phases are trained", "1 waiting, from `s` on"],
        ["not finished: 2 of 2 phases are trained", "reload to see more"],
        ["finished, 2 phases"],
    ]


def test_a_stopped_run_leaves_its_report(dsd_run: Run) -> None:
    with stopping_after(60):
        outcome = dsd_run(DSD)
    assert outcome.code != 0
    assert "not finished" in (outcome.folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("trouble", [DsdError("the disk is full"), ZeroDivisionError("a bug")])
def test_a_report_that_cannot_be_written_is_told_and_ends_nothing(
    dsd_run: Run, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    def fail(folder: Path, results: Results | None = None, *, is_running: bool = False) -> None:
        raise trouble

    monkeypatch.setattr(reporting, "write_report", fail)
    outcome = dsd_run(DSD)
    assert outcome.code == 0
    assert outcome.states() == ["trained"] * 3
    assert "note: the report was not written" in outcome.err
    assert str(trouble) in outcome.err
    assert not (outcome.folder / "report.html").exists()
