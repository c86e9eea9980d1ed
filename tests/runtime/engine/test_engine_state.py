"""Optimizer state at boundaries and under masks: rows 1 and 2 of the engine's table."""

from __future__ import annotations

import warnings

import pytest
import torch
from engine_loops import assert_masked, backward, begin, network, one_update, run, samples
from torch import nn, optim

SCHEDULE = "dense 5it lr=0.01; sparse 70% 50it lr=0.01"
VARIANTS = [{}, {"foreach": True}, {"foreach": False}]
FUSED = [*VARIANTS, {"fused": True}]
OPTIMIZERS = [
    *((optim.SGD, {"momentum": 0.9, "weight_decay": 1e-2, **variant}) for variant in FUSED),
    *((optim.SGD, {"momentum": 0.9, "nesterov": True, **variant}) for variant in FUSED),
    *((optim.Adam, {"weight_decay": 1e-2, **variant}) for variant in FUSED),
    (optim.Adam, {"amsgrad": True}),
    *((optim.AdamW, {"weight_decay": 0.1, **variant}) for variant in FUSED),
    *((optim.RMSprop, {"momentum": 0.9, "centered": True, **variant}) for variant in VARIANTS),
    *((optim.Adagrad, {"initial_accumulator_value": 0.5, **variant}) for variant in FUSED),
    *((optim.Adamax, variant) for variant in VARIANTS),
    *((optim.NAdam, variant) for variant in VARIANTS),
    *((optim.RAdam, variant) for variant in VARIANTS),
    *((optim.Rprop, variant) for variant in VARIANTS),
    *((optim.Adadelta, variant) for variant in VARIANTS),
    (optim.Adafactor, {}),
    *((optim.ASGD, variant) for variant in VARIANTS),
]


def named(case: tuple[type, dict[str, object]]) -> str:
    kind, options = case
    return "-".join([kind.__name__, *(f"{key}={value}" for key, value in options.items())])


@pytest.mark.parametrize("case", OPTIMIZERS, ids=named)
def test_nothing_comes_back_off_the_mask(case: tuple[type, dict[str, object]]) -> None:
    """Row 1: weights, gradients and same-shape state stay +0.0 off the mask after 1, 2, ... 50 updates."""
    kind, options = case
    model = network()
    session = begin(SCHEDULE, model, kind(model.parameters(), lr=0.01, **options))
    before = [weight.clone() for weight in model.parameters()]
    while session.total_updates < 5:
        one_update(session, model)
    for done in range(1, 51):
        one_update(session, model)
        if done in (1, 2, 50):
            assert_masked(session, model)
    assert session.done
    alive = [not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)]
    assert all(alive), "the survivors were trained"
    assert session.sparsity()["total"] == pytest.approx(0.7, abs=0.01)


@pytest.mark.parametrize("state", ["zero", "reset", "keep"])
@pytest.mark.parametrize("kind", [optim.SGD, optim.AdamW, optim.Adagrad, optim.Adamax, optim.Rprop, optim.Adafactor])
def test_every_choice_of_state_keeps_the_mask(kind: type, state: str) -> None:
    """Row 1, for `state=zero|reset|keep`, through sparse, re-dense and sparse again."""
    model = network()
    text = f"dense 3it lr=0.01; sparse 50% 3it state={state}; dense 3it state={state}; sparse 80% 3it state={state}"
    session = begin(text, model, kind(model.parameters(), lr=0.01))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while not session.done:
            one_update(session, model)
            if session.masks:
                assert_masked(session, model)


def test_muon_keeps_the_mask() -> None:
    """Row 1: Muon orthogonalises whole matrices, so masking the gradients alone would revive every weight."""
    model = network(bias=False)
    session = begin(SCHEDULE, model, optim.Muon(model.parameters(), lr=0.01))
    while not session.done:
        one_update(session, model)
        if session.masks:
            assert_masked(session, model)


def test_lbfgs_with_a_closure_keeps_the_mask_at_every_evaluation() -> None:
    """Row 1: the closure never sees a revived weight, and the loss falls."""
    model = network()
    optimizer = optim.LBFGS(model.parameters(), lr=0.5, max_iter=4, line_search_fn="strong_wolfe")
    session = begin("dense 3it; sparse 60% 6it", model, optimizer)
    losses: list[float] = []

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        for name, mask in session.masks.items():
            assert not bool(model.get_parameter(name)[~mask].any())
        loss = backward(model, *samples())
        losses.append(float(loss.detach()))
        return loss

    while not session.done:
        session.begin_step()
        assert session.step(closure=closure)
        if session.masks:
            assert_masked(session, model)
    assert losses[-1] < losses[0]


def test_sparse_gradients_are_masked() -> None:
    """Row 1: an embedding with sparse gradients under SparseAdam."""
    torch.manual_seed(0)
    model = nn.Embedding(10, 6, sparse=True)
    optimizer = optim.SparseAdam(model.parameters(), lr=0.1)
    session = begin("dense 2it lr=0.1; sparse 50% layers=embed 5it", model, optimizer)
    for _ in range(7):
        session.begin_step()
        session.optimizer.zero_grad()
        model(torch.tensor([1, 4, 4, 7])).square().sum().backward()
        session.step()
    assert_masked(session, model)


def test_masking_gradients_alone_would_revive_the_pruned() -> None:
    """Row 1, the defect itself: with momentum left in place one plain step revives every pruned weight."""
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        optimizer.zero_grad()
        backward(model, *samples())
        optimizer.step()
    weight = model[0].weight
    mask = weight.detach().abs() > weight.detach().abs().median()
    with torch.no_grad():
        weight.mul_(mask)
    optimizer.zero_grad()
    backward(model, *samples())
    weight.grad.mul_(mask)  # type: ignore[union-attr]
    optimizer.step()
    assert float((weight[~mask] != 0).float().mean()) > 0.95


def _largest_first_updates(text: str) -> tuple[float, list[str]]:
    """The largest of the first updates of revived weights, in learning rates, under a constant gradient; warnings."""
    torch.manual_seed(0)
    model = nn.Linear(64, 32, bias=False)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    direction = torch.randn(32, 64).sign()
    pruned, largest = torch.ones(32, 64, dtype=torch.bool), 0.0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        session = begin(text, model, optimizer)
        while not session.done:
            if session.masks:
                pruned = ~session.masks["weight"]
                optimizer.state[model.weight]["step"].fill_(100_000)  # as after a long training
            session.begin_step()
            before = model.weight.detach().clone()
            model.weight.grad = direction.clone()
            session.step()
            if session.phase.index == 2:
                largest = max(largest, float((model.weight.detach() - before)[pruned].abs().max()) / session.phase.lr)
    return largest, [str(warning.message) for warning in caught]


def test_revived_weights_take_large_first_updates_and_the_session_says_so() -> None:
    """Row 2: with `state=zero` the first updates reach 6.6 x lr; the warning has the measured figure."""
    largest, caught = _largest_first_updates("dense 3it lr=1e-3; sparse 50% 3it; dense 40it lr=1e-3")
    assert largest == pytest.approx(6.57, abs=0.02)
    assert len(caught) == 1
    assert "6.6 x the learning rate" in caught[0]
    assert "state=reset" in caught[0]
    assert "warmup=" in caught[0]


def test_state_reset_cures_it_without_a_warning() -> None:
    """Row 2: `state=reset` keeps the first updates at lr."""
    largest, caught = _largest_first_updates("dense 3it lr=1e-3; sparse 50% 3it; dense 40it lr=1e-3 state=reset")
    assert largest == pytest.approx(1.0, abs=0.02)
    assert caught == []


@pytest.mark.parametrize("text", ["dense 3it lr=0.1; sparse 50% 3it; dense 3it warmup=2it", "dense 9it lr=0.1"])
def test_no_warning_where_there_is_no_need(text: str) -> None:
    """Row 2: a warm-up, or nothing revived."""
    model = network()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(begin(text, model, optim.AdamW(model.parameters())), model)


def test_the_warning_is_also_an_event() -> None:
    """Row 2: the log has it too."""
    model = network()
    session = begin("dense 50it lr=1e-3; sparse 50% 50it; dense 1it", model, optim.AdamW(model.parameters()))
    with pytest.warns(UserWarning, match="x the learning rate") as caught:
        run(session, model)
    texts = [event.details["text"] for event in session.events if event.kind == "warning"]
    assert texts == [str(caught[0].message)]


def test_adagrad_starts_anew_after_a_reset() -> None:
    """Adagrad makes its state when it is built; forgetting it must leave a state to go on with."""
    model = network()
    optimizer = optim.Adagrad(model.parameters(), lr=0.1, initial_accumulator_value=0.25)
    session = begin("dense 3it lr=0.1; sparse 50% 1it state=reset; dense 1it state=reset", model, optimizer)
    for _ in range(3):
        one_update(session, model)
    session.begin_step()
    mask, sums = session.masks["0.weight"], optimizer.state[model[0].weight]["sum"]
    assert bool((sums[mask] == 0.25).all())
    assert not bool(sums[~mask].any())
    run(session, model)


def test_survivors_keep_their_state() -> None:
    """`state=zero` touches no coordinate that stays alive."""
    model = network()
    optimizer = optim.AdamW(model.parameters(), lr=0.01)
    session = begin("dense 4it lr=0.01; sparse 50% 1it", model, optimizer)
    for _ in range(4):
        one_update(session, model)
    before = {name: optimizer.state[model.get_parameter(name)]["exp_avg"].clone() for name in ("0.weight", "3.weight")}
    session.begin_step()
    for name, moment in before.items():
        now, mask = optimizer.state[model.get_parameter(name)]["exp_avg"], session.masks[name]
        assert torch.equal(now[mask], moment[mask])
        assert not bool(now[~mask].any())
        assert int(optimizer.state[model.get_parameter(name)]["step"]) == 4
