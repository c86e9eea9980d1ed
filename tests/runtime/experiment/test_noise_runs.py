"""A run with `set noise=`: told in its head and manifest, part of every key, the same after a resume."""

from __future__ import annotations

import json

import pytest

import dsd_lang
import dsd_runtime
from tests.runtime.experiment.conftest import Run, stopping_after

NOISY = "set noise=symmetric(20%)\na: dense 2ep lr=0.05\nfork seeds=2 { b: sparse 50% 1ep }\n"


def test_a_noisy_run_resumes_bit_identically(dsd_run: Run) -> None:
    whole = dsd_run(NOISY, out="whole")
    with stopping_after(60):  # in the middle of a branch
        assert dsd_run(NOISY, out="cut").code == 143
    resumed = dsd_run(NOISY, out="cut")
    assert resumed.weights("branches/b.seed1") == whole.weights("branches/b.seed1")
    assert resumed.weights("branches/b.seed1") != resumed.weights("branches/b.seed0")


def test_noise_is_in_every_key_and_changes_the_weights(dsd_run: Run) -> None:
    text = "dense 1ep lr=0.05"
    nodes, weights = set(), set()
    for noise in ("none", "symmetric(20%)", "symmetric(30%)", "pairflip(20%)"):
        outcome = dsd_run(f"set noise={noise}\n{text}", out=noise)
        nodes.add(json.loads((outcome.folder / "manifest.json").read_text())["nodes"]["p0"])
        weights.add(outcome.weights())
    plain = dsd_run(text, out="none")
    assert plain.states() == ["reused"]
    assert len(nodes) == len(weights) == 4


def test_the_head_and_the_manifest_tell_the_noise(dsd_run: Run) -> None:
    outcome = dsd_run("set noise=pairflip(25%)\ndense 1ep lr=0.05")
    assert "noise   pairflip(25%): 315 of 1259 training labels changed\n" in outcome.err
    manifest = json.loads((outcome.folder / "manifest.json").read_text())
    assert manifest["label_noise"] == {"noise": "pairflip(25%)", "changed_labels": 315, "train_labels": 1259}
    assert manifest["setting"]["noise"] == "pairflip(25%)"


def test_another_noise_in_the_same_folder_is_told(dsd_run: Run) -> None:
    dsd_run("set noise=pairflip(25%)\ndense 1ep lr=0.05")
    outcome = dsd_run("dense 1ep lr=0.05")
    assert "`noise` was pairflip(25%) in this folder's run and is None now" in outcome.err
    assert outcome.states() == ["trained"]


def test_a_changed_file_trains_again(dsd_run: Run, tmp_path) -> None:
    file = tmp_path / "noisy.csv"
    text = f'set noise=file("{file}")\ndense 1ep lr=0.05'
    file.write_text("index,label\n0,1\n")
    assert dsd_run(text).states() == ["trained"]
    assert dsd_run(text).states() == ["reused"]
    file.write_text("index,label\n0,1\n1,1\n2,1\n3,1\n")
    assert dsd_run(text).states() == ["trained"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--model", "ds1", "--data", "spoken"), "`spoken` is data for the task ctc"),
        (("--model", "neuraltalk", "--data", "scenes"), "`scenes` is data for the task captioning"),
        (("--model", "lenet_300_100", "--set", 'noise=file("none.csv")'), "`none.csv` cannot be read"),
    ],
)
def test_what_noise_cannot_change_is_told_before_training(dsd_run: Run, flags, message: str) -> None:
    outcome = dsd_run("set noise=symmetric(20%)\ndense 1ep lr=0.05", "--dry-run", *flags, base=())
    assert outcome.code == 2
    assert message in outcome.err


def test_a_session_of_ones_own_says_that_it_does_not_see_labels() -> None:
    import torch

    model = torch.nn.Linear(3, 2)
    plan = dsd_lang.compile("set noise=symmetric(20%); dense 1ep lr=0.1")
    with pytest.warns(dsd_runtime.DsdWarning, match=r"`set noise=symmetric\(0.2\)` is not applied by a session"):
        dsd_runtime.attach(plan, model, torch.optim.SGD(model.parameters(), lr=0.1), steps_per_epoch=2)
