"""NaN and infinity are found and named at phase ends, after each pass, at reports and before saving (row 23)."""

from __future__ import annotations

import math

import pytest
import torch
from engine_loops import backward, begin, network, one_update, samples, shuffled_loader
from torch import nn, optim

from dsd_lang.base.errors import DsdError
from dsd_runtime import Session


def _sgd(model: nn.Module) -> optim.Optimizer:
    return optim.SGD(model.parameters(), lr=0.1)


def _break(model: nn.Sequential, value: float = math.nan) -> None:
    with torch.no_grad():
        model[3].weight[2, 1] = value


def _begun(text: str = "dense 3it lr=0.1; dense 3it") -> tuple[Session, nn.Sequential]:
    model = network()
    return begin(text, model, _sgd(model)), model


def _update(session: Session, model: nn.Sequential, gradient: float) -> None:
    session.begin_step()
    session.optimizer.zero_grad()
    backward(model, *samples())
    model[3].weight.grad[2, 1] = gradient
    session.step()


@pytest.mark.parametrize(("value", "word"), [(math.nan, "nan"), (math.inf, "infinite"), (-math.inf, "infinite")])
def test_a_gradient_at_the_last_update_of_a_phase(value: float, word: str) -> None:
    """Nothing comes after it that could notice: the weight is named, and the schedule does not go on."""
    session, model = _begun()
    one_update(session, model)
    one_update(session, model)
    with pytest.raises(DsdError, match=rf"^`3\.weight` is {word} at update 3, in phase `p0`"):
        _update(session, model, value)
    assert session.phase.index == 0
    with pytest.raises(DsdError, match=r"`3\.weight`"):
        session.begin_step()
    assert session.phase.index == 0


def test_the_last_update_of_the_schedule() -> None:
    session, model = _begun("dense 1it lr=0.1")
    with pytest.raises(DsdError, match=r"`3\.weight` is nan at update 1"):
        _update(session, model, math.nan)


def test_a_gradient_that_has_not_reached_the_weight() -> None:
    """A rate of 0 in a group, or an optimizer that takes signs, keeps it from showing in the weight."""
    model = network()
    session = begin("dense 1it lr=0.1", model, optim.Rprop(model.parameters(), lr=0.1))
    with pytest.raises(DsdError, match=r"the gradient of `3\.weight` is infinite at update 1"):
        _update(session, model, math.inf)
    assert all(bool(weight.isfinite().all()) for weight in model.parameters())


def test_at_reports_and_after_a_pass() -> None:
    session, model = _begun("dense 3ep lr=0.1")
    batches = session.batches(shuffled_loader())
    for _ in range(4):
        features, labels = next(batches)
        session.optimizer.zero_grad()
        backward(model, features, labels)
        session.step()
    _break(model)
    with pytest.raises(DsdError, match=r"`3\.weight` is nan at update 4"):
        next(batches)
    with pytest.raises(DsdError, match=r"`3\.weight` is nan at update 4"):
        session.report({"val.loss": 0.3})
    with pytest.raises(DsdError, match=r"`3\.weight` is nan at update 4"):
        session.require_finite()


def test_the_first_weight_of_the_model_is_named() -> None:
    session, model = _begun()
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(math.nan)
    with pytest.raises(DsdError, match=r"^`0\.weight` is nan"):
        session.report({})


def test_buffers_count_where_they_began_finite() -> None:
    """Batch-norm statistics count; a causal mask of -inf and a frozen weight that is not finite are meant."""
    model = nn.Sequential(nn.Linear(12, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
    model.register_buffer("mask", torch.full((3, 3), -math.inf).triu(1))
    model.register_parameter("table", nn.Parameter(torch.full((2,), math.inf), requires_grad=False))
    session = begin("dense 4it lr=0.1", model, optim.SGD([w for w in model.parameters() if w.requires_grad], lr=0.1))
    one_update(session, model)
    session.report({"val.loss": 1.0})
    model[1].running_var[0] = math.nan
    with pytest.raises(DsdError, match=r"`1\.running_var` is nan"):
        session.report({"val.loss": 1.0})


def test_half_precision_and_complex_weights_are_watched_too() -> None:
    for dtype in (torch.bfloat16, torch.float16, torch.complex64):
        model = nn.Module()
        model.weight = nn.Parameter(torch.zeros(3, 3, dtype=dtype))
        session = begin("dense 4it lr=0.1", model, _sgd(model))
        session.require_finite()
        model.weight.data[1, 1] = math.nan
        with pytest.raises(DsdError, match="`weight` is nan"):
            session.require_finite()


def test_gradients_of_a_skipped_update_are_none_of_the_phase_s() -> None:
    """A scaler has skipped the update and `until` ends the phase: nothing that is not finite was applied."""
    session, model = _begun("dense 8it lr=0.1 until val.loss < 1; dense 1it")
    one_update(session, model)
    scaler = torch.amp.GradScaler("cpu")
    session.begin_step()
    session.optimizer.zero_grad()
    scaler.scale(nn.functional.cross_entropy(model(samples()[0]), samples()[1]) * math.inf).backward()
    assert not session.step(scaler=scaler)
    session.report({"val.loss": 0.5})
    assert session.is_phase_over
