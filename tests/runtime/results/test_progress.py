"""How far a run is, as its report tells it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_run import made_run

from dsd_lang.plan import Phase
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.leases import Membership
from dsd_runtime.results.progress import progress_text
from dsd_runtime.results.reading import read_results
from dsd_runtime.results.report import read_runs

TEXT = "a: dense 4ep lr=0.1; b: sparse 50% 2ep; c: dense {length}"


def measure(phase: Phase, epoch: int) -> dict[str, float]:
    return {"val.err": 1.0}


def text_of(folder: Path, *, is_running: bool = True) -> str:
    return progress_text(read_results(folder), is_running=is_running)


@pytest.mark.parametrize(("length", "seconds"), [("8ep", 5), ("60it", 4)])
def test_what_is_waiting_takes_as_long_as_what_is_trained(tmp_path: Path, length: str, seconds: int) -> None:
    """2 s for 40 updates, 10 an epoch; 20 updates of `b` are left, and those of `c`."""
    made_run(tmp_path, TEXT.format(length=length), measure, untrained=("p1", "p2"))
    told = text_of(tmp_path)
    assert told.startswith("not finished: 1 of 3 phases are trained; 2 waiting, from `b` on; about ")
    assert f"about {seconds}s of training left at its pace" in told


@pytest.mark.parametrize(
    ("is_running", "words"), [(True, "in training: `b` (1 of 2ep)"), (False, "begun: `b` (1 of 2ep)")]
)
def test_a_phase_that_has_begun_says_how_far_it_is(tmp_path: Path, is_running: bool, words: str) -> None:
    made_run(tmp_path, TEXT.format(length="1ep"), measure, untrained=("p1", "p2"))
    key = json.loads((tmp_path / "manifest.json").read_text())["nodes"]["p1"]
    row = {"node": key, "label": "b", "path": "", "epoch": 1.0, "update": 10, "name": "loss", "value": 1.0}
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    told = text_of(tmp_path, is_running=is_running)
    assert words in told
    assert "1 waiting, from `c` on" in told
    assert told.endswith("reload to see more" if is_running else "the same command continues it")


def test_before_anything_was_trained_there_is_no_estimate(tmp_path: Path) -> None:
    made_run(tmp_path, TEXT.format(length="1ep"), measure, untrained=("p0", "p1", "p2"))
    assert text_of(tmp_path, is_running=False) == (
        "not finished: 0 of 3 phases are trained; 3 waiting, from `a` on; the same command continues it"
    )


def test_a_report_knows_whether_the_folder_is_in_use(tmp_path: Path) -> None:
    made_run(tmp_path, TEXT.format(length="1ep"), measure)
    assert [run.is_running for run in read_runs([tmp_path])] == [False]
    with Membership(RunFolder(tmp_path).leases).joined():
        assert [run.is_running for run in read_runs([tmp_path])] == [True]
    assert [run.is_running for run in read_runs([tmp_path])] == [False]
