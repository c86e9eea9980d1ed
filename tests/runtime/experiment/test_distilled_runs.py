"""`distill=` in a run: teachers from branches and files, keys, resuming, all three tasks, and what is refused first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dsd_runtime.data.images.digits import open_digits
from dsd_runtime.engine.distillation import Teacher
from dsd_runtime.models.registry import build_model
from tests.runtime.experiment.conftest import SMALL, Run, stopping_after

DISTILLED = """fork {
  teacher: { dense 1ep lr=0.05; sparse 80% 1ep lr=0.05 }
  kd: { dense 1ep lr=0.05 distill=@teacher.end(alpha=0.8, T=10); sparse 50% 1ep lr=0.05 distill=@teacher.end }
}
"""


def teacher_file(folder: Path, model: str = "conv2", seed: int = 0) -> Path:
    torch.manual_seed(seed)
    file = folder / "teacher.safetensors"
    save_file(build_model(model, open_digits().traits).state_dict(), file)
    return file


@pytest.mark.parametrize("updates", [25, 45, 55])
def test_a_distilled_run_resumes_bit_identically(dsd_run: Run, updates: int) -> None:
    whole = dsd_run(DISTILLED, out="whole")
    with stopping_after(updates):
        assert dsd_run(DISTILLED, out="cut").code == 143
    assert dsd_run(DISTILLED, out="cut").weights("branches/kd") == whole.weights("branches/kd")


def test_the_teachers_key_is_part_of_the_students(dsd_run: Run) -> None:
    assert dsd_run(DISTILLED).states() == ["trained"] * 4
    assert dsd_run(DISTILLED.replace("alpha=0.8, T=10", "alpha=0.8, T=9")).states() == ["reused"] * 2 + ["trained"] * 2
    assert dsd_run(DISTILLED.replace("80%", "70%")).states() == ["reused"] + ["trained"] * 3


def test_a_file_is_known_by_its_content(dsd_run: Run, tmp_path: Path) -> None:
    text = f'dense 1ep lr=0.05 distill="{teacher_file(tmp_path)}"(model="conv2", T=4)'
    assert dsd_run(text).states() == ["trained"]
    assert dsd_run(text).states() == ["reused"]
    teacher_file(tmp_path, seed=1)
    assert dsd_run(text).states() == ["trained"]


def test_train_loss_is_the_total(dsd_run: Run, tmp_path: Path) -> None:
    plain = dsd_run("dense 1ep lr=0.05", out="plain").result["phases"][0]["metrics"]
    file = teacher_file(tmp_path)
    none = dsd_run(f'dense 1ep lr=0.05 distill="{file}"(model="conv2", alpha=0)', out="none")
    assert none.result["phases"][0]["metrics"]["train.loss"] == pytest.approx(plain["train.loss"], rel=1e-6)
    whole = dsd_run(f'dense 1ep lr=0.05 distill="{file}"(model="conv2", alpha=1)', out="whole")
    assert whole.result["phases"][0]["metrics"]["train.loss"] < 0.5 * plain["train.loss"]  # an untrained teacher


@pytest.mark.parametrize(
    ("model", "data"), [("ds1:hidden=16", "spoken"), ("neuraltalk:hidden=16", "scenes"), ("lenet_300_100", "digits")]
)
def test_every_task_distils(dsd_run: Run, model: str, data: str) -> None:
    text = "t: dense 2it lr=1e-3; dense 2it lr=1e-3 distill=@t(alpha=0.5, T=2)"
    outcome = dsd_run(text, base=("--model", model, "--data", data, "--device", "cpu", "--progress", "none"))
    assert outcome.states() == ["trained", "trained"]
    assert outcome.result["phases"][1]["metrics"]["train.loss"] > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('distill="none.safetensors"', "`none.safetensors` cannot be read"),
        ('distill="{file}"(model="resnet19")', "unknown model `resnet19`"),
        ('distill="{file}"', "the teacher of phase `p1` has no `fc.0.weight`"),
        ('distill="{file}"(model="conv2:classes=5")', "the teacher of phase `p1` has no"),
        ('distill="{file}"(model="my_nets:make")', "names the Python code `my_nets:make` as the model of a teacher"),
    ],
)
def test_what_cannot_teach_is_told_before_training(dsd_run: Run, tmp_path: Path, text: str, message: str) -> None:
    text = text.format(file=teacher_file(tmp_path))
    outcome = dsd_run(f"dense 1ep lr=0.05\ndense 1ep lr=0.05 {text}", "--dry-run")
    assert outcome.code in (1, 2)
    assert message in outcome.err


def test_a_teacher_of_other_classes_is_told_before_training(dsd_run: Run, tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_file(five_classes().state_dict(), tmp_path / "five.safetensors")
    name = "tests.runtime.experiment.test_distilled_runs:five_classes"
    text = f'dense 1ep lr=0.05 distill="{tmp_path / "five.safetensors"}"(model="{name}")'
    outcome = dsd_run(text, "--dry-run", "--trust-schedule", base=(*SMALL,))
    assert "gives logits of [60, 5] for a batch, and `lenet_300_100` of [60, 10]" in outcome.err


def five_classes() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 5))


def test_the_plan_keeps_the_teacher(dsd_run: Run) -> None:
    plan = json.loads((dsd_run(DISTILLED).folder / "plan.json").read_text())
    assert plan["phases"][2]["distill"] == {"teacher": {"moment": "end", "phase": "p1"}}


def test_low_precision_logits_are_compared_in_float32() -> None:
    student, teacher = torch.randn(4, 3), torch.randn(4, 3)
    exact = Teacher(torch.nn.Identity(), 0.8, 10.0).mixed(torch.ones(()), student, teacher, samples=4)
    low = Teacher(torch.nn.Identity(), 0.8, 10.0).mixed(
        torch.ones(()), student.bfloat16(), teacher.bfloat16(), samples=4
    )
    assert low.dtype == torch.float32
    assert float(low) == pytest.approx(float(exact), rel=0.05)
