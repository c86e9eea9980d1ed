"""`by=movement`: the closed form under a constant gradient, and what the scores choose."""

from __future__ import annotations

import pytest
import torch
from engine_loops import begin
from torch import Tensor, nn, optim

from dsd_runtime import Session

START = torch.tensor([[1.0, -0.5, 0.25, 2.0, -1.5, 0.75, -0.125, 0.5]], dtype=torch.float64)
GRADIENT = torch.tensor([[0.5, 0.25, -0.5, 1.0, -0.25, 0.125, 0.5, -1.0]], dtype=torch.float64)
RATE = 0.125


def _trained(text: str) -> tuple[Session, nn.Linear]:
    """A linear loss: the gradient of the weights is always the same."""
    model = nn.Linear(8, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(START)
    session = begin(text, model, optim.SGD(model.parameters(), lr=RATE))
    while not session.done:
        session.begin_step()
        session.optimizer.zero_grad()
        model(GRADIENT).sum().backward()
        session.step()
    return session, model


def _closed_form(updates: int, score_lr: float) -> Tensor:
    """S = -a sum of (w - r t g) g over t = 0 ... T - 1."""
    steps = updates * (updates - 1) / 2
    return (-score_lr * (updates * START * GRADIENT - RATE * steps * GRADIENT.square())).float()


@pytest.mark.parametrize("score_lr", ["1e-2", "0.5"])
def test_scores_under_a_constant_gradient(score_lr: str) -> None:
    """With `ste` all weights move by the gradient, whatever the masks are."""
    session, _ = _trained(f"sparse 50% 6it lr={RATE} by=movement(score_lr={score_lr}) enforce=ste")
    scores = session.boundary.acting.scores.values["weight"]
    assert torch.allclose(scores, _closed_form(6, float(score_lr)), rtol=1e-6, atol=0)
    assert torch.equal(session.dense_weights()["weight"], START - RATE * 6 * GRADIENT)
    mask = session.masks["weight"]
    assert mask.sum() == 4
    assert scores[mask].min() > scores[~mask].max()


def test_a_ramp_keeps_what_moves_away_from_zero_and_values_wait() -> None:
    """With `hard` masks only kept weights move; a pruned one keeps its value, and its score goes on from there."""
    session, model = _trained(f"sparse 0->50% every=4it 8it lr={RATE} by=movement")
    after_four = _closed_form(4, 1e-2)
    kept = after_four.flatten().argsort(descending=True)[:4]
    assert session.masks["weight"].flatten().nonzero().flatten().tolist() == sorted(kept.tolist())
    at_four = START - RATE * 4 * GRADIENT
    pruned = ~session.masks["weight"]
    assert torch.equal(session.dense_weights()["weight"][pruned], at_four[pruned])
    assert torch.equal(model.weight.detach()[~pruned], (START - RATE * 8 * GRADIENT)[~pruned])
    assert not model.weight.detach()[pruned].any()
    waiting = after_four - (0.01 * 4 * at_four * GRADIENT).float()
    scores = session.boundary.acting.scores.values["weight"]
    assert torch.allclose(scores[pruned], waiting[pruned], rtol=1e-5)


def test_the_first_selection_is_by_magnitude() -> None:
    model = nn.Linear(8, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(START)
    session = begin(
        f"sparse 25%->50% every=1it 4it lr={RATE} by=movement", model, optim.SGD(model.parameters(), lr=RATE)
    )
    assert (~session.masks["weight"]).flatten().nonzero().flatten().tolist() == [2, 6]
