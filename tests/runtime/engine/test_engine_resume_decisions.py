"""What a session has seen decides what comes next: a resumed one must have seen it too. Row 17, part by part.

Each schedule is trained with scripted reports after every update. From each state saved on the way a fresh session goes
on with the rest of the script, and must end where the first one did, through the same phases.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from engine_loops import begin, network, one_update
from torch import nn, optim

from dsd_runtime import Session

SCRIPTS: dict[str, tuple[str, str, list[float]]] = {
    "best": ("a: dense 5it lr=0.5; sparse 50% 2it lr=0.1 from=@a.best", "val.loss", [0.9, 0.4, 0.8, 0.7, 0.6]),
    "best of a higher metric": ("a: dense 4it lr=0.5; dense 2it lr=0.1 from=@a.best", "val.acc", [0.9, 0.4, 0.8, 0.7]),
    "best of each phase": (
        "a: dense 2it lr=0.5; b: dense 3it lr=0.4; dense 2it from=@b.best lr=0.1",
        "val.loss", [0.1, 0.2, 0.9, 0.7, 0.8],
    ),
    "plateau": (
        "dense 9it lr=0.1 until plateau(val.loss, patience=3); sparse 50% 2it", "val.loss", [0.5, 0.6, 0.7, 0.8],
    ),
    "plateau after a new best": (
        "dense 9it lr=0.1 until plateau(val.loss, patience=2); dense 2it", "val.loss", [0.9, 1.0, 0.8, 0.9, 0.85, 0.1],
    ),
    "plateau of the second phase": (
        "dense 3it lr=0.1; dense 9it lr=0.1 until plateau(val.loss, patience=2); dense 2it",
        "val.loss", [0.1, 0.2, 0.3, 0.9, 0.8, 0.85, 0.81],
    ),
    "gain": (
        "dense 1it lr=0.1; repeat 5 until gain(val.loss) < 0.1 { sparse 50% 1it lr=0.1; dense 1it }; dense 2it",
        "val.loss", [2.0, 1.9, 1.5, 1.6, 1.2, 1.3, 1.15],
    ),
    "drop": (
        "dense 1it lr=0.1; repeat 6 until drop(val.acc) > 0.3 { dense 1it lr=0.1 }; sparse 50% 2it",
        "val.acc", [0.5, 0.9, 0.8, 0.7, 0.55, 0.5],
    ),
    "falling": (
        "repeat 9 until falling(val.acc, rounds=3) { dense 1it lr=0.1 }; sparse 50% 2it",
        "val.acc", [0.5, 0.9, 0.8, 0.85, 0.7, 0.6, 0.55],
    ),
    "nested loops": (
        "set lr=0.1; dense 1it; repeat 3 until val.loss < 1 { dense 1it; repeat 2 until val.loss < 2 "
        "{ sparse 50% 1it; dense 1it } }; dense 2it",
        "val.loss", [9, 9, 9, 1.5, 9, 9, 9, 9, 0.5],
    ),
    "last rate": (
        "dense 4it lr=0.8 decay=linear floor=0.2 until val.loss < 0.5; dense 3it lr=last/2 decay=linear floor=0.05; "
        "dense 2it lr=last",
        "val.loss", [0.9, 0.8, 0.4, 0.9],
    ),
    "last rate of a skipped phase": (
        "dense 1it lr=0.4; repeat 3 until val.loss < 1 { sparse 50% 1it lr=0.2; dense 2it decay=cosine floor=0.01 }; "
        "dense 3it lr=last",
        "val.loss", [9, 9, 9, 0.5],
    ),
    "saved values": (
        "dense 2it lr=0.3; sparse 50% 2it; sparse 80% 2it; dense 2it restore=saved", "val.loss", [0.5],
    ),
    "a moment": (
        "a: dense 4it lr=0.3; sparse 60% from=@a.2it 2it clock=@a.2it decay=linear; dense 1it restore=@a.start",
        "val.loss", [0.5],
    ),
    "a ramp": (
        "sparse 0->80% every=2it 7it lr=0.1; dense 1it restore=saved", "val.loss", [0.5],
    ),
    "a random ramp": (
        "dense 3it lr=0.1; sparse 0->80% every=2it 7it by=random; dense 1it", "val.loss", [0.5],
    ),
}  # fmt: skip


@dataclass
class Trace:
    """Where a session went: the phase, rate and masked weights of each update, and how it ended."""

    updates: list[tuple[int, float, int]]
    weights: list[torch.Tensor]
    events: list[tuple[str, int, str]]


def _options(metric: str) -> dict[str, Any]:
    return {"best_metric": metric, "seed": 3}


def _model(seed: int) -> tuple[nn.Module, optim.Optimizer]:
    model = network(seed)
    return model, optim.SGD(model.parameters(), lr=0.2, momentum=0.9)


def _go_on(
    session: Session, model: nn.Module, metric: str, script: list[float], saves: list[Any] | None = None
) -> Trace:
    """Trains to the end; keeps the state before each forward pass, after each update and after each report."""

    def keep(done: int, where: str) -> None:
        if saves is not None:
            saves.append((done, where, copy.deepcopy((model.state_dict(), session.state_dict()))))

    updates = []
    while not session.done:
        session.begin_step()
        keep(len(updates), "begun")
        masked = sum(int((~mask).sum()) for mask in session.masks.values())
        updates.append((session.phase.index, session.phase.lr, masked))
        one_update(session, model)
        keep(len(updates), "updated")
        session.report({metric: script[min(session.total_updates, len(script)) - 1]})
        keep(len(updates), "reported")
    weights = [weight.detach().clone() for weight in model.parameters()]
    return Trace(updates, weights, [(event.kind, event.update, event.phase) for event in session.events])


@pytest.mark.filterwarnings("ignore:phase")
@pytest.mark.parametrize("name", SCRIPTS)
def test_a_resumed_session_decides_as_the_one_that_was_saved(name: str) -> None:
    text, metric, script = SCRIPTS[name]
    model, optimizer = _model(0)
    saves: list[Any] = []
    whole = _go_on(begin(text, model, optimizer, **_options(metric)), model, metric, script, saves)
    assert whole.updates[-1][0] == len(begin(text, *_model(0), **_options(metric)).plan.phases) - 1
    for done, where, (weights, state) in saves:
        model, optimizer = _model(9)
        session = begin(text, model, optimizer, **_options(metric))
        model.load_state_dict(weights)
        session.load_state_dict(state)
        if where == "updated":
            session.report({metric: script[min(session.total_updates, len(script)) - 1]})
        rest = _go_on(session, model, metric, script)
        assert rest.updates == whole.updates[done:], (done, where)
        assert rest.events == whole.events, (done, where)
        assert all(torch.equal(a, b) for a, b in zip(rest.weights, whole.weights, strict=True)), (done, where)


def test_the_scripts_end_phases_and_loops_early() -> None:
    """So that a decision is there to be lost."""
    ended = {"plateau": 4, "plateau after a new best": 5, "gain": 7, "falling": 7, "drop": 5}
    for name, updates in ended.items():
        text, metric, script = SCRIPTS[name]
        model, optimizer = _model(0)
        trace = _go_on(begin(text, model, optimizer, **_options(metric)), model, metric, script)
        last = trace.updates[-1][0]
        before = [index for index, _, _ in trace.updates if index != last]
        assert len(before) == updates, name


def test_the_groups_rates_are_those_of_the_run_that_was_saved() -> None:
    """A phase that says no rate goes on with the one the run began with, not with that of the new optimizer."""

    def attached(first: float, second: float) -> tuple[Session, nn.Module, optim.Optimizer]:
        model = network()
        groups = [{"params": model[0].parameters()}, {"params": model[3].parameters(), "lr": second}]
        optimizer = optim.SGD(groups, lr=first)
        return begin("dense 2it; dense 2it", model, optimizer), model, optimizer

    session, model, _ = attached(0.3, 0.06)
    one_update(session, model)
    state = copy.deepcopy(session.state_dict())
    session, model, optimizer = attached(1.0, 1.0)
    session.load_state_dict(state)
    one_update(session, model)
    session.begin_step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.3, 0.06]


def test_a_state_that_was_loaded_can_be_loaded_again() -> None:
    """What a session does after it took a state changes nothing in that state."""
    text = "dense 2it lr=0.8 decay=linear floor=0.2 until val.loss < 0; dense 2it lr=last; dense 2it lr=last/2"
    model, optimizer = _model(0)
    session = begin(text, model, optimizer)
    one_update(session, model)
    weights, state = copy.deepcopy((model.state_dict(), session.state_dict()))
    plain = {name: value for name, value in state.items() if name != "overrides"}  # as in torch, those are shared
    before = repr(plain)
    ends = []
    for _ in range(2):
        model, optimizer = _model(1)
        session = begin(text, model, optimizer)
        model.load_state_dict(weights)
        session.load_state_dict(state)
        ends.append(_go_on(session, model, "val.loss", [0.5]))
    assert ends[0].updates == ends[1].updates
    assert repr(plain) == before


def test_the_condition_of_a_loop_may_be_edited_while_it_runs() -> None:
    """What was trained did not hang on it; what comes does."""
    text = "dense 1it lr=0.1; repeat 4 until val.loss < {} {{ sparse 50% 1it lr=0.1; dense 1it }}; dense 1it"
    model, optimizer = _model(0)
    session = begin(text.format("0.1"), model, optimizer)
    for _ in range(3):
        one_update(session, model)
        session.report({"val.loss": 0.5})
    weights, state = copy.deepcopy((model.state_dict(), session.state_dict()))
    for limit, phases in (("0.1", [3, 4, 5, 6, 7, 8, 9]), ("0.9", [9])):
        other, optimizer = _model(0)
        resumed = begin(text.format(limit), other, optimizer)
        other.load_state_dict(weights)
        resumed.load_state_dict(copy.deepcopy(state))
        seen = []
        while not resumed.done:
            resumed.begin_step()
            seen.append(resumed.phase.index)
            one_update(resumed, other)
            resumed.report({"val.loss": 0.5})
        assert seen == phases


def test_the_place_in_the_data_is_saved() -> None:
    """`clock=@ref` finds the data again by it."""
    model, optimizer = _model(0)
    session = begin("dense 4it lr=0.1", model, optimizer)
    one_update(session, model)
    session.set_data_position(3, 5)
    state = copy.deepcopy(session.state_dict())
    resumed = begin("dense 4it lr=0.1", *_model(1))
    resumed.load_state_dict(state)
    assert resumed.data_position == (3, 5)
    assert (resumed.phase, resumed.total_updates) == (session.phase, session.total_updates)


def test_a_ramp_does_not_select_again_where_it_just_did() -> None:
    """Saved between the selection and its update, as a loop of one's own may: the update is still due, and only it."""
    text = "sparse 0->80% every=2it 6it lr=0.1"
    model, optimizer = _model(0)
    session = begin(text, model, optimizer)
    one_update(session, model)
    one_update(session, model)
    session.begin_step()
    kinds = [event.kind for event in session.events]
    assert kinds.count("select") == 1
    saved = copy.deepcopy((model.state_dict(), session.state_dict()))
    model, optimizer = _model(5)
    session = begin(text, model, optimizer)
    model.load_state_dict(saved[0])
    session.load_state_dict(saved[1])
    nn.functional.cross_entropy(model(torch.randn(8, 12)), torch.zeros(8, dtype=torch.int64)).backward()
    assert session.step()
    assert [event.kind for event in session.events] == kinds
