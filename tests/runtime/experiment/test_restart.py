"""A run that is started again: after a stop at an awkward place, an edit, a kill between two writes, other code."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dsd_runtime.storage.checkpoint import load_checkpoint, save_checkpoint

from .conftest import DSD, Outcome, Run, stopping_after


def _stopped_after(updates: int, run: Run, text: str, *flags: str) -> Outcome:
    with stopping_after(updates):
        outcome = run(text, *flags)
    assert outcome.code == 143
    return outcome


def _evaluations(folder: Path) -> list[tuple[str, int, str]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["label"], line["update"], line["name"]) for line in lines if line["name"].startswith("val.")]


@pytest.mark.parametrize("updates", [20, 21, 22])
def test_a_stop_at_the_end_of_a_pass_loses_no_evaluation(dsd_run: Run, updates: int) -> None:
    """The pass is over when its last batch is: what is left of it is to evaluate, for `until` and `@best`."""
    text = "a: dense 3ep lr=0.05\nsparse 50% 1ep from=@a.best"
    whole = dsd_run(text, out="whole")
    _stopped_after(updates, dsd_run, text)
    outcome = dsd_run(text)
    assert outcome.weights() == whole.weights()
    assert _evaluations(outcome.folder) == _evaluations(whole.folder)


@pytest.mark.parametrize("updates", [25, 35])
def test_groups_and_frozen_layers_go_on_within_a_phase(dsd_run: Run, updates: int) -> None:
    """A branch whose schedule has other groups later shares the first phase, and ends as on its own."""
    head, frozen = "dense 1ep lr=0.05 clip=0.1", 'sparse 50% 1ep lr=[output: 0.005, all: 0.05] freeze="fc.0"'
    text = f"{head}\nfork {{ a: {frozen}\nb: dense 1ep lr=[output: 0.01, all: 0.02] }}"
    whole = dsd_run(text, out="whole")
    _stopped_after(updates, dsd_run, text)
    outcome, alone = dsd_run(text), dsd_run(f"{head}\n{frozen}", out="alone")
    assert _bytes(outcome, 0) == _bytes(whole, 0) == _bytes(alone, 0)
    assert _bytes(outcome, 1) == _bytes(whole, 1) == _bytes(alone, 1)
    assert _bytes(outcome, 2) == _bytes(whole, 2)


def _bytes(outcome: Outcome, index: int) -> list[bytes]:
    """The weights, masks, optimizer state and clocks at the end of a phase."""
    return [(_end(outcome, index) / f"{part}.safetensors").read_bytes() for part in ("weights", "session")]


def test_progress_without_a_reference_that_was_added_later_is_not_gone_on_with(dsd_run: Run) -> None:
    text = "full: dense 3ep lr=0.05\nsparse 50% 1ep{}"
    for later, is_kept in ((" from=@full.5it", False), (" from=@full.25it", True)):
        stopped = _stopped_after(15, dsd_run, text.format(""), "--fresh")
        outcome = dsd_run(text.format(later))
        assert outcome.code == 0
        assert outcome.weights() == dsd_run(text.format(later), out=f"whole{is_kept}").weights()
        lines = [json.loads(line) for line in (stopped.folder / "metrics.jsonl").read_text().splitlines()]
        updates = [line["update"] for line in lines if line["name"] == "loss" and line["label"] == "full"]
        assert (15 in updates) == is_kept


def test_editing_the_condition_of_a_loop_trains_again_what_comes_after_it(dsd_run: Run) -> None:
    text = "set lr=0.05\ndense 1ep\nrepeat 3 until val.loss < {} {{ sparse 50% 1ep; dense 1ep }}\ndense 1ep"
    early = dsd_run(text.format("100"))
    weights = early.weights()
    assert early.states() == ["trained"] * 3 + ["skipped"] * 4 + ["trained"]
    late = dsd_run(text.format("0"))
    assert late.states() == ["reused"] * 3 + ["trained"] * 5
    assert late.weights() == dsd_run(text.format("0"), out="fresh").weights() != weights


def test_a_loop_may_go_by_sparsity(dsd_run: Run) -> None:
    text = "dense 1ep lr=0.05\nrepeat 4 until sparsity > 70% { sparse 50% of=remaining 1ep }\ndense 1ep"
    outcome = dsd_run(text)
    assert outcome.states() == ["trained"] * 3 + ["skipped"] * 2 + ["trained"]
    assert outcome.result["phases"][2]["metrics"]["sparsity"] == pytest.approx(0.75, abs=1e-3)


def test_a_branch_does_not_inherit_the_dropout_of_the_one_before(dsd_run: Run, tmp_path: Path) -> None:
    (tmp_path / "dropping.py").write_text(
        "from torch import nn\n"
        "def make(num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Dropout(0.1), nn.Linear(32, num_classes))\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        flags = ("--model", "dropping:make", "--data", "digits")
        for trunk in ("", "dense 1ep lr=0.05\n"):
            fork = dsd_run(
                trunk + "fork { a: dense 1ep lr=0.05 dropout=0.9\n b: dense 1ep lr=0.02 }", *flags, "--fresh"
            )
            alone = dsd_run(trunk + "dense 1ep lr=0.02", *flags, "--fresh", out="alone")
            assert fork.weights("branches/b") == alone.weights()
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("dropping", None)


def test_a_fork_at_the_root(dsd_run: Run) -> None:
    """Branches begin at the same weights, seeds at others; there is no main line, and so no `final.safetensors`."""
    dsd_run("dense 1ep lr=0.05")
    fork = dsd_run("fork seeds=2 { a: dense 1ep lr=0.05\n b: { sparse 50% 1ep lr=0.05; dense 1ep restore=init } }")
    assert fork.code == 0
    assert not (fork.folder / "final.safetensors").exists()
    assert fork.weights("branches/a.seed0") == dsd_run("dense 1ep lr=0.05", out="alone").weights()
    assert fork.weights("branches/a.seed1") != fork.weights("branches/a.seed0")
    listed = fork.err + fork.out
    assert "Traceback" not in listed
    dsd_run("dense 1ep lr=0.05")
    assert not list((fork.folder / "branches").iterdir())


def test_a_phase_without_updates_before_everything_else(dsd_run: Run) -> None:
    outcome = dsd_run("sparse 50% 0ep lr=0.05\ndense 1ep")
    assert outcome.states() == ["trained"] * 2


def test_the_moments_of_a_reference_know_the_data(dsd_run: Run) -> None:
    """`@a.5it` has seen five batches; `@b.start` stands where b begins, not in the middle of a's last pass."""
    later = [f"dense 1it clock=@{moment}" for moment in ("a.5it", "b.start", "a.end")]
    outcome = dsd_run("\n".join(["a: dense 15it lr=0.05", "b: dense 5it", *later]))
    assert outcome.code == 0
    a, b, third, fourth, fifth = (outcome.folder / "checkpoints" / phase["node"] for phase in outcome.result["phases"])

    def reading(node: Path, kind: str) -> tuple[int, int]:
        found = load_checkpoint(next(node.glob(f"{kind}-*")), ["reading"])["reading"]
        return found["data_epoch"], found["data_batch"]

    def position(node: Path) -> tuple[int, int]:
        found = load_checkpoint(next(node.glob("end-*")), ["session"])["session"]["position"]
        return found["epoch"], found["batch"]

    assert reading(a, "ref-at.5it") == (0, 5)
    assert reading(b, "ref-start") == (1, 0)
    assert position(third) == (0, 6)
    assert position(fourth) == (1, 1)
    assert position(fifth) == (0, 16)


def _end(outcome: Outcome, index: int) -> Path:
    return next((outcome.folder / "checkpoints" / outcome.result["phases"][index]["node"]).glob("end-*"))


def test_a_checkpoint_of_another_version_is_one_sentence(dsd_run: Run) -> None:
    first = dsd_run(DSD)
    end = _end(first, 1)
    parts = load_checkpoint(end)
    edited = DSD.replace("d1: dense 2ep", "d1: dense 3ep")
    for change in ("version", "key", "position"):
        session = dict(parts["session"])
        if change == "version":
            session["version"] = 99
        if change == "position":
            session["position"] = {"page": 1}
        if change == "key":
            del session["boundary"]
        save_checkpoint(end, {**parts, "session": session})
        outcome = dsd_run(edited)
        assert outcome.code == 1, change
        assert "written by a different version" in outcome.err
        assert "--fresh" in outcome.err
        assert "Traceback" not in outcome.err
    assert dsd_run(edited, "--fresh").code == 0


def test_a_manifest_of_another_version_is_one_sentence(dsd_run: Run) -> None:
    first = dsd_run(DSD)
    manifest = json.loads((first.folder / "manifest.json").read_text())
    manifest["setting"]["colour"] = "red"
    (first.folder / "manifest.json").write_text(json.dumps(manifest))
    outcome = dsd_run(DSD.replace("50%", "60%"))
    assert outcome.code == 1
    assert "written by a different version" in outcome.err
    (first.folder / "manifest.json").write_text("[1")
    damaged = dsd_run(DSD)
    assert "manifest.json` is damaged" in damaged.err
    assert damaged.code == 1
    (first.folder / "manifest.json").unlink()
    assert dsd_run(DSD).states() == ["reused"] * 3, "as its help says"


def test_weights_that_no_longer_fit_the_model_are_one_sentence(dsd_run: Run) -> None:
    first = dsd_run(DSD)
    end = _end(first, 1)
    parts = load_checkpoint(end)
    name, other, *_ = parts["weights"]
    save_checkpoint(end, {**parts, "weights": {**parts["weights"], name: torch.zeros(2, 2), other: torch.zeros(2)}})
    outcome = dsd_run(DSD.replace("d1: dense 2ep", "d1: dense 3ep"))
    assert outcome.code == 1
    assert f"do not fit the model: size mismatch for {name}: " in outcome.err
    assert "Traceback" not in outcome.err


def test_a_progress_left_beside_a_finished_node_does_no_harm(dsd_run: Run) -> None:
    """As after a kill between writing the end and deleting the progress."""
    first = dsd_run(DSD)
    end = _end(first, 0)
    shutil.copytree(end, end.with_name("progress-0000000010"))
    assert dsd_run(DSD).states() == ["reused"] * 3


def test_a_torn_line_loses_nothing_but_itself(dsd_run: Run) -> None:
    first = dsd_run(DSD)
    path = first.folder / "metrics.jsonl"
    whole = path.read_text()
    of_node = first.folder / "checkpoints" / first.result["phases"][2]["node"] / "metrics.jsonl"
    for file in (path, of_node):
        file.write_text(file.read_text() + '{"node": "ab')
    dsd_run(DSD + "dense 1ep\n")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert path.read_text().startswith(whole)
    assert [line["name"] for line in lines if line["label"] == "p3"][:2] == ["lr", "sparsity"]


def test_what_is_not_finite_is_null_in_json(dsd_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from dsd_runtime.training.tasks.classification import ClassificationTask

    real = ClassificationTask.evaluate
    monkeypatch.setattr(ClassificationTask, "evaluate", lambda *items: {**real(*items), "acc": float("nan")})
    outcome = dsd_run("dense 1ep lr=0.05")
    strict = json.loads(outcome.out, parse_constant=lambda word: pytest.fail(word))
    assert strict["phases"][0]["metrics"]["val.acc"] is None
    for line in (outcome.folder / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda word: pytest.fail(word))


def test_fp16_keeps_its_scaler(dsd_run: Run) -> None:
    whole = dsd_run(DSD, "--precision", "fp16", out="whole")
    assert whole.code == 0
    stopped = _stopped_after(7, dsd_run, DSD, "--precision", "fp16")
    progress = next(stopped.folder.rglob("progress-*"))
    assert load_checkpoint(progress, ["loop"])["loop"]["scaler"]["_growth_tracker"] == 7
    assert dsd_run(DSD, "--precision", "fp16").weights() == whole.weights()


def test_an_optimizer_that_changes_along_the_line_resumes_bit_identically(dsd_run: Run) -> None:
    text = "dense 1ep lr=0.05\nsparse 50% 2ep lr=1e-3 opt=adamw(beta2=0.99) wd=0.01\ndense 2ep lr=0.01"
    whole = dsd_run(text, out="whole")
    for updates in (23, 50):
        _stopped_after(updates, dsd_run, text, "--fresh")
        assert dsd_run(text).weights() == whole.weights()


def test_load_file_is_the_weights_alone(dsd_run: Run) -> None:
    outcome = dsd_run("dense 1ep lr=0.05")
    assert set(load_file(outcome.folder / "final.safetensors")) == set(load_checkpoint(_end(outcome, 0))["weights"])
