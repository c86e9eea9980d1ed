"""A run folder gives its model, preprocessing and metrics back; `--evaluate` measures them again."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

import dsd_runtime
from dsd_lang.base.errors import DsdError
from dsd_runtime.cli import main
from dsd_runtime.data.registry import open_data

from .conftest import SMALL, Outcome, Run

FORKED = "dense 1ep lr=0.05\ns: sparse 50% 1ep\nfork { a: dense 1ep; b: sparse held 1ep }\n"
OWN = ("--model", "trained_nets:make", "--data", "digits", "--progress", "none")
NETS = """
from torch import nn

def make(num_classes=10, **rest):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))
"""


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forked")
    (folder / "a.dsd").write_text(FORKED)
    assert main([str(folder / "a.dsd"), *SMALL, "--out", str(folder / "run"), "--json"]) == 0
    return folder / "run"


def evaluate(capsys: pytest.CaptureFixture[str], folder: Path, *flags: str) -> dict[str, dict[str, float]]:
    capsys.readouterr()
    assert main(["--evaluate", str(folder), "--device", "cpu", "--json", *flags]) == 0
    return json.loads(capsys.readouterr().out)["lines"]


def test_the_model_has_the_last_weights_and_the_runs_metrics(forked: Path, capsys) -> None:
    measured = evaluate(capsys, forked)
    assert set(measured) == {"", "a", "b"}
    for branch in measured:
        run = dsd_runtime.load_run(forked, branch=branch)
        assert not run.model.training
        assert run.traits.num_classes == 10
        assert (run.metrics["sparsity"] == 0) == (branch == "a")
        for name, value in measured[branch].items():
            assert run.metrics[name] == pytest.approx(value)
        file = forked / "branches" / f"{branch}.safetensors" if branch else forked / "final.safetensors"
        for name, value in load_file(file).items():
            assert torch.equal(run.model.state_dict()[name], value)
    assert len(dsd_runtime.load_run(forked).plan.phases) == 4


def test_the_model_sees_a_raw_picture_as_it_saw_those_of_training(forked: Path) -> None:
    run = dsd_runtime.load_run(forked)
    source = open_data("digits")
    raw = source.splits["test"].images[:7]
    batch = next(source.evaluation_batches("test", batch_size=7))
    assert torch.equal(run.preprocess(raw)[0], batch.images)
    assert torch.equal(run.preprocess(list(raw))[0], batch.images)
    picture = Image.fromarray(raw[3, 0].numpy())
    assert torch.equal(run.preprocess(picture)[0], batch.images[3:4])
    assert run.model(*run.preprocess(raw)).argmax(1).shape == (7,)
    with pytest.raises(DsdError, match=r"tensor \[3, 8, 8\] of torch.uint8"):
        run.preprocess(torch.zeros(3, 8, 8, dtype=torch.uint8))


def test_loading_leaves_the_callers_random_numbers_alone(forked: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    dsd_runtime.load_run(forked)
    assert torch.equal(torch.rand(3), expected)


def test_what_cannot_be_loaded_is_told(forked: Path, tmp_path: Path) -> None:
    for arguments, message in (
        ({"folder": tmp_path}, "is not a run folder"),
        ({"folder": forked, "branch": "c"}, "has no branch `c`"),
        ({"folder": forked, "model": nn.Linear(2, 2)}, "do not fit the model"),
        ({"folder": forked, "model": "resnet20"}, "do not fit the model"),
    ):
        with pytest.raises(DsdError, match=message):
            dsd_runtime.load_run(**arguments)
    copy = tmp_path / "copy"
    shutil.copytree(forked, copy)
    (copy / "final.safetensors").write_bytes(b"junk")
    with pytest.raises(DsdError, match="cannot be read as safetensors"):
        dsd_runtime.load_run(copy)
    (copy / "final.safetensors").unlink()
    with pytest.raises(DsdError, match="the run has not finished"):
        dsd_runtime.load_run(copy)


@pytest.mark.parametrize(
    "traits",
    [{}, {"task": 1}, {"task": "sort", "num_classes": "ten"}, {"task": "sort", "num_classes": 2**99},
     {"task": "sort", "image_shape": [1, 8]}, {"task": "sort", "class_names": [1, [2]]}],
)  # fmt: skip
def test_traits_that_no_data_has_are_told(forked: Path, tmp_path: Path, traits: dict[str, object]) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(forked, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "traits": traits}))
    with pytest.raises(DsdError, match="the manifest is damaged: its trait `"):
        dsd_runtime.load_run(copy)


def test_lines_of_metrics_and_a_preprocessing_that_cannot_be_read(forked: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(forked, copy)
    with (copy / "metrics.jsonl").open("a") as file:
        file.write("[" * 100_000 + "\n{\n")
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "preprocessing": 3}))
    run = dsd_runtime.load_run(copy)
    assert run.metrics == dsd_runtime.load_run(forked).metrics
    with pytest.raises(DsdError, match="was written by a different version"):
        _ = run.preprocess


@pytest.mark.parametrize("data", ["scenes", "digits:size=16"])
def test_evaluating_on_data_that_does_not_fit(forked: Path, capsys, data: str) -> None:
    if data == "scenes":
        assert main(["--evaluate", str(forked), "--data", data]) == 2
        told = capsys.readouterr().err
        assert "`scenes` and the data that the run was trained on differ in their task" in told
        assert "  = help: the run has `classification`, `scenes` has `captioning`\n" in told
    else:  # the same pictures, shown as in training
        again, expected = evaluate(capsys, forked, "--data", data), evaluate(capsys, forked)
        for branch, metrics in expected.items():
            assert again[branch] == pytest.approx(metrics)


@pytest.mark.parametrize("fingerprint", [None, "of other pictures"])
def test_data_that_has_changed_is_told(forked: Path, tmp_path: Path, capsys, fingerprint: str | None) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(forked, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    changed = {"data_fingerprint": fingerprint or manifest["data_fingerprint"]}
    (copy / "manifest.json").write_text(json.dumps({**manifest, **changed}))
    assert main(["--evaluate", str(copy)]) == 0
    assert capsys.readouterr().err == ("note: `digits` has changed since the run\n" if fingerprint else "")


def test_classes_that_differ_are_shown_in_short(forked: Path, tmp_path: Path, capsys) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(forked, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    traits = {**manifest["traits"], "class_names": [f"number {digit}" for digit in range(10)]}
    (copy / "manifest.json").write_text(json.dumps({**manifest, "traits": traits}))
    assert main(["--evaluate", str(copy)]) == 2
    told = capsys.readouterr().err
    assert "differ in their classes" in told
    shown = "number 0, number 1, number 2, number 3, number 4, number ..."
    assert f"  = help: the run has `{shown}`, `digits` has `0, 1, 2, 3, 4, 5, 6, 7, 8, 9`\n" in told


def test_a_table_without_json_and_wrong_usage(forked: Path, capsys) -> None:
    assert main(["--evaluate", str(forked)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["line", "split", "loss", "err", "top5_err"]
    found = [line.replace("main line", "main").split()[:2] for line in lines[2:]]
    assert found == [[line, split] for line in ("main", "a", "b") for split in ("val", "test")]
    assert max(len(line) for line in lines) < 80
    assert main(["--evaluate", str(forked), "a.dsd"]) == 2
    assert main(["--evaluate", str(forked / "checkpoints")]) == 2


def test_a_folder_that_names_code_is_not_believed(dsd_run: Run, tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "trained_nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    outcome: Outcome = dsd_run("dense 1it lr=0.1\n", base=OWN)
    monkeypatch.delitem(sys.modules, "trained_nets")
    with pytest.raises(DsdError, match="names the Python code `trained_nets:make` as its model"):
        dsd_runtime.load_run(outcome.folder)
    assert main(["--evaluate", str(outcome.folder)]) == 2
    assert "trained_nets" not in sys.modules
    weights = load_file(outcome.folder / "final.safetensors")
    for given in ({"trusts_folder": True}, {"model": "trained_nets:make"}):
        assert torch.equal(dsd_runtime.load_run(outcome.folder, **given).model[1].weight, weights["1.weight"])
    own = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    assert dsd_runtime.load_run(outcome.folder, model=own).model is own
    save_file({"other": torch.zeros(1)}, outcome.folder / "final.safetensors")
    with pytest.raises(DsdError, match="do not fit the model"):
        dsd_runtime.load_run(outcome.folder, model=own)
