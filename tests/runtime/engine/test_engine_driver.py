"""A loop that treats phases one by one (`enters_by_itself=False`), as `dsd-run` does."""

from __future__ import annotations

import pytest
from engine_loops import backward, network, samples
from torch import nn, optim

import dsd_lang
from dsd_runtime import Session, attach


def _driven(text: str, model: nn.Module) -> Session:
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    return attach(dsd_lang.compile(text), model, optimizer, steps_per_epoch=4, enters_by_itself=False)


def _train(session: Session, model: nn.Module) -> None:
    while not session.is_phase_over:
        session.begin_step()
        session.optimizer.zero_grad()
        backward(model, *samples())
        session.step()


def test_each_phase_is_entered_when_it_is_asked_for() -> None:
    """Phases without updates too, which a user's own session enters by itself."""
    model = network()
    session = _driven("dense 2it lr=0.1; sparse 50% 0ep; sparse 90% 0ep; dense 1it lr=0.1; sparse 25% 0ep", model)
    entered = []
    while not session.done:
        entered.append((session.enter_next().index, round(session.sparsity()["total"], 2)))
        _train(session, model)
        session.report({"val.loss": 1.0})
    assert entered == [(0, 0.0), (1, 0.5), (2, 0.9), (3, 0.0), (4, 0.25)]


def test_enter_next_is_only_for_the_end_of_a_phase() -> None:
    model = network()
    session = _driven("dense 2it lr=0.1", model)
    session.enter_next()
    with pytest.raises(ValueError, match="at the end of a phase"):
        session.enter_next()
    _train(session, model)
    with pytest.raises(ValueError, match="only allowed at the end of a phase"):
        session.enter_next()


LOOP = "dense 1it lr=0.1; repeat 3 until val.loss < 1 { sparse 50% 1it lr=0.1; dense 1it lr=0.1 }; dense 1it lr=0.1"


def _after_the_first_cycle(model: nn.Module) -> Session:
    session = _driven(LOOP, model)
    for _ in range(3):
        session.enter_next()
        _train(session, model)
    return session


def test_a_replayed_past_decides_what_comes_next() -> None:
    """The metrics of phases trained elsewhere count as if they had been reported here."""
    for loss, expected in ((0.5, 7), (2.0, 3)):
        model = network()
        session = _after_the_first_cycle(model)
        phases = session.plan.phases
        session.replay([(phases[0], {}), (phases[1], {"val.loss": 5.0}), (phases[2], {"val.loss": loss})])
        assert session.enter_next().index == expected


def test_a_replayed_past_with_skipped_phases() -> None:
    """The last phase trained is not left twice: a cycle is counted once."""
    model = network()
    session = _after_the_first_cycle(model)
    phases = session.plan.phases
    trained = [(phases[0], {}), (phases[1], {}), (phases[2], {"val.loss": 0.5})]
    session.replay([*trained, *((phase, None) for phase in phases[3:7])])
    assert session.enter_next().index == 7
    assert session.done is False


def test_release_gives_the_model_back_its_dropout() -> None:
    model = network(dropout=0.2)
    session = _driven("dense 1it lr=0.1 dropout=0.5", model)
    session.enter_next()
    assert model[2].p == 0.5
    session.release()
    assert model[2].p == 0.2
