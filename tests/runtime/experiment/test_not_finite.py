"""A node whose loss, weights or evaluation are not finite is not finished; the last good checkpoint stays (row 23)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from dsd_runtime.engine.session import Session
from dsd_runtime.training.tasks.classification import ClassificationTask

from .conftest import Run, stopping_after


def _break_at(monkeypatch: pytest.MonkeyPatch, update: int) -> None:
    """A NaN gradient at one update; its loss is finite."""
    real = Session.step

    def step(self: Session, **options: Any) -> bool:
        if self.total_updates == update - 1:
            weight = dict(self.model.named_parameters())["fc.2.weight"]
            assert weight.grad is not None
            weight.grad[3, 4] = math.nan
        return real(self, **options)

    monkeypatch.setattr(Session, "step", step)


def _checkpoints(folder: Path) -> list[str]:
    kinds = ("end-*", "progress-*")
    return sorted(path.name for kind in kinds for path in (folder / "checkpoints").rglob(kind))


def test_a_nan_gradient_at_the_very_last_update(dsd_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    _break_at(monkeypatch, 42)
    outcome = dsd_run("dense 1ep lr=0.05\ndense 1ep")
    assert outcome.code == 1
    assert "error: `fc.2.weight` is nan at update 42, in phase `p1`" in outcome.err
    assert _checkpoints(outcome.folder) == ["end-0000000021"]
    assert "saved:" in outcome.err
    assert not (outcome.folder / "final.safetensors").exists()
    monkeypatch.undo()
    assert dsd_run("dense 1ep lr=0.05\ndense 1ep").states() == ["reused", "trained"]


def test_progress_that_is_broken_does_not_replace_the_good_one(dsd_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with stopping_after(5):
        assert dsd_run("dense 2ep lr=0.05").code == 143
    _break_at(monkeypatch, 8)
    with stopping_after(4):
        outcome = dsd_run("dense 2ep lr=0.05")
    assert outcome.code == 1
    assert "the loss is nan within the last 4 updates before update 9 of phase `p0`" in outcome.err
    assert ", and `fc.0.weight` is not finite any more" in outcome.err
    assert _checkpoints(outcome.folder) == ["progress-0000000005"]


def test_a_loss_that_is_not_finite_in_the_evaluation(dsd_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    real = ClassificationTask.evaluate
    monkeypatch.setattr(ClassificationTask, "evaluate", lambda *items: {**real(*items), "loss": math.inf})
    outcome = dsd_run("dense 1ep lr=0.05")
    assert outcome.code == 1
    assert "`val.loss` is infinite at update 21, in phase `p0`" in outcome.err
    assert _checkpoints(outcome.folder) == []


def test_a_rate_that_is_far_too_large(dsd_run: Run) -> None:
    outcome = dsd_run("dense 1ep lr=1e30")
    assert outcome.code == 1
    assert "the loss is nan" in outcome.err
    assert "lower the learning rate" in outcome.err


def test_a_branch_does_not_inherit_buffers_that_are_not_saved(
    dsd_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a resumed node lose them: a node starts from weights and all buffers."""
    (tmp_path / "counting.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, num_classes):\n"
        "        super().__init__()\n"
        "        self.layer = nn.Linear(64, num_classes)\n"
        "        self.register_buffer('seen', torch.zeros(()), persistent=False)\n"
        "    def forward(self, x):\n"
        "        self.seen += 1\n"
        "        return self.layer(x.flatten(1)) / (1 + self.seen / 50)\n"
        "def make(num_classes):\n    return Net(num_classes)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    flags = ("--model", "counting:make", "--data", "digits")
    for trunk in ("", "dense 1ep lr=0.05\n"):
        fork = dsd_run(trunk + "fork { a: dense 1ep lr=0.05\n b: dense 1ep lr=0.02 }", *flags, "--fresh")
        alone = dsd_run(trunk + "dense 1ep lr=0.02", *flags, "--fresh", out="alone")
        assert fork.weights("branches/b") == alone.weights()
    with stopping_after(14):
        assert dsd_run("dense 1ep lr=0.05\ndense 1ep lr=0.02", *flags, "--fresh", out="cut").code == 143
    assert dsd_run("dense 1ep lr=0.05\ndense 1ep lr=0.02", *flags, out="cut").weights() == alone.weights()


def test_data_of_one_s_own_may_draw_from_numpy_and_random(dsd_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a model or a loss draws from them is the same again in the same node."""
    import random

    import numpy as np

    real = ClassificationTask.loss

    def noisy(self: ClassificationTask, model: torch.nn.Module, batch: Any) -> torch.Tensor:
        return real(self, model, batch) * (0.5 + np.random.rand() + random.random())

    monkeypatch.setattr(ClassificationTask, "loss", noisy)
    text = "dense 1ep lr=0.05\nsparse 50% 1ep"
    whole = dsd_run(text, out="whole")
    np.random.seed(99)
    random.seed(99)
    with stopping_after(30):
        assert dsd_run(text).code == 143
    random.seed(1)
    assert dsd_run(text).weights() == whole.weights()


def test_the_log_has_what_the_session_was_told(dsd_run: Run) -> None:
    """One path: `metrics.jsonl` and the history that `until` reads have the same numbers, once."""
    import json

    outcome = dsd_run("dense 5ep lr=0.05 until val.err < 90%\ndense 1ep")
    lines = [json.loads(line) for line in (outcome.folder / "metrics.jsonl").read_text().splitlines()]
    told = [(line["label"], line["update"], line["name"]) for line in lines if line["name"] not in ("lr", "loss")]
    assert told.count(("p0", 21, "val.err")) == 1
    assert told.count(("p0", 21, "test.err")) == 1
    ends = {line["name"]: line["value"] for line in lines if line["label"] == "p0" and line["update"] == 21}
    metrics = outcome.result["phases"][0]["metrics"]
    assert {name: ends[name] for name in metrics} == metrics
