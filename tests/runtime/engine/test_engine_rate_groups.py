"""`lr=[...]`: each group of layers has its own multiple of the rate, and nothing else of the optimizer changes."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from engine_loops import backward, begin, one_update, run, samples
from torch import Tensor, nn, optim

from dsd_lang.base.errors import DsdError

Build = Callable[[Any], optim.Optimizer]
BUILDS: dict[str, Build] = {
    "sgd": lambda groups: optim.SGD(groups, lr=0.3, momentum=0.9, weight_decay=0.01),
    "adamw": lambda groups: optim.AdamW(groups, lr=0.3),
}
TEXT = 'dense 1ep lr=[norm: 1e-2, "0": 2e-2, all: 1e-1] decay=cosine floor=1e-3 warmup=2it clip=1; dense 1ep lr=0.05'


def normed() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 4))


def _weights(model: nn.Module) -> list[Tensor]:
    return [weight.detach().clone() for weight in model.parameters()]


def _cosine(start: float, update: int) -> float:
    rate = start / 100 + (start - start / 100) * 0.5 * (1 + math.cos(math.pi * update / 4))
    return rate * (update + 1) / 2 if update < 2 else rate


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("kind", BUILDS)
def test_groups_train_as_the_parameter_groups_of_a_plain_loop(kind: str, quick: bool) -> None:
    """Bit for bit, under decay, a floor, a warm-up and a limit on the norm of all gradients."""
    model, other = normed(), normed()
    run(begin(TEXT, model, BUILDS[kind](model.parameters()), quick_step=quick), model)
    starts = {1e-1: other[3], 2e-2: other[0], 1e-2: other[1]}
    plain = BUILDS[kind]([{"params": layer.parameters()} for layer in starts.values()])
    for update in range(8):
        for group, start in zip(plain.param_groups, starts, strict=True):
            group["lr"] = _cosine(start, update) if update < 4 else 0.05
        plain.zero_grad()
        backward(other, *samples())
        if update < 4:
            nn.utils.clip_grad_norm_(other.parameters(), 1.0)
        plain.step()
    assert all(map(torch.equal, model.parameters(), other.parameters()))


def test_two_steps_by_hand() -> None:
    """w -= lr g, with lr 1e-3 for the scale and shift of the norm and for no other weight."""
    model = normed()
    optimizer = optim.SGD(model.parameters(), lr=9.0)
    session = begin("dense 2it lr=[norm: 1e-3, all: 1e-1]", model, optimizer)
    rates = [1e-1, 1e-1, 1e-3, 1e-3, 1e-1, 1e-1]
    for _ in range(2):
        before = _weights(model)
        one_update(session, model)
        for weight, old, rate in zip(model.parameters(), before, rates, strict=True):
            torch.testing.assert_close(weight.detach(), old - rate * weight.grad, rtol=1e-6, atol=1e-8)
    assert session.phase.lr == 1e-1


def test_the_first_item_counts_and_the_last_has_the_rest() -> None:
    """A layer's name means its bias too, a weight's name only the weight; a tied weight is one weight."""
    model = nn.ModuleDict({"words": nn.Embedding(6, 4), "out": nn.Linear(4, 6), "fc": nn.Linear(4, 4)})
    model["out"].weight = model["words"].weight
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    begin('dense 1it lr=[embed: 1e-3, "fc.weight": 1e-2, output: 1e-4, all: 1]', model, optimizer)
    rates = {id(one): group["lr"] for group in optimizer.param_groups for one in group["params"]}
    found = {name: rates[id(one)] for name, one in model.named_parameters()}
    assert found == {"words.weight": 1e-3, "out.bias": 1, "fc.weight": 1e-2, "fc.bias": 1e-4}


def test_computed_weights_have_the_rate_of_their_layer() -> None:
    model = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(12, 8)), nn.Linear(8, 4))
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    begin('dense 1it lr=["0": 1e-3, all: 1]', model, optimizer)
    assert [(group["lr"], len(group["params"])) for group in optimizer.param_groups] == [(1, 2), (1e-3, 3)]


def test_later_phases_inherit_the_groups_and_relative_rates_are_exact() -> None:
    model = normed()
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    text = "dense 1it lr=[norm: 1e-4, all: 1e-3]; sparse 50% 1it; dense 1it; dense 1it lr=prev; "
    text += "dense 1it lr=[fc: last/10, all: last]"
    session, seen = begin(text, model, optimizer), []
    while not session.done:
        session.begin_step()
        rates = {id(one): group["lr"] for group in optimizer.param_groups for one in group["params"]}
        seen.append((rates[id(model[0].weight)], rates[id(model[1].weight)]))
        one_update(session, model)
    assert seen == [(1e-3, 1e-4), (1e-3, 1e-4), (1e-4, 1e-5), (1e-4, 1e-4), (1e-5, 1e-4)]


def test_the_ratios_of_the_users_groups_are_kept_in_each_group() -> None:
    """Two groups of the user's, the second with a tenth of the rate and with no decay, and both split."""
    model = normed()
    decayed = [one for one in model.parameters() if one.dim() > 1]
    other = [one for one in model.parameters() if one.dim() == 1]
    optimizer = optim.SGD([{"params": decayed, "weight_decay": 0.1}, {"params": other, "lr": 0.01}], lr=0.1)
    session = begin('dense 1it lr=["0": 0.02, all: 0.2]; dense 1it lr=0.1 wd=0.5', model, optimizer)
    found = [(group["lr"], group["weight_decay"], len(group["params"])) for group in optimizer.param_groups]
    expected = [(0.2, 0.1, 1), (0.02, 0, 3), (0.02, 0.1, 1), (0.002, 0, 1)]
    assert [(pytest.approx(rate), decay, count) for rate, decay, count in expected] == found
    one_update(session, model)
    session.begin_step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.01, 0.1, 0.01]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 0, 0.5, 0]


def test_rates_that_are_tensors_and_names_of_parameters() -> None:
    model = normed()
    optimizer = optim.Adam(model.named_parameters(), lr=torch.tensor(0.5))
    session = begin("dense 2it lr=[norm: 1e-3, all: 1e-1]", model, optimizer)
    assert [float(group["lr"]) for group in optimizer.param_groups] == pytest.approx([1e-1, 1e-3])
    assert [group["param_names"] for group in optimizer.param_groups] == [
        ["0.weight", "0.bias", "3.weight", "3.bias"],
        ["1.weight", "1.bias"],
    ]
    run(session, model)
    (saved,) = optimizer.state_dict()["param_groups"]
    assert saved["param_names"] == [name for name, _ in model.named_parameters()]
    assert float(saved["lr"]) == pytest.approx(1e-1)


def _other_optimizer(model: nn.Module, state: dict[str, Any]) -> optim.Optimizer:
    other = BUILDS["adamw"](model.parameters())
    other.load_state_dict(state)
    return other


def test_the_optimizers_state_has_the_groups_that_were_given() -> None:
    """It fits an optimizer that no session has split, and its own form fits one that is split."""
    model = normed()
    optimizer = BUILDS["adamw"](model.parameters())
    session = begin("dense 9it lr=[norm: 1e-3, all: 1e-1]", model, optimizer)
    one_update(session, model)
    state = copy.deepcopy(optimizer.state_dict())
    other = _other_optimizer(model, state)
    assert len(other.param_groups) == 1
    assert len(optimizer.param_groups) == 2
    for parameter in model.parameters():
        assert torch.equal(other.state[parameter]["exp_avg"], optimizer.state[parameter]["exp_avg"])
    one_update(session, model)
    optimizer.load_state_dict(state)
    for parameter in model.parameters():
        assert torch.equal(other.state[parameter]["exp_avg"], optimizer.state[parameter]["exp_avg"])


def test_a_session_attached_later_joins_what_was_split() -> None:
    model = normed()
    optimizer = BUILDS["sgd"](model.parameters())
    run(begin("dense 2it lr=[norm: 1e-3, all: 1e-1]", model, optimizer), model)
    begin("dense 2it", model, optimizer)
    (group,) = optimizer.param_groups
    assert all(one is other for one, other in zip(group["params"], model.parameters(), strict=True))
    assert group["lr"] == 1e-1
    begin('dense 2it lr=["0": 1e-3, norm: 1e-2, all: 1]', model, optimizer)
    assert [len(group["params"]) for group in optimizer.param_groups] == [2, 2, 2]


@pytest.mark.parametrize("later", ["dense 2it lr=0.05", "dense 2it lr=[fc: 1e-3, all: 0.05]"])
def test_a_phase_does_not_depend_on_the_groups_of_later_ones(later: str) -> None:
    """Its gradients are limited by the norm of all, summed in the order of the weights as given."""
    runs = []
    for text in ("dense 4it lr=0.1 clip=0.1", f"dense 4it lr=0.1 clip=0.1; {later}"):
        model = normed()
        session = begin(text, model, BUILDS["sgd"](model.parameters()))
        for _ in range(4):
            one_update(session, model)
        runs.append((_weights(model), session.state_dict()["overrides"]["optimizer"]["param_groups"]))
    assert all(map(torch.equal, runs[0][0], runs[1][0]))
    assert runs[0][1] == runs[1][1]


def test_a_checkpoint_fits_a_plan_that_is_split_otherwise() -> None:
    """Saved in the second phase of one schedule, and continued by one whose third phase has other groups."""
    head = "dense 2it lr=[norm: 1e-3, all: 1e-1]; sparse 50% 3it"
    tails = ("dense 3it", 'dense 3it lr=["3": 1e-4, fc: 1e-3, all: 0.1] opt=sgd(momentum=0.5)')
    model = normed()
    session = begin(f"{head}; {tails[1]}", model, BUILDS["adamw"](model.parameters()))
    run(session, model)
    saved, other = normed(), normed()
    session = begin(f"{head}; {tails[0]}", saved, BUILDS["adamw"](saved.parameters()))
    for _ in range(4):
        one_update(session, saved)
    other.load_state_dict(saved.state_dict())
    resumed = begin(f"{head}; {tails[1]}", other, BUILDS["adamw"](other.parameters()))
    resumed.load_state_dict(copy.deepcopy(session.state_dict()))
    assert [group["lr"] for group in resumed.optimizer.param_groups] == pytest.approx([1e-1, 1e-3, 1e-1])
    run(resumed, other)
    assert all(map(torch.equal, model.parameters(), other.parameters()))


@pytest.mark.parametrize(
    ("rates", "said"),
    [
        ('["encoder": 1e-3, all: 1]', "DSD201: no layer matches `\"encoder\"`"),
        ('["0": 1e-3, "0.weight": 0.1, all: 1]', 'DSD201: `"0.weight"` is never reached'),
        ("[embed: 1e-3, all: 1]", "DSD201: no layer matches `embed`"),
    ],
)  # fmt: skip
def test_an_item_without_a_weight_is_refused(rates: str, said: str) -> None:
    model = normed()
    with pytest.raises(DsdError) as raised:
        begin(f"dense 1it lr={rates}", model, BUILDS["sgd"](model.parameters()))
    assert said in str(raised.value)


def test_an_optimizer_with_one_rate_is_refused() -> None:
    model = normed()
    with pytest.raises(DsdError, match="`LBFGS` has one rate for all weights"):
        begin("dense 1it lr=[norm: 1e-3, all: 1]", model, optim.LBFGS(model.parameters()))


def test_a_scheduler_of_the_given_groups_is_refused() -> None:
    model = normed()
    optimizer = BUILDS["sgd"](model.parameters())
    optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    with pytest.raises(DsdError, match="a learning-rate scheduler, which does not know the groups"):
        begin("dense 2it lr=[norm: 1e-3, all: 1]", model, optimizer)


def test_another_group_after_attach_is_refused() -> None:
    model = normed()
    optimizer = BUILDS["sgd"](model.parameters())
    session = begin("dense 2it lr=[norm: 1e-3, all: 1]", model, optimizer)
    optimizer.add_param_group({"params": [nn.Parameter(torch.ones(2))]})
    with pytest.raises(DsdError, match="got a parameter group after `attach"):
        one_update(session, model)


def test_a_rate_changed_from_outside_is_told() -> None:
    model = normed()
    optimizer = BUILDS["sgd"](model.parameters())
    session = begin("dense 2it lr=[norm: 1e-3, all: 1]", model, optimizer)
    optimizer.param_groups[1]["lr"] = 0.7
    with pytest.raises(DsdError, match=r"parameter group 1 was changed from outside: it is 0\.7"):
        one_update(session, model)
