"""The head and the end of a run: how it trains, tables that fit, seeds together, files counted."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path

import pytest

import dsd_lang
from dsd_runtime.cli import main
from dsd_runtime.experiment import summary, survey
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.results import results_table, verdict_lines, weights_text
from dsd_runtime.experiment.runner import NodeResult
from dsd_runtime.experiment.summary import PhaseRow, format_rows
from dsd_runtime.experiment.survey import Speed
from dsd_runtime.results.parts import ExpectationResult, Provenance
from dsd_runtime.results.results import Results

from .conftest import Run

METRICS = {"sparsity": 0.5, "train.loss": 0.123456, "val.loss": 0.2, "val.err": 3.0, "val.acc": 97.0,
           "val.top5_err": 0.5, "test.loss": 0.3, "test.err": 4.0, "test.top5_err": 0.6}  # fmt: skip


def _results(text: str, values: list[float]) -> list[NodeResult]:
    phases = dsd_lang.compile(text).phases
    return [
        NodeResult(phase, "key", "trained", {**METRICS, "test.err": value})
        for phase, value in zip(phases, values, strict=True)
    ]


def test_seeds_stand_in_one_row_with_mean_and_deviation() -> None:
    fork = "base: dense 1ep lr=0.1\nfork seeds=3 { a: dense 1ep\n b: { x: sparse 50% 1ep; y: dense 1ep } }"
    results = _results(fork, [4, *(1, 2, 3), *(5, 9, 6, 10, 7, 11)])
    lines = results_table(results, "val.err", 200).splitlines()
    heads = lines[0].split()
    rows = {line.split()[0]: line for line in lines[2:]}
    assert list(rows) == ["base", "a/p1", "b/x", "b/y"]
    assert "2 ± 1 " in rows["a/p1"]
    assert "6 ± 1 " in rows["b/x"]
    assert "10 ± 1 " in rows["b/y"]
    assert heads[1] == "seeds"
    assert [rows[name].split()[1] for name in rows] == ["1", "3", "3", "3"]


def test_seeds_of_several_states_stand_together_and_what_was_not_measured_is_blank() -> None:
    results = _results("fork seeds=2 { a: dense 1ep lr=0.1; b: dense 1ep lr=0.2 }", [1, 2, 3, 4])
    results[1] = replace(results[1], state="reused")
    results[2:] = [replace(result, state="skipped", metrics={}) for result in results[2:]]
    lines = [re.split(r"  +", line) for line in results_table(results, "val.err", 200).splitlines()]
    assert lines[0][:3] == ["phase", "seeds", "state"]
    assert [row[:3] for row in lines[2:]] == [["a/p0", "2", "trained, reused"], ["b/p2", "2", "skipped"]]
    assert "".join(lines[3][3:]).strip() == ""


def test_a_table_fits_and_keeps_what_counts() -> None:
    results = _results("dense 1ep lr=0.1\nsparse 50% 1ep", [4, 5])
    widths = {width: results_table(results, "val.err", width).splitlines() for width in (200, 80, 40, 20)}
    assert all(max(map(len, lines)) <= width for width, lines in widths.items())
    assert "test.top5_err" in widths[200][0]
    assert "acc" not in widths[200][0], "it says the same as the error"
    assert "val.top5_err" not in widths[80][0]
    for lines in widths.values():
        assert lines[0].split()[0] == "phase"
        assert "test.err" in lines[0]


def test_what_a_comparison_asks_for_stays_the_longest() -> None:
    results = _results("dense 1ep lr=0.1\nsparse 50% 1ep", [4, 5])
    narrow = results_table(results, "val.err", 50, ["test.top5_err", "test.err"]).splitlines()
    assert {"test.top5_err", "test.err"} <= set(narrow[0].split())
    assert "test.err" in results_table(results, "val.err", 20, ["test.top5_err", "test.err"]).splitlines()[0]


def test_the_table_of_phases_leaves_out_what_is_least_wanted() -> None:
    row = PhaseRow(0, "a", "sparse", "50%", "fc (3 matrices)", "10ep", 210, 210, "0.05", "to train", "key")
    columns = ("#", "phase", "mode", "pruned", "layers", "length", "updates", "start lr", "state")
    left: list[str] = []
    for width in (None, *range(90, 10, -1)):
        heads = re.split(r"  +", format_rows([row], width).splitlines()[0].strip())
        left += [name for name in columns if name not in (*heads, *left)]
    assert left == ["layers", "length", "mode", "pruned", "start lr"]


@pytest.mark.parametrize("count", [1, 4, 5, 9, 10, 40])
@pytest.mark.parametrize("length", [1, 12])
def test_the_verdicts_take_at_most_ten_lines_and_failed_ones_come_first(count: int, length: int) -> None:
    claims = tuple(
        ExpectationResult(text="", holds=index < count - 1, verdict=f"claim {index:03} " + "is so " * length)
        for index in range(count)
    )
    answer = Results(run="x", provenance=Provenance(plan_hash=""), expectations=claims)
    lines = verdict_lines(answer, 40, rest="the report")
    assert len(lines) <= 10
    shown = [line for line in lines if line.startswith("claim")]
    left_out = count - len(shown)
    assert (lines[-1] == f"{left_out} more in the report") is (left_out > 0)
    assert f"claim {count - 1:03} is so" in " ".join(shown)


def test_many_files_are_counted() -> None:
    folder = RunFolder(Path("runs/x"))
    branches = [folder.branch(f"b{index}") for index in range(108)]
    assert weights_text(folder, [folder.final, *branches]) == "runs/x/final.safetensors, runs/x/branches (108 files)"
    assert weights_text(folder, [folder.final]) == "runs/x/final.safetensors"


def test_the_head_says_how_it_trains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schedule = tmp_path / "a.dsd"
    schedule.write_text("dense 1ep lr=0.05 decay=cosine clip=1\nsparse 50% 1ep batch=30\ndense 1ep")
    flags = ("--model", "lenet_300_100", "--device", "cpu", "--dry-run", "--out", str(tmp_path / "run"))
    assert main([str(schedule), *flags]) == 0
    told = capsys.readouterr().out
    assert "train   adam, lr 0.05, decay cosine then constant, batch 60 then 30, clip norm(1)\n" in told
    assert [line.partition(" ")[0] for line in told.splitlines()[:6]] == ["model", "data", "train", "run", "", "#"]
    assert "updates to train at about" in told
    assert "with the evaluations about" in told


def test_what_branches_share_is_counted_once(dsd_run: Run) -> None:
    """Both begin with the same phase, which is trained once."""
    dry = dsd_run(
        "fork { a: { dense 2ep lr=0.05; dense 1ep }\n b: { dense 2ep lr=0.05; sparse 50% 1ep } }", "--dry-run"
    )
    assert dry.result["cost"]["updates_left"] == 4 * 21
    assert dry.result["cost"]["checkpoints_left"] == 3


@pytest.mark.parametrize(("seconds", "count"), [(0.01, 12), (0.75, 6), (4.0, 4)])
def test_the_estimate_times_updates_and_evaluated_samples(
    dsd_run: Run, monkeypatch: pytest.MonkeyPatch, seconds: float, count: int
) -> None:
    """By a clock that goes on by as much whenever it is read."""
    readings = itertools.count()
    monkeypatch.setattr(survey.time, "perf_counter", lambda: next(readings) * seconds)
    cost = dsd_run("dense 2ep lr=0.05 batch=40", "--dry-run").result["cost"]
    assert cost["seconds_per_update"] == pytest.approx(seconds)
    assert cost["seconds_per_sample"] == pytest.approx(seconds / 40)
    assert next(readings) == count, "eight updates after the first one, a second of them, or a slow first one alone"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--model", "nets.py:make", "--data", "digits"), "write `nets:make`"),
        (("--model", "sub/nets.py:make,width=3", "--data", "digits"), "write `sub.nets:make`"),
        (("--model", "nets.py"), "write `nets:FUNCTION`"),
        (("--model", "lenet_300_100", "--data", "mine.py:load"), "write `mine:load`"),
        (("--model", "nets:make"), "it needs a data set"),
    ],
)
def test_own_factories_named_wrongly(dsd_run: Run, flags: tuple[str, ...], words: str) -> None:
    outcome = dsd_run("dense 1ep lr=0.05", base=flags)
    assert outcome.code == 2
    assert words in outcome.err
    assert outcome.err.count("error: ") == 1


def test_warnings_come_once_in_our_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Speech that is faster than the network's frames warned twice a pass, with the path of our source."""
    schedule = tmp_path / "a.dsd"
    schedule.write_text("dense 2it lr=1e-3\ndense 2it")
    flags = ("--model", "ds1:hidden=4,stride=6", "--data", "spoken", "--progress", "plain", "--device", "cpu")
    assert main([str(schedule), *flags, "--out", str(tmp_path / "run")]) == 0
    told = capsys.readouterr().err
    assert told.count("more symbols than frames") == 1
    assert "warning: " in told
    assert "RuntimeWarning" not in told
    assert ".py" not in told
    assert main(["--evaluate", str(tmp_path / "run"), "--device", "cpu"]) == 0
    again = capsys.readouterr().err
    assert again.startswith("warning: ")
    assert again.count("more symbols than frames") == len(again.splitlines()) == 1, "also not that the data has changed"


def test_the_estimate_is_made_of_updates_and_evaluated_samples(dsd_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two passes of 21 updates, each with a validation of 179 samples, and a test of 359 at the end."""
    monkeypatch.setattr(summary, "measure_speed", lambda *_: Speed(per_update=2.0, per_sample=0.5))
    outcome = dsd_run("dense 2ep lr=0.05", "--dry-run")
    cost = outcome.result["cost"]
    assert (cost["seconds_per_update"], cost["seconds_per_sample"]) == (2.0, 0.5)
    assert cost["seconds_left"] == pytest.approx(42 * 2 + (2 * 179 + 359) * 0.5)
