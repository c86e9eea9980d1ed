"""`freeze=`: the layers of a phase that are not trained keep their bits, and are trained again in the next phase."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from engine_loops import NUM_FEATURES, backward, begin, one_update, run, samples
from torch import Tensor, nn, optim

from dsd_lang.base.errors import DsdError
from dsd_runtime import Session

Build = Callable[[Any], optim.Optimizer]
BUILDS: dict[str, Build] = {
    "sgd": lambda groups: optim.SGD(groups, lr=0.1, momentum=0.9, weight_decay=0.1),
    "fused sgd": lambda groups: optim.SGD(groups, lr=0.1, momentum=0.9, weight_decay=0.1, fused=True),
    "adamw": lambda groups: optim.AdamW(groups, lr=0.01, weight_decay=0.1),
    "adagrad": lambda groups: optim.Adagrad(groups, lr=0.01, weight_decay=0.1),
    "lbfgs": lambda groups: optim.LBFGS(groups, lr=0.1, max_iter=2),
}


def normed() -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Linear(NUM_FEATURES, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(16, 4))


def _bits(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _moved(before: dict[str, Tensor], model: nn.Module) -> set[str]:
    return {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}


def _update(session: Session, model: nn.Module) -> None:
    """An update of any optimizer."""
    session.begin_step()

    def closure() -> Tensor:
        session.optimizer.zero_grad()
        return backward(model, *samples())

    if isinstance(session.optimizer, optim.LBFGS):
        session.step(closure=closure)
    else:
        closure()
        session.step()


ALL = {name for name in normed().state_dict() if "num_batches" not in name}
FC0, BN, LAST = {"0.weight", "0.bias"}, {name for name in ALL if name.startswith("1.")}, {"5.weight", "5.bias"}


NEARLY_STILL = {"0.bias", "1.num_batches_tracked"}
"""A bias before a batch norm has a gradient next to 0."""


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("kind", BUILDS)
def test_frozen_layers_keep_their_bits_and_are_trained_again(kind: str, quick: bool) -> None:
    """Momentum and decay of the phase before do not move them; the state begins anew in the phase after."""
    model = normed()
    optimizer = BUILDS[kind](model.parameters())
    session = begin('dense 3it lr=0.1; dense 3it freeze="0",output; dense 3it', model, optimizer, quick_step=quick)
    for update in range(9):
        before = _bits(model)
        _update(session, model)
        expected = ALL - FC0 - LAST if 3 <= update < 6 else ALL
        moved = _moved(before, model)
        assert moved - NEARLY_STILL == expected - NEARLY_STILL, update
        assert expected >= FC0 or not moved & FC0
        if 3 <= update < 5:
            assert set(session.frozen) == FC0 | LAST
            assert not any(model.get_parameter(name).requires_grad for name in FC0 | LAST)
            kept = [optimizer.state.get(model.get_parameter(name)) for name in FC0 | LAST]
            has_own = kind not in ("fused sgd", "lbfgs")  # zeros, and one state for all weights
            assert not has_own or all(not state or float(state.get("step", 1)) == 0 for state in kept)
    assert session.done
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert session.frozen == ()


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_it_is_the_plain_loop_with_an_optimizer_of_the_other_layers(kind: str) -> None:
    """Bit for bit, with a limit on the norm of the gradients that are left."""
    model, other = normed(), normed()
    run(begin('dense 4it lr=0.05 freeze="0" clip=0.1', model, BUILDS[kind](model.parameters())), model)
    other[0].requires_grad_(False)
    trained = [one for one in other.parameters() if one.requires_grad]
    plain = BUILDS[kind](trained)
    plain.param_groups[0]["lr"] = 0.05
    for _ in range(4):
        plain.zero_grad()
        backward(other, *samples())
        nn.utils.clip_grad_norm_(trained, 0.1)
        plain.step()
    assert all(map(torch.equal, model.state_dict().values(), other.state_dict().values()))


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_a_whole_group_of_the_optimizer_may_be_frozen(kind: str, quick: bool) -> None:
    model = normed()
    text = "dense 1it lr=[norm: 0.01, all: 0.1]; dense 2it freeze=norm; dense 1it freeze=fc"
    session = begin(text, model, BUILDS[kind](model.parameters()), quick_step=quick)
    for expected in (ALL, ALL - BN, ALL - BN, BN):
        before = _bits(model)
        one_update(session, model)
        assert _moved(before, model) - NEARLY_STILL == expected - NEARLY_STILL


def test_two_steps_by_hand() -> None:
    """The bias alone is trained: b -= lr g, with g = mean(x w + b - y) of a squared error of half its size."""
    model = nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1))
    with torch.no_grad():
        for layer in model:
            layer.weight.fill_(1.0)
            layer.bias.fill_(0.0)
    session = begin('dense 2it lr=0.5 freeze="0","1.weight"', model, optim.SGD(model.parameters(), lr=1.0))
    bias = 0.0
    for _ in range(2):
        session.begin_step()
        session.optimizer.zero_grad()
        (0.5 * (model(torch.tensor([[3.0]])) - 1.0).square().mean()).backward()
        session.step()
        bias -= 0.5 * (3.0 + bias - 1.0)
        assert model[1].bias.item() == pytest.approx(bias)
    assert model[0].weight.item() == model[1].weight.item() == 1.0


def test_a_frozen_batch_norm_runs_as_in_evaluation() -> None:
    """By its running statistics, which stay, whatever mode the loop sets; the others go on."""
    model = normed()
    model[1].running_mean.fill_(0.5)
    inputs = samples()[0]
    text = "dense 2it lr=0.1; dense 2it freeze=norm calibrate=2it; dense 1it"
    session = begin(text, model, BUILDS["sgd"](model.parameters()))
    run_until(session, model, 2)
    session.begin_step()
    before = _bits(model)
    model.train()
    seen = model[1](model[0](inputs))
    assert model[1].training
    torch.testing.assert_close(seen, nn.functional.batch_norm(
        model[0](inputs), model[1].running_mean, model[1].running_var, model[1].weight, model[1].bias))  # fmt: skip
    run_until(session, model, 4)
    session.calibrate([inputs, inputs])
    assert not _moved(before, model) & {"1.running_mean", "1.running_var", "1.num_batches_tracked", "1.weight"}
    run_until(session, model, 5)
    assert "1.running_mean" in _moved(before, model)


def run_until(session: Session, model: nn.Module, update: int) -> None:
    while session.total_updates < update:
        one_update(session, model)


def test_a_frozen_layer_that_is_selected_is_pruned_and_not_trained() -> None:
    model = normed()
    text = 'dense 1it lr=0.1; sparse 50% layers=fc 3it freeze="3"; dense 2it'
    session = begin(text, model, BUILDS["sgd"](model.parameters()))
    one_update(session, model)
    dense = _bits(model)["3.weight"]
    for _ in range(3):
        one_update(session, model)
        mask = session.masks["3.weight"]
        assert int(mask.sum()) == 128
        assert torch.equal(model[3].weight.detach(), torch.where(mask, dense, torch.zeros(())))
    run(session, model)
    assert not torch.equal(model[3].weight.detach()[mask], dense[mask])


def test_a_ramp_goes_on_pruning_frozen_layers() -> None:
    model = normed()
    text = 'sparse 0->80% every=1it layers="3" 5it lr=0.1 freeze="3"'
    session = begin(text, model, BUILDS["adamw"](model.parameters()))
    dense = _bits(model)["3.weight"]
    for _ in range(5):
        one_update(session, model)
        mask = session.masks["3.weight"]
        assert torch.equal(model[3].weight.detach(), torch.where(mask, dense, torch.zeros(())))
    assert int(mask.sum()) == 256 - round(0.8 * 256)


MOVING = "sparse 50% layers=fc update={}(every=1it, drop=50%) 4it lr=0.1 freeze=output"


@pytest.mark.parametrize("method", ["rigl", "set", "magnitude"])
def test_masks_of_frozen_layers_do_not_move(method: str) -> None:
    model = normed()
    text = MOVING.format(method) if method != "magnitude" else MOVING.format(method).replace(", drop=50%", "")
    session = begin(text, model, BUILDS["sgd"](model.parameters()))
    before, kept = {name: mask.clone() for name, mask in session.masks.items()}, model[5].weight.detach().clone()
    run(session, model)
    assert torch.equal(session.masks["5.weight"], before["5.weight"])
    assert torch.equal(model[5].weight.detach(), kept)
    assert method == "magnitude" or not torch.equal(session.masks["3.weight"], before["3.weight"])


@pytest.mark.parametrize("said", ["enforce=srste(decay=0.1)", "enforce=ste", "enforce=topkast(backward=20%)"])
def test_other_ways_of_masking_leave_frozen_layers_alone(said: str) -> None:
    """The hidden values stay too: they come back as they were."""
    model = normed()
    dense = model[5].weight.detach().clone()
    session = begin(f"sparse 50% layers=fc {said} 3it lr=0.1 freeze=output; dense 1it restore=saved",
                    model, BUILDS["sgd"](model.parameters()))  # fmt: skip
    run_until(session, model, 3)
    mask = session.masks["5.weight"]
    assert torch.equal(model[5].weight.detach(), torch.where(mask, dense, torch.zeros(())))


def test_a_ramp_measures_frozen_layers_by_the_loss() -> None:
    model = normed()
    session = begin("dense 1it lr=0.1; sparse 0->60% layers=fc by=snip every=1it 4it freeze=output",
                    model, BUILDS["sgd"](model.parameters()))  # fmt: skip
    session.score(lambda network, batch: nn.functional.cross_entropy(network(batch[0]), batch[1]), [samples()])
    run(session, model)
    assert session.sparsity()["5.weight"] == pytest.approx(0.6, abs=0.01)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_words_select_what_an_earlier_phase_has_frozen() -> None:
    """What a session freezes for a phase is trained in the plan; what the user has frozen stays frozen."""
    model = normed()
    model[5].bias.requires_grad_(False)
    text = "dense 1it lr=0.1 freeze=fc; sparse 50% 1it; dense 1it freeze=norm"
    session = begin(text, model, BUILDS["sgd"](model.parameters()))
    run(session, model)
    assert [event.details["alive"].keys() for event in session.events if event.kind == "enter"][1] == {
        "0.weight", "3.weight", "5.weight",
    }  # fmt: skip
    assert not model[5].bias.requires_grad
    begin("sparse 50% 1it lr=0.1", model, optim.SGD(model.parameters(), lr=0.1))


def test_a_session_that_is_released_trains_everything_again() -> None:
    model = normed()
    session = begin("dense 9it lr=0.1 freeze=norm", model, BUILDS["sgd"](model.parameters()))
    one_update(session, model)
    assert not model[1].weight.requires_grad
    session.release()
    assert model[1].weight.requires_grad
    assert not model[1]._forward_pre_hooks
    assert not model[1]._forward_hooks


@pytest.mark.parametrize("text", ["freeze=all", "freeze=norm,fc", 'freeze="*"', "freeze=norm,prunable"])
def test_a_freeze_of_everything_is_refused(text: str) -> None:
    model = normed()
    with pytest.raises(DsdError, match=r"DSD201.*`freeze=` leaves no weight that is trained"):
        begin(f"dense 1it lr=0.1; dense 1it {text}", model, BUILDS["sgd"](model.parameters()))


def test_a_selector_that_matches_nothing_is_refused() -> None:
    model = normed()
    with pytest.raises(DsdError, match="DSD201: no layer matches `embed`"):
        begin("dense 1it lr=0.1; dense 1it freeze=embed", model, BUILDS["sgd"](model.parameters()))


def test_gradients_that_are_left_from_before_do_not_move_it() -> None:
    """Zeroed in place, they would let momentum and decay through."""
    model = normed()
    optimizer = BUILDS["sgd"](model.parameters())
    session = begin('dense 1it lr=0.1; dense 1it freeze="0"', model, optimizer)
    one_update(session, model)
    before = _bits(model)
    session.begin_step()
    optimizer.zero_grad(set_to_none=False)
    backward(model, *samples())
    session.step()
    assert not _moved(before, model) & FC0


def test_a_gradient_scaler_does_not_skip_for_what_is_frozen() -> None:
    model = normed()
    session = begin('dense 2it lr=0.1 freeze="0"', model, BUILDS["sgd"](model.parameters()))
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    session.begin_step()
    scaler.scale(nn.functional.cross_entropy(model(samples()[0]), samples()[1])).backward()
    model[0].weight.grad = torch.full_like(model[0].weight, float("inf"))
    assert session.step(scaler=scaler)


LAYERS: dict[str, Callable[[], nn.Module]] = {
    "linear": lambda: nn.Linear(8, 8),
    "conv": lambda: nn.Conv1d(1, 1, 3, padding=1),
    "layer norm": lambda: nn.LayerNorm(8),
    "lstm": lambda: nn.LSTM(8, 8, batch_first=True),
    "gru": lambda: nn.GRU(8, 4, bidirectional=True, batch_first=True),
    "attention": lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True),
}


class Through(nn.Module):
    """Three layers of one kind, [N, 1, 8] to [N, 1, 8]."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(LAYERS[kind]() for _ in range(3))

    def forward(self, values: Tensor) -> Tensor:
        for layer in self.layers:
            found = layer(values)
            values = found[0] if isinstance(found, tuple) else found
        return values


@pytest.mark.parametrize("kind", LAYERS)
def test_dropped_and_uncomputed_gradients_give_the_same_bits(kind: str) -> None:
    """As one process leaves them out, and as several that average them drop them."""
    ends = []
    for drops in (False, True):
        model = Through(kind)
        session = begin('dense 3it lr=0.1 freeze="layers.1*"', model, BUILDS["adamw"](model.parameters()))
        session._line.frozen.leave()
        session._line.frozen.drops_gradients = drops
        session._line.frozen.enter(session._line.frozen._chosen, session.optimizer)
        while not session.done:
            session.begin_step()
            session.optimizer.zero_grad()
            model(torch.randn(5, 1, 8, generator=torch.Generator().manual_seed(3))).square().mean().backward()
            assert (model.layers[1].state_dict(keep_vars=True).popitem()[1].grad is None) is not drops
            session.step()
        ends.append(_bits(model))
    assert all(map(torch.equal, ends[0].values(), ends[1].values()))


def test_a_model_that_is_copied_while_frozen_is_a_whole_model() -> None:
    model = normed()
    session = begin("dense 2it lr=0.1 freeze=norm", model, BUILDS["sgd"](model.parameters()))
    one_update(session, model)
    twin = copy.deepcopy(model)
    assert all(map(torch.equal, twin.state_dict().values(), model.state_dict().values()))
    twin.train()(samples()[0])
    assert twin[1].training
