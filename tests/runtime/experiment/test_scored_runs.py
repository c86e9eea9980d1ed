"""`dsd-run` with scores that need its task and data: the same bits stopped and resumed, side by side, and in ranks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from .conftest import Run, stopping_after
from .test_torchrun import alone, masks, trained

AT_INIT = "S: sparse 90% 1ep lr=0.05 by={by}\nT: dense 1ep\n"
BETWEEN = "dense 1ep lr=0.05\nsparse 0->80% 1ep every=3it by={by}\ndense 1ep\n"
METHODS = ["gradient", "snip", "taylor(batches=2)", "fisher(batches=2)", "grasp", "synflow(rounds=3)",
           "wanda", "sparsegpt"]  # fmt: skip


@pytest.mark.parametrize("by", METHODS)
def test_every_score_prunes_before_the_first_update(dsd_run: Run, by: str) -> None:
    outcome = dsd_run(AT_INIT.format(by=by))
    assert outcome.states() == ["trained", "trained"], outcome.err
    sparsity = outcome.result["phases"][0]["metrics"]["sparsity"]
    assert sparsity == pytest.approx(0.9, abs=0.005)


@pytest.mark.parametrize("by", ["snip", "grasp", "synflow(rounds=3)", "sparsegpt"])
@pytest.mark.parametrize("updates", [5, 12, 14])
def test_stopped_and_resumed_is_the_same_to_the_bit(dsd_run: Run, by: str, updates: int) -> None:
    """Stopped before the sparse phase, inside it just before a selection, and after one."""
    text = BETWEEN.format(by=by)
    whole = dsd_run(text, out="whole")
    with stopping_after(updates):
        assert dsd_run(text).code == 143
    assert dsd_run(text).weights() == whole.weights()


def test_a_phase_with_another_score_is_trained_again_and_its_masks_differ(dsd_run: Run) -> None:
    first = dsd_run(BETWEEN.format(by="snip")).weights()
    second = dsd_run(BETWEEN.format(by="gradient"))
    assert second.states() == ["reused", "trained", "trained"]
    assert second.weights() != first


def test_the_training_is_that_of_random_masks_but_for_the_masks(dsd_run: Run) -> None:
    """A score leaves data order, dropout and batch norm alone: `sparse 0%` with it is dense training."""
    text = "dense 1ep lr=0.05\nsparse 0% 1ep by={by}\ndense 1ep\n"
    base = ("--model", "resnet20:width=2", "--data", "digits", "--progress", "none", "--device", "cpu")
    expected = dsd_run(text.format(by="magnitude"), out="plain", base=base)
    assert dsd_run(text.format(by="snip"), base=base).weights() == expected.weights()


def test_branches_side_by_side_have_the_same_bits(dsd_run: Run) -> None:
    text = "dense 1ep lr=0.05\nfork {\n  a: sparse 80% 1ep by=snip\n  b: sparse 80% 1ep by=sparsegpt\n}\n"
    one = dsd_run(text, out="one")
    two = dsd_run(text, "--jobs", "2", out="two")
    for name in ("branches/a", "branches/b"):
        assert one.weights(name) == two.weights(name)


@pytest.mark.slow
@pytest.mark.parametrize("by", METHODS)
def test_two_processes_choose_the_masks_of_one(tmp_path: Path, by: str) -> None:
    """Each reads the batches whole, and batch norm is that of one process even where training synchronises it."""
    schedule = tmp_path / "s.dsd"
    schedule.write_text(f"sparse 80% 1it lr=0.05 by={by} layers=fc\n")
    flags = ("--model", "torchrun_models:normed", "--data", "digits", "--set", "batch=200", "--progress", "plain",
             "--device", "cpu", "--threads", "1", "--set", "opt=sgd(momentum=0.9)")  # fmt: skip
    trained(2, str(schedule), *flags, "--sync-batchnorm", "--out", str(tmp_path / "two"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        alone(str(schedule), *flags, "--out", str(tmp_path / "one"))
    for name, mask in masks(tmp_path / "one").items():
        assert torch.equal(masks(tmp_path / "two")[name], mask), name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "data", "by"),
    [
        ("ds1:hidden=16", "spoken", "snip"),
        ("ds2:hidden=8", "spoken", "taylor(batches=1)"),
        ("neuraltalk:hidden=16", "scenes", "fisher(batches=1)"),
        ("neuraltalk:hidden=16", "scenes", "synflow(rounds=2)"),
        ("resnet20:width=2", "digits", "grasp"),
        ("resnet20:width=2", "digits", "wanda"),
        ("resnet20:width=2", "digits", "sparsegpt"),
    ],
)
def test_every_task_gives_its_loss(dsd_run: Run, model: str, data: str, by: str) -> None:
    base = ("--model", model, "--data", data, "--progress", "none", "--device", "cpu", "--set", "batch=16")
    outcome = dsd_run(f"sparse 50% 2it lr=1e-3 by={by}\n", base=base)
    assert outcome.code == 0, outcome.err


def test_a_recurrent_layer_is_named(dsd_run: Run) -> None:
    base = ("--model", "neuraltalk:hidden=16", "--data", "scenes", "--progress", "none", "--device", "cpu")
    outcome = dsd_run("dense 1it lr=1e-3\nsparse 50% 2it by=wanda\n", base=base)
    assert outcome.code == 1
    assert "belongs to a `CaptionLstm`" in outcome.err
    assert "except=" in outcome.err
