"""Which way a metric is better: known for dsd's own, declared for a user's, guessed for none."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from engine_loops import begin, network, one_update, updates
from torch import nn, optim

from dsd_lang.base.errors import DsdError
from dsd_runtime import Session
from dsd_runtime.engine.metric_table import MetricTable, known_direction


def _begun(text: str, **options: Any) -> tuple[Session, nn.Sequential]:
    model = network()
    return begin(text, model, optim.SGD(model.parameters(), lr=0.1), **options), model


@pytest.mark.parametrize(
    ("metric", "better"),
    [
        ("val.loss", "lower"),
        ("test.top5_err", "lower"),
        ("val.wer", "lower"),
        ("val.ppl", "lower"),
        ("val.acc", "higher"),
        ("test.bleu4_bp", "higher"),
        ("sparsity", "higher"),
        ("entropy.relu", "higher"),
        ("val.f1", None),
        ("val.accuracy_gap", None),
        ("account.balance", None),
    ],
)
def test_directions_are_known_by_the_whole_name(metric: str, better: str | None) -> None:
    assert known_direction(metric) == better


PLATEAU = "dense 8it lr=0.1 until plateau(val.f1, patience=2); dense 1it"


def test_an_undeclared_metric_that_needs_a_direction_is_an_error_at_the_first_report() -> None:
    for text in (PLATEAU, f"dense 2it lr=0.1; {PLATEAU}", "repeat 3 until gain(val.f1) < 0.1 { dense 2it lr=0.1 }"):
        session, model = _begun(text)
        one_update(session, model)
        with pytest.raises(DsdError, match=r"whether a higher `val\.f1` is better was not said") as caught:
            session.report({"val.f1": 0.5})
        assert '{"val.f1": "higher"}' in str(caught.value.help)


def test_a_threshold_needs_no_direction() -> None:
    session, model = _begun("dense 8it lr=0.1 until val.f1 > 0.4")
    one_update(session, model)
    session.report({"val.f1": 0.5})
    assert session.is_phase_over


@pytest.mark.parametrize(("better", "phase_updates"), [("higher", 8), ("lower", 3)])
def test_a_declared_direction_decides(better: Any, phase_updates: int) -> None:
    """Values that grow are no plateau where higher is better, and one at once where lower is."""
    for as_report in (False, True):
        session, model = _begun(PLATEAU, **({} if as_report else {"metrics": {"val.f1": better}}))
        keyword: dict[str, Any] = {f"{better}_is_better": {"val.f1"}} if as_report else {}
        count = 0
        for done in updates(session, model):
            if session.phase.index == 0:
                count = done
                session.report({"val.f1": 0.1 * done}, **keyword)
        assert count == phase_updates


def test_best_goes_by_the_declared_direction() -> None:
    model = network()
    text = "a: dense 3it lr=0.5; sparse 50% 2it from=@a.best"
    options: dict[str, Any] = {"best_metric": "val.f1", "metrics": {"val.f1": "higher"}}
    session = begin(text, model, optim.SGD(model.parameters(), lr=0.1), **options)
    for value in (0.2, 0.9, 0.4):
        one_update(session, model)
        session.report({"val.f1": value})
        if value == 0.9:
            best = model[0].bias.detach().clone()
    session.begin_step()
    assert bool((model[0].bias == best).all())
    session, model = _begun(text, best_metric="val.f1")
    one_update(session, model)
    with pytest.raises(DsdError, match=r"`val\.f1`"):
        session.report({"val.f1": 0.1})


def test_what_was_declared_survives_a_resume() -> None:
    """The condition of a loop is asked at the boundary, before anything is reported again."""
    text = "repeat 3 until gain(val.f1) < 0.1 { dense 2it lr=0.1 }; dense 1it"
    session, model = _begun(text)
    for value in (0.1, 0.5):
        one_update(session, model)
        one_update(session, model)
        session.report({"val.f1": value}, higher_is_better=["val.f1"])
    state = copy.deepcopy(session.state_dict())
    resumed, other = _begun(text)
    resumed.load_state_dict(state)
    one_update(resumed, other)
    assert resumed.phase.index == 2


def test_declarations_that_make_no_sense() -> None:
    with pytest.raises(DsdError, match="declared as 'up'"):
        MetricTable(declared={"val.f1": "up"})  # type: ignore[dict-item]
    session, model = _begun(PLATEAU, metrics={"val.f1": "lower"})
    one_update(session, model)
    with pytest.raises(DsdError, match="declared both ways"):
        session.report({"val.f1": 0.1}, higher_is_better={"val.f1"})
    with pytest.raises(DsdError, match=r"names `val\.f2`, which is not reported with it"):
        session.report({"val.f1": 0.1}, lower_is_better={"val.f2"})
    session.report({"val.f1": 0.1}, lower_is_better="val.f1")


def test_whoever_listens_hears_every_report() -> None:
    heard: list[dict[str, float]] = []
    session, model = _begun("dense 2it lr=0.1", on_report=lambda metrics: heard.append(dict(metrics)))
    one_update(session, model)
    session.report({"val.loss": 1, "val.f1": 0.5})
    assert heard == [{"val.loss": 1.0, "val.f1": 0.5}]
