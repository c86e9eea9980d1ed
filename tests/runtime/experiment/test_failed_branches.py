"""A failed phase stops what needs it and nothing else; its failure is told once, with its own sentence."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from dsd_lang.base.errors import DsdError
from dsd_runtime.experiment import whole_run
from dsd_runtime.experiment.history import NodeResult
from dsd_runtime.experiment.node_training import NodeTrainer

from .conftest import Run

FORK = """
base: dense 1ep lr=0.05
fork {{
  good: {{ g1: sparse 50% 1ep
          g2: dense 1ep }}
  bad: {{ b1: dense 1ep lr={bad}
         b2: dense 1ep }}
  other: dense 1ep lr={other}
}}
"""


def _states(folder: Path) -> dict[str, str]:
    results = json.loads((folder / "results.json").read_text())
    return {phase["label"] or phase["path"]: phase["state"] for phase in results["phases"]}


def _told(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(("warning:", "error:", "  = help"))]


def test_the_others_are_trained_and_the_exit_code_says_that_one_failed(dsd_run: Run) -> None:
    outcome = dsd_run(FORK.format(bad="1e30", other="0.01"))
    assert outcome.code == 1
    assert outcome.err.count("error: ") == 1
    assert "error: the loss is" in outcome.err
    assert "phase `b1`" in outcome.err
    assert "warning: bad/b1 failed (and 1 after it): the loss is" in outcome.err
    assert _states(outcome.folder) == {
        "base": "trained", "g1": "trained", "g2": "trained", "b1": "to train", "b2": "to train", "other": "trained"
    }  # fmt: skip
    assert sorted(path.stem for path in (outcome.folder / "branches").iterdir()) == ["good", "other"]
    assert (outcome.folder / "report.html").is_file()
    mended = dsd_run(FORK.format(bad="0.02", other="0.01"))
    assert mended.states() == ["reused", "reused", "reused", "trained", "trained", "reused"]


def test_several_failures_are_named_together(dsd_run: Run) -> None:
    outcome = dsd_run(FORK.format(bad="1e30", other="2e30"))
    assert outcome.code == 1
    assert "error: 2 of 6 phases failed: `bad/b1`: the loss is" in outcome.err
    assert "`other/p5`: the loss is" in outcome.err
    assert "the same command tries these again" in outcome.err


def test_phases_with_the_same_node_fail_once(dsd_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    real = NodeTrainer.train

    def train(self: NodeTrainer, phase: NodeResult | object) -> dict[str, float] | None:
        tried.append(phase.id)  # type: ignore[attr-defined]
        return real(self, phase)  # type: ignore[arg-type]

    monkeypatch.setattr(NodeTrainer, "train", train)
    text = "base: dense 1ep lr=0.05\nfork { x: dense 1ep lr=1e30\n y: dense 1ep lr=1e30 }\ndense 1ep"
    outcome = dsd_run(text)
    assert outcome.code == 1
    assert len(tried) <= 4, "a node that failed in one branch fails in the other as well"
    assert "the loss is" in outcome.err


def test_another_process_on_the_folder_is_told_of_a_failure(dsd_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = FORK.format(bad="1e30", other="0.01")
    failed = dsd_run(schedule)
    [note] = failed.folder.glob("checkpoints/*/failure.json")
    assert json.loads(note.read_text())["message"] in failed.err

    def is_not_tried(self: NodeTrainer, *_: object) -> None:
        pytest.fail("it is tried once more")

    with monkeypatch.context() as patch:  # as in a process that was there already
        patch.setattr(whole_run, "forget_failures", lambda *_: None)
        patch.setattr(NodeTrainer, "_train", is_not_tried)
        other = dsd_run(schedule)
    assert other.code == 1
    assert _told(other.err) == _told(failed.err)


def test_a_new_command_tries_again_and_then_nothing_is_left_of_the_failure(
    dsd_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = "a: dense 1ep lr=0.05\nb: dense 1ep"
    real = NodeTrainer._train

    def fails(self: NodeTrainer, phase: Any, *arguments: Any) -> dict[str, float] | None:
        if phase.label == "b":
            raise DsdError("the machine is out of memory", help="buy some")
        return real(self, phase, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(NodeTrainer, "_train", fails)
        for _ in range(2):
            failed = dsd_run(schedule)
            assert "error: the machine is out of memory\n  = help: buy some" in failed.err
            assert len(list(failed.folder.glob("checkpoints/*/failure.json"))) == 1
    assert dsd_run(schedule).states() == ["reused", "trained"]
    assert list(failed.folder.glob("checkpoints/*/failure.json")) == []


def test_a_full_disk_ends_the_whole_run_at_once(dsd_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []

    def train(self: NodeTrainer, phase: object) -> dict[str, float] | None:
        tried.append(phase)
        raise OSError(errno.ENOSPC, "No space left on device", "weights.safetensors")

    monkeypatch.setattr(NodeTrainer, "train", train)
    outcome = dsd_run("fork { x: dense 1ep lr=0.1\n y: dense 1ep lr=0.2 }")
    assert outcome.code == 1
    assert "the disk is full" in outcome.err
    assert len(tried) == 1


def test_a_failure_of_the_user_s_code_in_a_worker_shows_its_traceback(
    dsd_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.fc = torch.nn.Linear(64, 10)\n"
        "        self.calls = 0\n"
        "    def forward(self, x):\n"
        "        self.calls += 1\n"
        "        if self.calls > 60:\n            raise RuntimeError('my own mistake')\n"
        "        return self.fc(x.flatten(1))\n"
        "def build(num_classes: int):\n    return Net()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    flags = ("--model", "mine:build", "--data", "digits", "--device", "cpu", "--progress", "none", "--jobs", "2")
    outcome = dsd_run("dense 9ep lr=0.01", base=flags)
    assert outcome.code == 1
    assert "RuntimeError: my own mistake" in outcome.err
    assert 'mine.py", line 10, in forward' in outcome.err
    assert outcome.err.count("error: ") == 1


def test_a_live_model_cannot_be_sent_to_workers(tmp_path: Path) -> None:
    import torch

    import dsd_runtime

    with pytest.raises(DsdError, match="cannot be sent to other processes"):
        dsd_runtime.run("dense 1ep lr=0.1", model=lambda: torch.nn.Linear(64, 10), data="digits", jobs=2,
                        model_key="x", out=tmp_path / "run", progress="none")  # fmt: skip
