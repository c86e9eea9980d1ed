"""A last phase made longer goes on from its shorter form, and ends as if it had been that long from the start."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Outcome, Run

DROPPING = (
    "from torch import nn\n"
    "def make(num_classes):\n"
    "    last = nn.Linear(32, num_classes)\n"
    "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.3), last)\n"
)


def _updates(outcome: Outcome, label: str) -> list[int]:
    lines = [json.loads(line) for line in (outcome.folder / "metrics.jsonl").read_text().splitlines()]
    return [line["update"] for line in lines if line["label"] == label and line["name"] == "val.loss"]


@pytest.fixture
def own_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """A network with dropout: also the random numbers must go on."""
    (tmp_path / "dropping_long.py").write_text(DROPPING)
    monkeypatch.syspath_prepend(str(tmp_path))
    return ("--model", "dropping_long:make", "--data", "digits")


@pytest.mark.parametrize(
    "line",
    [
        "d: dense {}ep lr=0.05",
        "a: dense 1ep lr=0.05\nd: sparse 50% {}ep",
        "a: dense 1ep lr=0.05\nsparse 50% 1ep\nd: dense {}ep decay=exp(0.5) opt=adam",
        "d: dense {}ep lr=0.05 decay=step(3ep, by=0.1)",
    ],
)
def test_it_ends_as_if_it_had_been_so_long_at_once(dsd_run: Run, own_net: tuple[str, ...], line: str) -> None:
    whole = dsd_run(line.format(4), *own_net, out="whole")
    first = dsd_run(line.format(2), *own_net)
    assert first.code == 0, first.err
    dry = dsd_run(line.format(4), *own_net, "--dry-run").result
    assert dry["phases"][-1]["state"] == "longer (from 20it)"
    assert dry["cost"]["updates_left"] == 20
    outcome = dsd_run(line.format(4), *own_net, "--resume")
    assert outcome.code == 0, outcome.err
    assert outcome.weights() == whole.weights()
    assert outcome.result["phases"][-1]["metrics"] == whole.result["phases"][-1]["metrics"]
    assert _updates(outcome, "d") == _updates(whole, "d") == [10, 20, 30, 40]


@pytest.mark.parametrize(
    "line",
    [
        "d: dense {}ep lr=0.05 decay=cosine",
        "d: dense {}ep lr=0.05 decay=linear",
        "d: dense {}ep lr=0.05 decay=step(50%, by=0.1)",
        "d: sparse 0->50% every=10it {}ep lr=0.05",
        "d: dense {}ep lr=0.05 until val.loss < 0",
        "d: dense {}ep lr=0.05 clock=global",
        "d: dense {}ep lr=0.05\nsparse 50% 1ep from=@d.best",
    ],
)
def test_what_hangs_on_the_length_is_trained_anew(dsd_run: Run, line: str) -> None:
    dsd_run(line.format(1))
    rows = dsd_run(line.format(2), "--dry-run").result["phases"]
    assert rows[0]["state"] == "to train"


def test_an_end_within_a_pass_is_not_gone_on_from(dsd_run: Run) -> None:
    """It was evaluated there, and a longer phase is not."""
    dsd_run("dense 30it lr=0.05")
    assert dsd_run("dense 63it lr=0.05", "--dry-run").result["phases"][0]["state"] == "to train"
    assert dsd_run("dense 20it lr=0.05", "--dry-run").result["phases"][0]["state"] == "to train"


def test_another_batch_size_or_rate_is_not_the_same_phase(dsd_run: Run) -> None:
    dsd_run("dense 1ep lr=0.05")
    for text in ("dense 2ep lr=0.04", "dense 2ep lr=0.05 batch=30", "dense 2ep lr=0.05 wd=0.1"):
        assert dsd_run(text, "--dry-run").result["phases"][0]["state"] == "to train", text
    assert dsd_run("dense 2ep lr=0.05", "--seed", "1", "--dry-run").result["phases"][0]["state"] == "to train"
    assert dsd_run("dense 2ep lr=0.05", "--dry-run").result["phases"][0]["state"] == "longer (from 21it)"


def test_what_comes_after_is_trained_and_shorter_again_is_reused(dsd_run: Run) -> None:
    dsd_run("a: dense 1ep lr=0.05\nsparse 50% 1ep")
    longer = dsd_run("a: dense 2ep lr=0.05\nsparse 50% 1ep")
    assert longer.weights() == dsd_run("a: dense 2ep lr=0.05\nsparse 50% 1ep", out="whole").weights()
    assert dsd_run("a: dense 1ep lr=0.05\nsparse 50% 1ep").states() == ["reused"] * 2
