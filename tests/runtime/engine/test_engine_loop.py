"""The contract's loop, where a session stands, phases of every length, overrides and events."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from engine_loops import backward, begin, network, one_update, run, samples, shuffled_loader, updates
from torch import nn, optim

import dsd_lang
import dsd_runtime
from dsd_lang.base.errors import DsdError


def _sgd(model: nn.Module) -> optim.Optimizer:
    return optim.SGD(model.parameters(), lr=0.1)


def test_the_loop_of_the_contract(tmp_path: Path) -> None:
    """Engine 1, word for word."""
    path = tmp_path / "quickstart.dsd"
    path.write_text("dense 2ep lr=0.1; sparse 50% 2ep; dense 1ep\n")
    model, loader, loss_fn = network(), shuffled_loader(), nn.CrossEntropyLoss()
    optimizer = _sgd(model)
    evaluations: list[tuple[int, int]] = []

    def evaluate(model: nn.Module) -> float:
        evaluations.append((session.phase.index, sum(int((weight == 0).sum()) for weight in model.parameters())))
        return float(loss_fn(model(samples()[0]), samples()[1]).detach())

    plan = dsd_lang.compile_file(path)
    session = dsd_runtime.attach(plan, model, optimizer, steps_per_epoch=len(loader))
    for epoch in session.epochs():
        for x, y in session.batches(loader):
            optimizer.zero_grad()
            loss_fn(model(x), y).backward()
            session.step()
        session.report({"val.loss": evaluate(model)})
        assert epoch == len(evaluations) - 1
    assert session.done
    assert session.progress == 1.0
    assert session.total_updates == 20
    assert [phase for phase, _ in evaluations] == [0, 0, 1, 1, 2], "evaluated is what the phase ended with"
    assert evaluations[2][1] == evaluations[3][1] == 256
    assert evaluations[4][1] < 64, "trained again, but for units without a gradient"
    assert set(session.sparsity()) == {"0.weight", "3.weight", "5.weight", "total"}


def test_phase_view_and_progress() -> None:
    """Engine 1: index, label, mode, target, lr, epoch, step; progress from 0 to 1; done after the last update."""
    model = network()
    session = begin("warm: dense 6it lr=0.1; sparse 50% 4it batch=16; dense 2it", model, _sgd(model))
    view = session.phase
    assert (view.index, view.id, view.label, view.mode, view.target, view.lr) == (0, "p0", "warm", "dense", None, 0.1)
    assert (view.epoch, view.step, view.length, view.batch) == (0, 0, 6, None)
    assert session.progress == 0.0
    progress = [session.progress for _ in updates(session, model)]
    assert progress == pytest.approx([done / 12 for done in range(1, 13)])
    model = network()
    session = begin("warm: dense 6it lr=0.1; sparse 50% 4it batch=16; dense 2it", model, _sgd(model))
    for _ in range(5):
        one_update(session, model)
    assert (session.phase.epoch, session.phase.step) == (1, 5)
    for _ in range(2):
        one_update(session, model)
    assert session.phase.target is not None
    assert session.phase.target.pruned in ("0.5", "1/2")
    assert (session.phase.batch, session.phase.mode) == (16, "sparse")


def test_begin_step_is_idempotent_and_step_needs_it() -> None:
    """`begin_step` twice is once; `step` where a boundary is due, or after the end, is API misuse."""
    model = network()
    session = begin("dense 2it lr=0.1; sparse 0->50% every=2it 3it; dense 1it", model, _sgd(model))
    one_update(session, model)
    one_update(session, model)
    assert session.is_phase_over
    with pytest.raises(ValueError, match=r"without begin_step\(\)"):
        session.step()
    session.begin_step()
    events = len(session.events)
    weights = [weight.clone() for weight in model.parameters()]
    for _ in range(3):
        session.begin_step()
    assert len(session.events) == events
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
    for _ in range(2):
        one_update(session, model)
    with pytest.raises(ValueError, match=r"without begin_step\(\)"):
        session.step()
    session.begin_step()
    session.begin_step()
    assert [event.kind for event in session.events].count("select") == 1
    run(session, model)
    session.begin_step()
    assert session.done
    with pytest.raises(ValueError, match="after the last update"):
        session.step()


@pytest.mark.parametrize(
    ("text", "updates_", "epochs"),
    [
        ("dense 1.5ep lr=0.1; sparse 50% 1.25ep; dense 0.25ep", 12, 3),
        ("dense 3it lr=0.1; sparse 50% 6it", 9, 3),
        ("dense 1it lr=0.1", 1, 1),
        ("dense 2ep lr=0.1", 8, 2),
        ("dense 0.1ep lr=0.1; dense 1ep", 5, 2),
    ],
)
def test_phases_end_exactly_wherever_in_an_epoch(text: str, updates_: int, epochs: int) -> None:
    """Fractions of epochs and `it` lengths cross boundaries within a pass; passes go on over boundaries."""
    model, loader = network(), shuffled_loader()
    session = begin(text, model, _sgd(model))
    passes = []
    for epoch in session.epochs():
        count = 0
        for features, labels in session.batches(loader):
            session.optimizer.zero_grad()
            backward(model, features, labels)
            session.step()
            count += 1
        passes.append((epoch, count))
    assert sum(count for _, count in passes) == session.total_updates == updates_
    assert [epoch for epoch, _ in passes] == list(range(epochs))
    assert all(count == 4 for _, count in passes[:-1])


@pytest.mark.parametrize(
    ("text", "sparsity", "entered"),
    [
        ("sparse 50% 0ep lr=0.1; dense 2it", 0.0, 2),
        ("dense 2it lr=0.1; sparse 50% 0ep; dense 2it", 0.0, 3),
        ("dense 2it lr=0.1; sparse 50% 0ep", 0.5, 2),
        ("dense 2it lr=0.1; sparse 50% 0ep; sparse 75% 0ep", 0.75, 3),
        ("sparse 50% 0ep lr=0.1; sparse 75% 0ep", 0.75, 2),
    ],
)
def test_phases_without_updates_are_entered(text: str, sparsity: float, entered: int) -> None:
    """`0ep` phases at the start, between and at the end do what they say."""
    model = network()
    session = begin(text, model, _sgd(model))
    run(session, model)
    assert session.done
    assert session.sparsity()["total"] == sparsity
    assert [event.kind for event in session.events].count("enter") == entered
    assert [event.kind for event in session.events].count("exit") == entered
    zeros = sum(int((model.get_parameter(name) == 0).sum()) for name in ("0.weight", "3.weight", "5.weight"))
    if not sparsity:
        assert not session.masks
        assert zeros < 256 * 0.75
    else:
        assert zeros == 512 * sparsity


@pytest.mark.parametrize(
    "text", ["repeat 5000 { dense 1it lr=0.1; dense 0ep }", "repeat 10000 { dense 0ep lr=0.1 }; dense 1it"]
)
def test_ten_thousand_phases(text: str) -> None:
    """No recursion, no scan of all that is left at every update."""
    model = nn.Linear(2, 2)
    plan = dsd_lang.compile(text)
    begun = time.process_time()
    session = dsd_runtime.attach(plan, model, _sgd(model), steps_per_epoch=4)
    while not session.done:
        session.begin_step()
        session.step()
    assert session.total_updates in (1, 5000)
    assert len(session.state_dict()["prefix"]) >= 10_000
    assert time.process_time() - begun < 30


def test_the_session_costs_little_per_step() -> None:
    """Python's share of an update, masking apart: far below a millisecond."""
    model = nn.Linear(4, 4)
    session = begin("dense 4000it lr=0.1 decay=step(30%,60%,by=0.1)", model, _sgd(model))
    model.weight.grad = torch.zeros_like(model.weight)

    def seconds(step: object, begin_step: object) -> float:
        begun = time.perf_counter()
        for _ in range(500):
            begin_step()  # type: ignore[operator]
            step()  # type: ignore[operator]
        return (time.perf_counter() - begun) / 500

    plain = min(seconds(session.optimizer.step, int) for _ in range(3))
    whole = min(seconds(session.step, session.begin_step) for _ in range(3))
    assert whole - plain < 200e-6


def test_empty_loaders_are_errors() -> None:
    """Nothing to train on is said, not looped over forever."""
    model = network()
    session = begin("dense 1ep lr=0.1", model, _sgd(model))
    with pytest.raises(DsdError, match="no batch"):
        list(session.batches([]))
    with pytest.raises(DsdError, match="had no batches"):
        list(session.epochs())


def test_leaving_a_pass_early_begins_the_next_at_its_first_batch() -> None:
    """`break` in the user's loop."""
    model = network()
    session = begin("dense 5it lr=0.1", model, _sgd(model))
    seen = []
    for epoch in session.epochs():
        for number, (features, labels) in enumerate(session.batches(shuffled_loader())):
            seen.append((epoch, number))
            backward(model, features, labels)
            session.step()
            if number == 1:
                break
    assert seen == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]


def test_misuse_is_a_value_error() -> None:
    """steps_per_epoch must be a whole number of updates."""
    model = network()
    for steps in (0, -1, 2.5):
        with pytest.raises(ValueError, match="steps_per_epoch"):
            begin("dense 1ep lr=0.1", model, _sgd(model), steps=steps)  # type: ignore[arg-type]


def test_steps_per_epoch_may_depend_on_the_phase() -> None:
    """A phase with another `batch=` has other updates to an epoch."""
    model = network()
    plan = dsd_lang.compile("dense 2ep lr=0.1; sparse 50% batch=16 2ep")
    session = dsd_runtime.attach(plan, model, _sgd(model), steps_per_epoch=lambda phase: 2 if phase.batch == 16 else 4)
    assert [(stage.start, stage.end) for stage in session.timeline.stages] == [(0, 8), (8, 12)]


# --- overrides --------------------------------------------------------------------------------------------------------


def test_overrides_last_for_their_phase() -> None:
    """`wd=` and `dropout=` are undone at the next phase that does not say them."""
    model = network(dropout=0.25)
    optimizer = optim.SGD([{"params": model[0].parameters()}, {"params": model[3].parameters(), "weight_decay": 0.0}],
                          lr=0.1, weight_decay=0.01)  # fmt: skip
    session = begin("dense 1it lr=0.1; sparse 50% 1it wd=0.5 dropout=0.75; dense 1it", model, optimizer)
    found = []
    for _ in range(3):
        session.begin_step()
        found.append((model[2].p, *(group["weight_decay"] for group in optimizer.param_groups)))
        one_update(session, model)
    assert found == [(0.25, 0.01, 0.0), (0.75, 0.5, 0.0), (0.25, 0.01, 0.0)]


def test_opt_sets_options_or_replaces_the_optimizer_and_is_undone() -> None:
    """`opt=` of the same class sets options; another class is built for the phase; weight decay and ratios stay."""
    model = network()
    own = optim.SGD([{"params": model[0].parameters(), "lr": 0.05}, {"params": model[3].parameters()}], lr=0.1,
                    momentum=0.9, weight_decay=0.01)  # fmt: skip
    text = (
        "dense 2it; sparse 50% 2it opt=sgd(momentum=0.5, nesterov=on); "
        "dense 2it lr=0.02 opt=adam(beta1=0.8); dense 2it lr=0.1"
    )
    session = begin(text, model, own)
    found = []
    for _ in range(8):
        session.begin_step()
        optimizer = session.optimizer
        group = optimizer.param_groups[0]
        found.append((type(optimizer).__name__, group.get("momentum", group.get("betas")), group["weight_decay"]))
        assert optimizer.param_groups[0]["lr"] == pytest.approx(optimizer.param_groups[1]["lr"] / 2)
        one_update(session, model)
    expected = [("SGD", 0.9, 0.01), ("SGD", 0.5, 0.01), ("Adam", (0.8, 0.999), 0.01), ("SGD", 0.9, 0.01)]
    assert found == [entry for entry in expected for _ in range(2)]
    assert session.optimizer is own
    assert own.param_groups[0]["nesterov"] is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dense 1it lr=0.1; dense 1it dropout=0.5", "no dropout layer"),
        ("dense 1it lr=0.1; dense 1it wd=0.1", "no weight decay"),
    ],
)
def test_an_override_with_nothing_to_act_on_is_refused_at_attach(text: str, message: str) -> None:
    """Not in the middle of a run."""
    model = nn.Linear(4, 4)
    with pytest.raises(DsdError, match=message):
        begin(text, model, optim.Rprop(model.parameters(), lr=0.1))


# --- events -----------------------------------------------------------------------------------------------------------


def test_events_say_what_happened() -> None:
    """Kinds, updates, phases and exact counts; plain data."""
    model = network()
    session = begin("dense 2it lr=0.1; sparse 50% 2it until val.loss < 1; dense 1it", model, _sgd(model))
    for _ in range(3):
        one_update(session, model)
    session.report({"val.loss": 0.5})
    run(session, model)
    kinds = [(event.kind, event.update, event.phase) for event in session.events]
    assert kinds == [("enter", 0, "p0"), ("exit", 2, "p0"), ("enter", 2, "p1"), ("stop", 3, "p1"), ("exit", 3, "p1"),
                     ("enter", 3, "p2"), ("exit", 4, "p2")]  # fmt: skip
    enter = session.events[2].details
    assert enter["sizes"] == {"0.weight": 192, "3.weight": 256, "5.weight": 64}
    assert enter["alive"] == {"0.weight": 96, "3.weight": 128, "5.weight": 32}
    assert enter["lr"] == 0.1
    assert session.events[5].details["revived"] == 256
    assert session.events[3].details["metrics"] == {"val.loss": 0.5}
    assert len(session.events[4].details["mask_hash"]) == 64
    assert session.events[1].details["mask_hash"] != session.events[4].details["mask_hash"]
