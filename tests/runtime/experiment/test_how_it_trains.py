"""What a network goes through under `dsd-run`: its modes, its precision, the order of its data, its random numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dsd_runtime.cli import main
from dsd_runtime.data.batch import Batch
from dsd_runtime.experiment.runner import NodeResult, Runner
from dsd_runtime.training.tasks.classification import ClassificationTask

from .conftest import Outcome, Run, stopping_after
from .recording import CALLS, MODEL, Call, evaluation_calls, training_calls


@pytest.fixture(autouse=True)
def _only_the_run_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what is tried beforehand, to count the work and to time an update."""
    CALLS.clear()
    real = Runner.run

    def run(self: Runner) -> list[NodeResult]:
        CALLS.clear()
        return real(self)

    monkeypatch.setattr(Runner, "run", run)


def _trained(dsd_run: Run, text: str, *flags: str, out: str = "run") -> list[Call]:
    """The training calls of one run from scratch."""
    CALLS.clear()
    outcome = dsd_run(text, *MODEL, *flags, "--fresh", out=out)
    assert outcome.code == 0, outcome.err
    return training_calls()


def _by_phase(calls: list[Call], *lengths: int) -> list[list[Call]]:
    assert len(calls) == sum(lengths)
    starts = [sum(lengths[:place]) for place in range(len(lengths))]
    return [calls[start : start + length] for start, length in zip(starts, lengths, strict=True)]


def _order(calls: list[Call]) -> list[tuple[float, ...]]:
    return [call.batch for call in calls]


def _dropped(calls: list[Call]) -> list[tuple[bool, ...]]:
    return [call.dropped for call in calls]


# --- modes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["dense 2ep lr=0.05\nsparse 50% 2ep", "dense 2ep lr=0.05\nfork { a: dense 1ep }"])
def test_updates_run_in_training_mode_and_evaluations_do_not(dsd_run: Run, text: str) -> None:
    calls = _trained(dsd_run, text)
    assert all(call.is_training for call in calls)
    assert sum(call.size for call in calls) % 1259 == 0
    assert evaluation_calls()
    assert not any(call.is_training for call in evaluation_calls())


def test_a_run_that_was_stopped_goes_on_in_training_mode(dsd_run: Run) -> None:
    with stopping_after(5):
        dsd_run("dense 2ep lr=0.05", *MODEL)
    CALLS.clear()
    dsd_run("dense 2ep lr=0.05", *MODEL)
    assert training_calls()
    assert all(call.is_training for call in training_calls())


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", None), ("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_training_and_evaluation_share_their_precision(dsd_run: Run, precision: str, dtype: torch.dtype | None) -> None:
    _trained(dsd_run, "dense 2it lr=0.05", "--precision", precision)
    assert {call.autocast for call in training_calls()} == {dtype}
    assert {call.autocast for call in evaluation_calls()} == {dtype}


def test_an_evaluation_of_the_run_has_its_precision_and_mode(dsd_run: Run) -> None:
    outcome = dsd_run("dense 2it lr=0.05", *MODEL, "--precision", "bf16")
    for flags, dtype in (((), torch.bfloat16), (("--precision", "fp32"), None)):
        CALLS.clear()
        assert main(["--evaluate", str(outcome.folder), *MODEL[:2], "--device", "cpu", *flags]) == 0
        assert {(call.autocast, call.is_training) for call in evaluation_calls()} == {(dtype, False)}
        assert not training_calls()


# --- the order of the data --------------------------------------------------------------------------------------------


def test_every_pass_has_an_order_of_its_own(dsd_run: Run) -> None:
    a, b, c = _by_phase(_trained(dsd_run, "dense 2ep lr=0.05\ndense 1ep"), 10, 10, 10)
    assert len({_order(a)[0], _order(b)[0], _order(c)[0]}) == 3
    for calls in (a, b, c):
        assert sorted(value for call in calls for value in call.batch) == pytest.approx(
            sorted(value for call in a for value in call.batch), abs=1e-3
        )


def test_seeds_begin_at_other_weights_and_see_the_data_in_another_order(dsd_run: Run) -> None:
    one, two = _by_phase(_trained(dsd_run, "fork seeds=2 { a: dense 5it lr=0.05 }"), 5, 5)
    assert one[0].bias != two[0].bias
    assert _order(one)[0] != _order(two)[0]
    assert _dropped(one)[0] != _dropped(two)[0]


def test_seeds_of_a_shared_trunk_differ_in_order_and_dropout(dsd_run: Run) -> None:
    _, one, two = _by_phase(_trained(dsd_run, "dense 5it lr=0.05\nfork seeds=2 { a: dense 5it }"), 5, 5, 5)
    assert one[0].bias == two[0].bias
    assert _order(one)[0] != _order(two)[0]
    assert _dropped(one)[0] != _dropped(two)[0]


def test_the_seed_decides_weights_order_and_dropout(dsd_run: Run) -> None:
    zero = _trained(dsd_run, "dense 3it lr=0.05", out="zero")
    again = _trained(dsd_run, "dense 3it lr=0.05", "--seed", "0", out="again")
    one = _trained(dsd_run, "dense 3it lr=0.05", "--seed", "1", out="one")
    assert zero == again
    assert zero[0].bias != one[0].bias
    assert _order(zero)[0] != _order(one)[0]
    assert _dropped(zero)[0] != _dropped(one)[0]


def test_branches_share_order_and_dropout_unless_they_ask_for_their_own(dsd_run: Run) -> None:
    text = "dense 5it lr=0.05\nfork{} {{ a: dense 5it lr=0.05\n b: dense 5it lr=0.04 }}"
    _, a, b = _by_phase(_trained(dsd_run, text.format("")), 5, 5, 5)
    assert _order(a) == _order(b)
    assert _dropped(a) == _dropped(b)
    _, a, b = _by_phase(_trained(dsd_run, text.format(" rng=distinct")), 5, 5, 5)
    assert _order(a)[0] != _order(b)[0]
    assert _dropped(a)[0] != _dropped(b)[0]
    assert a[0].bias == b[0].bias


@pytest.mark.parametrize(("fork", "is_same"), [("", True), (" rng=distinct", False), (" seeds=2", False)])
def test_branches_draw_the_same_random_masks_unless_they_ask_for_their_own(
    dsd_run: Run, fork: str, is_same: bool
) -> None:
    branches = "a: sparse 50% by=random 0ep" + ("" if "seeds" in fork else "\n b: sparse 50% by=random 0ep lr=0.01")
    text = f"dense 2it lr=0.05\nfork{fork} {{ {branches} }}"
    outcome = dsd_run(text, *MODEL)
    assert outcome.code == 0, outcome.err
    files = sorted((outcome.folder / "branches").glob("*.safetensors"))
    first, second = (load_file(file)["body.weight"] == 0 for file in files)
    assert int(first.sum()) == int(second.sum()) == 320
    assert torch.equal(first, second) == is_same


def test_weights_drawn_at_random_hang_on_seed_branch_and_phase(dsd_run: Run) -> None:
    """And are none of those that a run begins with."""
    branches = "a: dense 1it from=random\n b: { dense 1it from=random; dense 1it from=random }"
    text = f"dense 1it lr=0.05\nfork seeds=2 {{ {branches} }}"
    drawn, others = _trained(dsd_run, text), _trained(dsd_run, text, "--seed", "1")
    assert len(drawn) == len(others) == 7
    assert len({call.bias for call in (*drawn, *others)}) == 14
    assert _trained(dsd_run, text) == drawn


# --- dropout ----------------------------------------------------------------------------------------------------------


def test_dropout_draws_anew_in_every_update_and_every_phase(dsd_run: Run) -> None:
    calls = _trained(dsd_run, "dense 4it lr=0.05\ndense 4it\nsparse 50% 4it")
    assert len(set(_dropped(calls))) == 12


def test_dropout_does_not_hang_on_what_was_trained_before_in_this_process(dsd_run: Run) -> None:
    """Two branches, the second alone, and with its parent reused: the same numbers."""
    trunk, left, right = "dense 5it lr=0.05\n", "a: dense 7it lr=0.02", "b: dense 5it lr=0.01"
    both = _by_phase(_trained(dsd_run, f"{trunk}fork {{ {left}\n {right} }}"), 5, 7, 5)[2]
    alone = _by_phase(_trained(dsd_run, f"{trunk}dense 5it lr=0.01", out="alone"), 5, 5)[1]
    assert both == alone
    dsd_run(trunk, *MODEL, out="reused")
    CALLS.clear()
    dsd_run(f"{trunk}dense 5it lr=0.01", *MODEL, out="reused")
    assert training_calls() == alone


# --- statistics -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trunk", ["", "dense 3it lr=0.05\n"])
def test_a_branch_begins_with_the_batch_norm_statistics_of_its_parent(dsd_run: Run, trunk: str) -> None:
    text = f"{trunk}fork {{ a: dense 5it lr=0.05\n b: dense 5it lr=0.04 }}"
    *_, a, b = _by_phase(_trained(dsd_run, text), *([3] if trunk else []), 5, 5)
    assert a[0].mean == b[0].mean
    assert a[0].bias == b[0].bias
    assert a[1].mean != a[0].mean


def test_weights_taken_from_a_moment_bring_their_statistics(dsd_run: Run) -> None:
    outcome = dsd_run("a: dense 4it lr=0.05\nsparse 50% from=@a.2it 0ep\nc: dense 1it lr=0.01", *MODEL)
    assert outcome.code == 0, outcome.err
    a, c = _by_phase(training_calls(), 4, 1)
    assert c[0].mean != a[3].mean
    assert c[0].mean == pytest.approx(_after_two_updates(dsd_run)[0].mean)


def _after_two_updates(dsd_run: Run) -> list[Call]:
    calls = _trained(dsd_run, "dense 2it lr=0.05\ndense 1it lr=0.01", out="two")
    return calls[2:]


# --- what is logged ---------------------------------------------------------------------------------------------------


def _rows(outcome: Outcome, name: str) -> list[dict[str, object]]:
    rows = [json.loads(line) for line in (outcome.folder / "metrics.jsonl").read_text().splitlines()]
    return [row for row in rows if row["name"] == name]


def test_the_rate_in_the_log_is_the_one_the_update_used(dsd_run: Run) -> None:
    """A linear decay to 0 over 20 updates: the last one used 1/20 of the start, and 0 is used by none."""
    outcome = dsd_run("dense 20it lr=0.2 decay=linear")
    logged = {row["update"]: row["value"] for row in _rows(outcome, "lr") if row["update"]}
    assert logged
    for update, rate in logged.items():
        assert rate == pytest.approx(0.2 * (1 - (update - 1) / 20)), update


def test_a_pass_that_ends_between_two_readings_is_logged_like_the_others(dsd_run: Run) -> None:
    """Passes of 21 updates, read ten at a time: the last reading of a pass has one update."""
    outcome = dsd_run("dense 2ep lr=0.2 decay=linear batch=60")
    rates = {row["update"]: row["value"] for row in _rows(outcome, "lr") if row["update"]}
    assert {10, 20, 21, 31, 41, 42} <= set(rates)
    for update, rate in rates.items():
        assert rate == pytest.approx(0.2 * (1 - (update - 1) / 42)), update


def test_the_training_loss_is_the_mean_over_the_updates_of_its_pass(dsd_run: Run) -> None:
    """Passes of 21 updates, read ten at a time; weights hardly move, so that each pass has nearly the same mean."""
    outcome = dsd_run("dense 3ep lr=1e-9 batch=60", "--set", "opt=sgd")
    still = [row["value"] for row in _rows(outcome, "train.loss")]
    assert len(still) == 3
    assert still == pytest.approx([still[0]] * 3, rel=1e-2)
    assert still == pytest.approx([math.log(10)] * 3, rel=0.2), "ten classes, nothing learned"
    outcome = dsd_run("dense 3ep lr=0.1 batch=60", "--set", "opt=sgd", out="moving")
    losses = {row["update"]: row["value"] for row in _rows(outcome, "loss")}
    assert sorted(losses) == [10, 20, 21, 31, 41, 42, 52, 62, 63]
    for row, end in zip(_rows(outcome, "train.loss"), (21, 42, 63), strict=True):
        of_pass = (10 * losses[end - 11] + 10 * losses[end - 1] + losses[end]) / 21
        assert row["value"] == pytest.approx(of_pass)


def test_the_training_loss_of_a_pass_survives_a_stop(dsd_run: Run, tmp_path: Path) -> None:
    text = "dense 2ep lr=0.1 batch=60"
    whole = [row["value"] for row in _rows(dsd_run(text, out="whole"), "train.loss")]
    for updates in (5, 30):
        with stopping_after(updates):
            dsd_run(text, "--fresh")
        outcome = dsd_run(text)
        assert [row["value"] for row in _rows(outcome, "train.loss")] == pytest.approx(whole)


def test_the_training_loss_leaves_out_an_update_that_was_skipped(dsd_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third loss is finite and so large that its gradients are not, in half precision."""
    real = ClassificationTask.loss

    def loss(self: ClassificationTask, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
        return real(self, model, batch) * (1e6 if len(training_calls()) == 3 else 1.0)

    monkeypatch.setattr(ClassificationTask, "loss", loss)
    outcome = dsd_run("dense 1ep lr=1e-9 batch=60", *MODEL, "--precision", "fp16")
    rows = _rows(outcome, "train.loss")
    assert [row["update"] for row in rows] == [20, 21]
    assert [row["value"] for row in rows] == pytest.approx([math.log(10)] * 2, rel=0.5)
