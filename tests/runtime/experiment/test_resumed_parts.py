"""A run that is stopped again and again goes on with all it had: gradient scaler, place in the data, decisions."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from dsd_runtime.results.reading import read_results
from dsd_runtime.storage.checkpoint import load_checkpoint
from dsd_runtime.training import loop

from .conftest import Outcome, Run, stopping_after


def _stopped(updates: int, run: Run, text: str, *flags: str) -> Outcome:
    with stopping_after(updates):
        outcome = run(text, *flags)
    assert outcome.code == 143, outcome.err
    return outcome


def test_the_gradient_scaler_goes_on_counting(dsd_run: Run) -> None:
    """It doubles its scale after 2000 updates without an overflow: those before a stop count."""
    text, flags = "dense 4ep lr=0.01", ("--precision", "fp16")
    counted = []
    for _ in range(3):
        outcome = _stopped(5, dsd_run, text, *flags)
        progress = next(outcome.folder.rglob("progress-*"))
        counted.append(load_checkpoint(progress, ["loop"])["loop"]["scaler"]["_growth_tracker"])
    assert counted == [5, 10, 15]


def test_the_seconds_of_all_sittings_count(dsd_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, update = SimpleNamespace(now=0.0), loop._update

    def one_second(*arguments: Any) -> Any:
        clock.now += 1.0
        return update(*arguments)

    monkeypatch.setattr(loop, "_update", one_second)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock.now))
    text = "dense 2ep lr=0.05"
    _stopped(5, dsd_run, text)
    clock.now += 1000.0  # the time between two sittings
    _stopped(20, dsd_run, text)
    outcome = dsd_run(text)
    assert read_results(outcome.folder).phases[0].seconds == 42.0


SCHEDULES = {
    "plateau": "dense 9ep lr=0.5 until plateau(val.loss, patience=2)\nsparse 50% 1ep lr=0.01",
    "gain": "dense 1ep lr=0.05\nrepeat 5 until gain(val.acc) < 2% { sparse 30% of=remaining 1ep lr=0.05 }\ndense 1ep",
    "moments": "a: dense 25it lr=0.05\nsparse 60% from=@a.15it 15it clock=@a.15it\ndense 5it restore=@a.end",
    "global clock": "set clock=global decay=cosine lr=0.05\ndense 15it\nsparse 50% 15it\ndense 5it",
    "moving masks": "sparse 80% 30it lr=0.05 update=rigl(every=4it, until=100%)\n"
    "sparse held 10it update=set(drop=50%, every=3it)\nsparse 2:4 except=output 10it update=magnitude(every=3it)",
    "ramp": "sparse 0->80% every=4it 25it lr=0.05\ndense 1ep restore=saved",
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_stopped_again_and_again_the_run_ends_the_same(dsd_run: Run, name: str) -> None:
    text = SCHEDULES[name]
    whole = dsd_run(text, out="whole")
    assert whole.code == 0, whole.err
    outcome = whole
    codes = []
    while codes[-1:] != [0] and len(codes) < 20:
        with stopping_after(13):
            outcome = dsd_run(text)
        codes.append(outcome.code)
    assert codes[:2] == [143, 143]
    assert codes[-1] == 0
    assert outcome.weights() == whole.weights()
    metrics = [[phase["metrics"] for phase in run.result["phases"]] for run in (outcome, whole)]
    assert metrics[0] == metrics[1]
    assert _evaluations(outcome) == _evaluations(whole)


def _evaluations(outcome: Outcome) -> list[tuple[str, int, str, float]]:
    lines = [json.loads(line) for line in (outcome.folder / "metrics.jsonl").read_text().splitlines()]
    return [
        (line["label"], line["update"], line["name"], line["value"])
        for line in lines
        if line["name"].partition(".")[0] in ("val", "test", "train", "masks")
    ]
