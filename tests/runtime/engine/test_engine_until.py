"""`until` on phases and loops, `@label.best`, and the same decisions taken from the metrics of finished phases."""

from __future__ import annotations

import math

import pytest
import torch
from engine_loops import begin, network, one_update, updates
from torch import nn, optim

import dsd_lang
from dsd_lang.base.errors import DsdError
from dsd_runtime.engine.conditions import replayed
from dsd_runtime.engine.metric_table import MetricTable


def _sgd(model: nn.Module) -> optim.Optimizer:
    return optim.SGD(model.parameters(), lr=0.1)


def _with_reports(text: str, losses: list[float], metric: str = "val.loss", **options: object) -> list[int]:
    """The phase of each update when the values are reported after every second update."""
    model = network()
    session = begin(text, model, _sgd(model), **options)
    phases, values = [], iter(losses)
    for done in updates(session, model):
        phases.append(session.phase.index)
        if done % 2 == 0:
            session.report({metric: next(values, losses[-1])})
    return phases


def test_until_a_threshold() -> None:
    """`until val.loss < 0.5`: decided at reports; the phase's length is the bound."""
    assert _with_reports("dense 8it lr=0.1 until val.loss < 0.5; dense 2it", [0.9, 0.4]) == [0] * 4 + [1] * 2
    assert _with_reports("dense 6it lr=0.1 until val.loss < 0.5; dense 2it", [0.9]) == [0] * 6 + [1] * 2


def test_until_in_percent_points() -> None:
    """`10%` is 10 for a metric in percent points, and 0.1 for others."""
    text = "dense 6it lr=0.1 until val.err < 10%; dense 1it"
    assert _with_reports(text, [9.0], "val.err", percent_metrics=["val.err"]) == [0] * 2 + [1]
    assert _with_reports(text, [9.0], "val.err") == [0] * 6 + [1]
    assert _with_reports(text, [0.09], "val.err") == [0] * 2 + [1]


def test_until_plateau() -> None:
    """`plateau(val.loss, patience=2, delta=0.1)`: two reports without an improvement of more than 0.1."""
    text = "dense 20it lr=0.1 until plateau(val.loss, patience=2, delta=0.1); dense 2it"
    assert _with_reports(text, [1.0, 0.8, 0.75, 0.5, 0.45, 0.41]).count(0) == 12
    assert _with_reports(text, [1.0, math.nan, math.nan]).count(0) == 6


def test_a_loop_ends_when_the_gain_of_a_cycle_is_small() -> None:
    """`repeat N until gain(...)`: judged at the end of each cycle, by what was reported within it."""
    text = "dense 2it lr=0.1; repeat 4 until gain(val.loss) < 0.1 { sparse 50% 2it lr=0.1; dense 2it }; dense 2it"
    phases = _with_reports(text, [2.0, 1.9, 1.5, 1.6, 1.45])
    assert phases == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 9, 9]


def test_a_loop_ends_when_accuracy_drops() -> None:
    """`drop(val.acc) > 2%`."""
    text = "dense 2it lr=0.1; repeat 3 until drop(val.acc) > 2% { sparse 50% 2it lr=0.1 }; dense 2it"
    assert _with_reports(text, [0.9, 0.89, 0.86], "val.acc") == [0, 0, 1, 1, 2, 2, 4, 4]


def test_a_cycle_is_not_judged_by_an_earlier_cycle_s_reports() -> None:
    """A cycle that has reported nothing yet has not failed to gain; the rest is entered only when that is decided."""
    model = network()
    text = "dense 1it lr=0.1; repeat 3 until gain(val.loss) < 0.1 { dense 2it lr=0.1 }; sparse 50% 0ep"
    session = begin(text, model, _sgd(model))
    losses = iter([3.0, 2.0, 1.0, 0.99])
    for update in range(1, 8):
        one_update(session, model)
        if update % 2:
            assert not session.masks or update == 7, "nothing but the end is left after the last cycle"
            assert not session.done or update == 7
            session.report({"val.loss": next(losses)})
    assert session.done
    assert session.sparsity()["total"] == 0.5
    model = network()
    session = begin(text, model, _sgd(model))
    for update in range(1, 4):
        one_update(session, model)
        if update % 2:
            session.report({"val.loss": 1.0})
    assert session.done, "the report ended the loop, and what is left has no updates"
    assert session.sparsity()["total"] == 0.5


def test_best_is_the_best_report_of_the_phase() -> None:
    """`@label.best`; a value that is NaN improves nothing; without any report the error says so."""
    model = network()
    text = "a: dense 6it lr=0.5; sparse 50% 2it from=@a.best"
    session = begin(text, model, _sgd(model))
    best: dict[str, torch.Tensor] = {}
    for loss in (math.nan, 0.9, 0.4, 0.7, math.nan, 0.5):
        one_update(session, model)
        session.report({"val.loss": loss})
        if loss == 0.4:
            best = {name: value.clone() for name, value in model.state_dict().items()}
    session.begin_step()
    assert torch.equal(model[0].bias, best["0.bias"])
    mask = session.masks["0.weight"]
    assert torch.equal(model[0].weight[mask], best["0.weight"][mask])
    session = begin(text, model, _sgd(model))
    for _ in range(6):
        one_update(session, model)
    with pytest.raises(DsdError, match="no metric was reported"):
        session.begin_step()


NESTED = """set lr=0.1
dense 2it
repeat 3 until val.loss < 1 { dense 2it; repeat 2 until val.loss < 2 { sparse 50% 2it; dense 2it } }
dense 2it"""


def test_a_loop_that_ends_early_ends_the_cycle_of_the_loop_around_it() -> None:
    """The outer loop is judged also when the last phase of its cycle was skipped by the inner one."""
    assert _with_reports(NESTED, [9, 9, 9, 0.5, 9]) == [0, 0, 1, 1, 2, 2, 3, 3, 16, 16]
    assert _with_reports(NESTED, [9, 9, 9, 1.5, 9, 9, 0.5]) == [0, 0, 1, 1, 2, 2, 3, 3, 6, 6, 7, 7, 8, 8, 16, 16]


def test_finished_phases_decide_as_the_session_did() -> None:
    """What `replayed` says of phases and metrics on disk is what the session did."""
    phases = dsd_lang.compile(NESTED).phases
    losses: list[float | None] = [9, 9, 9, 1.5, None, None, 9, 9, 0.5, None, None]
    past = [(phase, None if loss is None else {"val.loss": loss}) for phase, loss in zip(phases, losses, strict=False)]
    for count, ended in [(4, {"loop1"}), (6, {"loop1"}), (8, {"loop1"}), (11, {"loop0", "loop1", "loop2"})]:
        assert replayed(past[:count], MetricTable(), closes_last=True)[1] == ended
    for count, ended in [(4, set()), (6, set()), (7, {"loop1"}), (11, {"loop1"})]:
        assert replayed(past[:count], MetricTable(), closes_last=False)[1] == ended


def test_a_rate_that_hangs_on_a_skipped_phase_is_that_of_the_last_one_trained() -> None:
    """`lr=last` after a loop means the cycle that was trained last."""
    model = network()
    text = "dense 2it lr=0.4; repeat 3 until val.loss < 1 { sparse 50% 2it lr=0.2; dense 4it decay=cosine floor=0.01 }"
    session = begin(text + "; dense 2it lr=last", model, _sgd(model))
    assert session.plan.phases[-1].lr.phase != session.plan.phases[2].id
    for _ in updates(session, model):
        session.report({"val.loss": 0.5})
    assert [event.phase for event in session.events if event.kind == "enter"] == ["p0", "p1", "p2", "p7"]
