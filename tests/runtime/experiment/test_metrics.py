"""A condition on a metric that will not be measured is a mistake told before training."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dsd_lang
from dsd_lang.base.errors import DsdError
from dsd_lang.base.metrics import MEASURES
from dsd_runtime.experiment.metrics import Measured, require_measured
from dsd_runtime.results.reading import read_results
from dsd_runtime.training.tasks.captioning import CaptioningTask
from dsd_runtime.training.tasks.classification import ClassificationTask
from dsd_runtime.training.tasks.ctc import CtcTask
from dsd_runtime.training.tasks.task import Task

from .conftest import Run

ARMS = "fork seeds=2 { a: dense 5ep lr=0.1\nb: dense 5ep lr=0.1 }\n"
ALL = {"train": 10, "val": 5, "test": 5}
NO_VAL = {"train": 10, "val": 0, "test": 5}
TASKS: tuple[Task, ...] = (ClassificationTask(), CtcTask(("a",)), CaptioningTask(("END", "a")))


def _check(text: str, sizes: Mapping[str, int] = ALL, task: Task = TASKS[0], best: str = "val.err") -> None:
    require_measured(dsd_lang.compile(text), Measured(task.name, task.metrics, sizes, best))


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("dense 5ep lr=0.1 until val.err < 10% and plateau(val.loss)", ALL),
        ("dense 5ep lr=0.1 until train.loss < 0.1", NO_VAL),
        ("sparse 0->90% 5ep lr=0.1 until sparsity > 80%", ALL),
        ("dense 5ep lr=0.1", {"train": 10}),
        ("dense 1ep lr=0.1\nrepeat 3 until gain(test.err) < 1 { sparse 50% 1ep; dense 1ep }", NO_VAL),
        ("a: dense 5ep lr=0.1\ndense 1ep from=@a.best", ALL),
    ],
)
def test_what_is_measured_passes(text: str, sizes: Mapping[str, int]) -> None:
    _check(text, sizes)


@pytest.mark.parametrize(
    ("text", "sizes", "message", "help_text"),
    [
        ("dense 5ep lr=0.1 until val.err < 10%", NO_VAL, "line 1: `until` reads `val.err`, but the data has no val",
         "val=test"),
        ("dense 5ep lr=0.1 until not (val.acc - 1 > 3 or train.loss < 1)", NO_VAL, "`val.acc`", "`train.loss`"),
        ("\ndense 5ep lr=0.1 until val.wer < 10%", ALL, "line 2: `until` reads `val.wer`, which the task class",
         "val.loss, val.err, val.acc, val.top1_err, val.top5_err"),
        ("dense 5ep lr=0.1 until val.f1 > 0.5", ALL, "`val.f1`", "this run measures train.loss, sparsity, val.loss"),
        ("dense 1ep lr=0.1\nrepeat 3 until gain(val.err) < 1 { sparse 50% 1ep; dense 1ep }", NO_VAL, "no val samples",
         "val=0.1"),
        ("dense 1ep lr=0.1\nrepeat 3 until drop(test.err) > 1 { sparse 50% 1ep; dense 1ep }", {"train": 9, "val": 9},
         "no test samples", "test split"),
        (f"{ARMS}compare a vs b on=test.err", {"train": 9, "val": 9}, "no test samples", "test split"),
        (f"{ARMS}expect p(a vs b on=test.f1) < 1", ALL, "reads `test.f1`", "this run measures"),
        (f"{ARMS}expect a.test.err < 1 or b.test.cer < 1", ALL, "reads `test.cer`", "test.loss"),
        ("dense 5ep lr=0.1 until test.err < 10%", ALL, "only measured at the end of a phase", "`val.err`"),
        ("dense 5ep lr=0.1 until entropy.relu < 0.5", NO_VAL, "the data has no val samples", "val=0.1"),
        ("fork { a: dense 1ep lr=1\nb: dense 1ep lr=2 }\ncompare a vs b on=test.wer", ALL,
         "`compare a vs b`: it reads `test.wer`, which the task classification does not measure", "`test.err`"),
        ("fork { a: dense 1ep lr=1 }\nexpect a.test.f1 > 1", ALL, "`expect a.test.f1 > 1`: it reads `test.f1`",
         "test.err"),
        ("a: dense 5ep lr=0.1\ndense 1ep from=@a.best", NO_VAL, "`@best` uses `val.err`", "val=0.1"),
    ],
)  # fmt: skip
def test_what_is_not_measured_is_told(text: str, sizes: Mapping[str, int], message: str, help_text: str) -> None:
    with pytest.raises(DsdError) as caught:
        _check(text, sizes)
    assert message in caught.value.message
    assert help_text in (caught.value.help or "")


def test_every_task_lists_its_metrics() -> None:
    for task in TASKS:
        assert set(task.metrics) <= set(MEASURES), "each has a row in the registry"
        assert "loss" in task.metrics
        for name in task.metrics:
            _check(f"dense 5ep lr=0.1 until val.{name} < 1", task=task, best="val.loss")


def test_dsd_run_says_so_before_it_trains(dsd_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSD_CACHE", str(tmp_path / "cache"))
    for split, name, seed in ((s, n, i) for i, s in enumerate(("train", "test")) for n in ("cat", "dog")):
        folder = tmp_path / "set" / split / name
        folder.mkdir(parents=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (28, 28, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "0.png")
    outcome = dsd_run("dense 1ep lr=0.01 until val.loss < 0", "--data", f"imagefolder:{tmp_path / 'set'},val=0")
    assert outcome.code == 2
    assert "no val samples" in outcome.err
    assert not outcome.folder.exists()
    wrong = dsd_run("dense 1ep lr=0.01 until val.wer < 10%")
    assert wrong.code == 2
    assert "did you mean `val.err`" in wrong.err


OWN = """
import torch
from torch.utils.data import TensorDataset

def recall(logits, labels):
    return (logits.argmax(1)[labels == 1] == 1).float().mean()

def split(seed):
    draws = torch.Generator().manual_seed(seed)
    inputs = torch.randn(64, 4, generator=draws)
    return TensorDataset(inputs, (inputs[:, 0] > 0).long())

def make():
    return {"train": split(0), "val": split(1), "test": split(2), "metrics": {"recall": (recall, "higher")}}

def net(num_features, num_classes):
    return torch.nn.Linear(num_features, num_classes)
"""


def test_own_metrics_are_read_by_conditions_comparisons_and_best(
    dsd_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop ends where they gain too little, and a `compare` knows which way is better."""
    (tmp_path / "my_recall.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    text = (
        "dense 1ep lr=0.1 batch=16 opt=sgd\nrepeat 3 until gain(val.recall) < 9 { dense 1ep lr=0.1 }\n"
        "fork seeds=2 { slow: dense 2ep lr=1e-3\n fast: dense 2ep lr=1 }\n"
        "compare fast vs slow on=test.recall\ncompare fast vs slow on=val.recall at=best\nexpect fast.test.recall >= 0"
    )
    outcome = dsd_run(text, base=("--model", "my_recall:net", "--data", "my_recall:make", "--progress", "none"))
    assert outcome.code == 0, outcome.err
    assert [phase["state"] for phase in outcome.result["phases"]][:4] == ["trained", "trained", "skipped", "skipped"]
    end, best = read_results(outcome.folder).comparisons
    assert end.higher_is_better is True
    assert all(item.value is not None for item in best.left.values)
    assert 0 <= outcome.result["phases"][-1]["metrics"]["test.recall"] <= 1
