"""What the user's own model or data raises is told with the user's traceback and exit 1; our bugs stay bugs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dsd_runtime.cli import main
from dsd_runtime.experiment import whole_run
from tests.runtime.experiment.conftest import Run

SOURCE = """
import torch
from torch import nn
from dsd_runtime.data.registry import open_data


class Net(nn.Module):
    def __init__(self, where=""):
        super().__init__()
        self.where, self.count = where, 0
        self.body = nn.Linear(64, 10)
        if where == "build":
            raise KeyError("no such width")

    def forward(self, images):
        self.count += 1
        if self.where == "forward" or (self.where == "late" and self.training and self.count > 40):
            helper(images)
        if self.where == "file":
            open("/nowhere/weights.bin")
        return self.body(images.flatten(1))


def helper(images):
    raise ValueError("I expected\\n  other images")


def net(where: str = "") -> nn.Module:
    return Net(where)


def of_torch() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(65, 10))


def of_another_shape() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3))


def lazy() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(10))


def normed() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.utils.weight_norm(nn.Linear(64, 16)), nn.ReLU(), nn.Linear(16, 10))


def attentive() -> nn.Module:
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention, self.head = nn.MultiheadAttention(64, 2), nn.Linear(64, 10)

        def forward(self, images):
            flat = images.flatten(1)
            return self.head(self.attention(flat, flat, flat)[0])

    return Pair()


class Broken:
    def __init__(self):
        self.inner = open_data("digits")

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def train_batches(self, **options):
        raise LookupError("sample 3 is gone")


def data():
    return Broken()
"""
FLAGS = (
    "--data",
    "digits",
    "--progress",
    "none",
    "--device",
    "cpu",
    "--set",
    "opt=sgd(momentum=0.9)",
    "--set",
    "lr=0.01",
)
TEXT = "dense 2ep\nsparse 50% 1ep\ndense\n"


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "my_failing_nets.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_failing_nets", None)


@pytest.mark.parametrize(
    ("model", "said", "line"),
    [
        ("net,where=forward", "your code raised ValueError: I expected other images", "in helper"),
        ("net,where=late", "your code raised ValueError: I expected other images", "in helper"),
        ("net,where=file", "your code raised FileNotFoundError", 'open("/nowhere/weights.bin")'),
        ("net,where=build", "the factory `my_failing_nets:net` failed: KeyError: 'no such width'", "in __init__"),
        ("of_torch", "your code raised RuntimeError: mat1 and mat2", "in forward"),
        ("of_another_shape", "your code raised IndexError: Target", "cross_entropy"),
    ],
)
def test_what_the_users_model_raises_is_the_users(dsd_run: Run, model: str, said: str, line: str) -> None:
    outcome = dsd_run(TEXT, base=("--model", f"my_failing_nets:{model}", *FLAGS))
    assert outcome.code == 1
    assert "internal error" not in outcome.err
    assert "please report" not in outcome.err
    assert f"error: {said}" in outcome.err
    assert "Traceback (most recent call last)" in outcome.err
    assert line in outcome.err
    assert "command.py" not in outcome.err, "the traceback begins where the user's code does"


def test_what_the_users_data_raises_is_the_users(dsd_run: Run) -> None:
    flags = ("--model", "my_failing_nets:net", *FLAGS[2:], "--data", "my_failing_nets:data")
    outcome = dsd_run(TEXT, base=flags)
    assert outcome.code == 1
    assert "error: your code raised LookupError: sample 3 is gone" in outcome.err
    assert "in train_batches" in outcome.err


def test_what_an_evaluation_raises_is_the_users(
    dsd_run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--evaluate` calls the same model."""
    outcome = dsd_run("dense 1ep\n", base=("--model", "my_failing_nets:net", *FLAGS))
    assert outcome.code == 0, outcome.err
    source = tmp_path / "my_failing_nets.py"
    source.write_text(source.read_text().replace('where == "forward" or', 'where == "" or'))
    sys.modules.pop("my_failing_nets")
    code = main(["--evaluate", str(outcome.folder), "--model", "my_failing_nets:net"])
    said = capsys.readouterr().err
    assert code == 1
    assert "in helper" in said
    assert "error: your code raised ValueError: I expected other images" in said


def test_a_bug_of_ours_stays_one(dsd_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        {}["gone"]

    broken.__globals__  # noqa: B018  (its module is this test's, so it is given one of ours)
    ours = type(broken)(broken.__code__, {"__name__": "dsd_runtime.experiment.whole_run"}, "broken")
    monkeypatch.setattr(whole_run, "print_head", ours)
    outcome = dsd_run(TEXT, base=("--model", "my_failing_nets:net", *FLAGS))
    assert outcome.code == 2
    assert "internal error: KeyError: 'gone'; please report it" in outcome.err


def test_a_lazy_module_is_told_of_before_training(dsd_run: Run) -> None:
    outcome = dsd_run(TEXT, base=("--model", "my_failing_nets:lazy", *FLAGS))
    assert outcome.code == 1
    assert "`1.weight` has no shape yet" in outcome.err
    assert "run one batch" in outcome.err


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_older_weight_norm_trains_where_it_is_left_out(dsd_run: Run) -> None:
    """No step of `dsd-run` copies the model, which it cannot be; selected, the layer is refused by name."""
    flags = ("--model", "my_failing_nets:normed", *FLAGS)
    refused = dsd_run("dense 1ep\nsparse 50% 1ep\n", base=flags)
    assert refused.code == 1
    assert "`1.weight` is computed by `weight_norm`" in refused.err
    outcome = dsd_run('dense 1ep\nsparse 50% except="1" 1ep\n', base=flags)
    assert outcome.code == 0, outcome.err


def test_what_is_left_out_is_a_line(dsd_run: Run) -> None:
    outcome = dsd_run("dense 1ep\nsparse 50% 1ep\n", "--dry-run", base=("--model", "my_failing_nets:attentive", *FLAGS))
    assert outcome.code == 0, outcome.err
    outcome = dsd_run("dense 1ep\nsparse 50% 1ep\n", base=("--model", "my_failing_nets:attentive", *FLAGS))
    lines = [line for line in outcome.err.splitlines() if "are not selected" in line]
    assert len(lines) == 1
    assert lines[0].startswith("note: 2 of 3 matrices, 96% of the weights, are not selected: 2 in an attention module")
