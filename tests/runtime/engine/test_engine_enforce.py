"""`enforce=ste|srste|topkast`: known answers, and one result whichever way a loop makes its updates.

The model is masked between two updates, and the values of pruned weights live on in the session.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from engine_loops import backward, begin, is_positive_zero, network, one_update, run, samples, updates
from torch import Tensor, nn, optim

import dsd_lang
from dsd_lang.base.arguments import BY_NAME
from dsd_lang.base.errors import DsdError
from dsd_runtime import CapturedMasks, Session, load_checkpoint, save_checkpoint
from dsd_runtime.engine.acting_masks import ENFORCEMENTS

START = [1.0, -0.5, 0.25, 2.0]


def _four_weights() -> nn.Linear:
    model = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([START]))
    return model


def _half_square(model: nn.Module) -> Tensor:
    """Half the square of the sum of the weights in the forward pass: the gradient of each is that sum."""
    return model(torch.ones(1, 4)).square().sum() / 2


def _trained(text: str, *, lr: float, wd: float = 0.0) -> tuple[Session, nn.Linear, list[list[float]]]:
    model = _four_weights()
    session = begin(text, model, optim.SGD(model.parameters(), lr=lr, weight_decay=wd))
    dense = []
    while not session.done:
        session.begin_step()
        session.optimizer.zero_grad()
        _half_square(model).backward()  # type: ignore[no-untyped-call]
        session.step()
        dense.append(session.dense_weights()["weight"].flatten().tolist())
    return session, model, dense


@pytest.mark.parametrize(
    ("text", "lr", "wd", "dense", "masked"),
    [
        # kept 1 and 2: sum 3, so every weight falls by 1.5; then -2 and -1.25 are kept, and all rise by 1.625
        (
            "sparse 50% 2it lr=0.5 enforce=ste", 0.5, 0.0,
            [[-0.5, -2.0, -1.25, 0.5], [1.125, -0.375, 0.375, 2.125]], [1.125, 0.0, 0.0, 2.125],
        ),
        # the same with half of the pruned weights' values added to their gradients
        (
            "sparse 50% 2it lr=0.5 enforce=srste(decay=0.5)", 0.5, 0.0,
            [[-0.5, -1.875, -1.3125, 0.5], [1.21875, -0.28125, 0.28125, 1.96875]], [1.21875, 0.0, 0.0, 1.96875],
        ),
        # the largest is used, the two largest trained; weight decay 1/2, four times that on the unused one of the two
        (
            "sparse 75% 2it lr=0.25 enforce=topkast(backward=50%, every=1it)", 0.25, 0.5,
            [[0.0, -0.5, 0.25, 1.25], [0.0, -0.5625, 0.25, 0.78125]], [0.0, 0.0, 0.0, 0.78125],
        ),
        # the same without weight decay and without new masks: the two smallest stand still
        (
            "sparse 75% 2it lr=0.25 enforce=topkast(backward=50%, every=9it)", 0.25, 0.0,
            [[0.5, -0.5, 0.25, 1.5], [0.125, -0.5, 0.25, 1.125]], [0.0, 0.0, 0.0, 1.125],
        ),
        # 2:4 is chosen anew after every update as well
        (
            "sparse 2:4 2it lr=0.5 enforce=ste", 0.5, 0.0,
            [[-0.5, -2.0, -1.25, 0.5], [1.125, -0.375, 0.375, 2.125]], [1.125, 0.0, 0.0, 2.125],
        ),
    ],
)  # fmt: skip
def test_two_updates_by_hand(text: str, lr: float, wd: float, dense: list[list[float]], masked: list[float]) -> None:
    session, model, found = _trained(text, lr=lr, wd=wd)
    assert found == dense
    assert model.weight.flatten().tolist() == masked
    assert session.sparsity()["total"] == sum(value == 0.0 for value in masked) / 4


class _StraightThrough(torch.autograd.Function):
    """The published form: a mask of the largest weights in the forward pass, the gradient to all of them."""

    @staticmethod
    def forward(context: Any, weight: Tensor, keep: int, decay: float) -> Tensor:
        mask = torch.zeros(weight.numel())
        mask[weight.detach().abs().flatten().topk(keep).indices] = 1
        context.pruned, context.decay = (1 - mask.view(weight.shape)) * weight, decay
        return weight * mask.view(weight.shape)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return gradients[0] + context.decay * context.pruned, None, None


class _Published(nn.Linear):
    decay = 0.0

    def forward(self, features: Tensor) -> Tensor:
        keep = self.weight.numel() - round(self.weight.numel() * 0.7)
        masked: Tensor = _StraightThrough.apply(self.weight, keep, self.decay)  # type: ignore[no-untyped-call]
        return nn.functional.linear(features, masked, self.bias)


BUILDS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "sgd": lambda weights: optim.SGD(weights, lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=True),
    "adamw": lambda weights: optim.AdamW(weights, lr=0.1),
    "rmsprop": lambda weights: optim.RMSprop(weights, lr=0.01, momentum=0.5),
}


@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
@pytest.mark.parametrize(("enforce", "decay"), [("ste", 0.0), ("srste(decay=0.02)", 0.02)])
def test_it_is_the_published_autograd_function(
    enforce: str, decay: float, build: Callable[[Any], optim.Optimizer]
) -> None:
    """The same dense weights, update by update, as with masks inside the forward pass (SR-STE up to rounding)."""
    model, other = network(), network()
    for module in other:
        if isinstance(module, nn.Linear):
            module.__class__, module.decay = _Published, decay
    peer = build(other.parameters())
    rate = peer.param_groups[0]["lr"]
    session = begin(f"sparse 70% 6it lr={rate} enforce={enforce}", model, build(model.parameters()))
    for _ in updates(session, model):
        peer.zero_grad()
        backward(other, *samples())
        peer.step()
        for name, value in session.dense_weights().items():
            peers = other.get_parameter(name).detach()
            assert torch.equal(value, peers) if not decay else torch.allclose(value, peers, rtol=1e-4, atol=1e-6), name
        assert torch.allclose(model(samples()[0]), other(samples()[0]), rtol=1e-4, atol=1e-6)


SCHEDULES = {
    "ste": "dense 1it lr=0.1; sparse 60% 5it enforce=ste scope=global; dense 2it",
    "srste": "dense 1it lr=0.1; sparse 2:4 5it enforce=srste(decay=0.01); dense 2it restore=saved",
    "ramp": "sparse 0->80% every=2it 7it lr=0.1 enforce=ste; sparse held 2it; dense 1it restore=saved",
    "topkast": "sparse 80% 6it lr=0.1 enforce=topkast(backward=40%, every=2it); dense 2it",
    "topkast ramp": 'sparse ["0": 0->80%, all: 70%] every=3it 7it lr=0.1 enforce=topkast(backward=30%, every=2it)',
    "movement": "sparse 0->70% every=2it 7it lr=0.1 by=movement; dense 2it restore=saved",
    "movement ste": "sparse 60% 5it lr=0.1 by=movement(score_lr=0.5) enforce=ste scope=global; dense 2it",
    "others": "sparse 50% layers=/0/ 2it lr=0.1; sparse 60% layers=/3/ others=hold 4it enforce=ste; dense 1it",
}
Update = Callable[[Session, nn.Module], None]


def _halves(session: Session, model: nn.Module) -> None:
    session.begin_step()
    session.optimizer.zero_grad()
    backward(model, *samples())
    session.before_update()
    session.optimizer.step()
    session.after_update()


def _accumulated(session: Session, model: nn.Module) -> None:
    """Twice half the loss: the same gradient, since half of it is exact."""
    session.begin_step()
    session.optimizer.zero_grad()
    for _ in range(2):
        (nn.functional.cross_entropy(model(samples()[0]), samples()[1]) / 2).backward()
    session.step()


def _closure(session: Session, model: nn.Module) -> None:
    def closure() -> Tensor:
        session.optimizer.zero_grad()
        return backward(model, *samples())

    session.begin_step()
    session.step(closure=closure)


def _evaluated(session: Session, model: nn.Module) -> None:
    one_update(session, model)
    with torch.no_grad():
        model.eval()(samples(seed=5)[0])
    model.train()
    session.report({"val.loss": 1.0})


LOOPS: dict[str, Update] = {
    "halves": _halves, "accumulation": _accumulated, "closure": _closure, "evaluation": _evaluated,
}  # fmt: skip


def _end(text: str, update: Update, **options: Any) -> tuple[Session, nn.Module]:
    model = network()
    session = begin(text, model, BUILDS["sgd"](model.parameters()), **options)
    while not session.done:
        update(session, model)
    return session, model


def _assert_same(model: nn.Module, other: nn.Module) -> None:
    for name, value in model.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


@pytest.mark.parametrize("text", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("loop", LOOPS)
def test_every_loop_ends_with_the_same_bits(text: str, loop: str) -> None:
    _assert_same(_end(text, LOOPS[loop])[1], _end(text, one_update)[1])


@pytest.mark.parametrize("text", SCHEDULES.values(), ids=SCHEDULES)
def test_the_quick_step_has_the_same_bits(text: str) -> None:
    _assert_same(_end(text, one_update, quick_step=True)[1], _end(text, one_update)[1])


@pytest.mark.parametrize("text", SCHEDULES.values(), ids=SCHEDULES)
def test_a_skipped_update_changes_nothing(text: str) -> None:
    def scaled(session: Session, model: nn.Module) -> None:
        session.begin_step()
        for is_broken in (True, False):
            before = copy.deepcopy((model.state_dict(), session.dense_weights(), session.boundary.acting.scores.values))
            session.optimizer.zero_grad()
            scaler.scale(backward_loss(model) * (float("inf") if is_broken else 1.0)).backward()
            assert session.step(scaler=scaler) is not is_broken
            if is_broken:
                now = (model.state_dict(), session.dense_weights(), session.boundary.acting.scores.values)
                for old, new in zip(before, now, strict=True):
                    assert all(torch.equal(old[name], new[name]) for name in old)

    def backward_loss(model: nn.Module) -> Tensor:
        return nn.functional.cross_entropy(model(samples()[0]), samples()[1])

    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20)
    _assert_same(_end(text, scaled)[1], _end(text, one_update)[1])


@pytest.mark.parametrize("text", SCHEDULES.values(), ids=SCHEDULES)
def test_the_model_is_masked_between_updates(text: str) -> None:
    model = network()
    names, addresses = list(model.state_dict()), [weight.data_ptr() for weight in model.parameters()]
    session = begin(text, model, BUILDS["sgd"](model.parameters()))
    for _ in updates(session, model):
        session.boundary.check_invariants(0)
        pruned = size = 0
        for name, mask in session.masks.items():
            assert is_positive_zero(model.state_dict()[name][~mask])
            pruned, size = pruned + int((~mask).sum()), size + mask.numel()
        assert session.sparsity()["total"] == (pruned / size if size else 0.0)
    assert list(model.state_dict()) == names
    assert [weight.data_ptr() for weight in model.parameters()] == addresses


@pytest.mark.parametrize("text", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("at", [1, 2, 3, 4, 6])
def test_resumed_anywhere_it_ends_with_the_same_bits(text: str, at: int, tmp_path: Any) -> None:
    whole = _end(text, one_update)[1]
    model = network()
    session = begin(text, model, BUILDS["sgd"](model.parameters()))
    for _ in range(at):
        one_update(session, model)
    save_checkpoint(tmp_path / "saved", {"model": model.state_dict(), "session": session.state_dict()})
    parts = load_checkpoint(tmp_path / "saved", ["model", "session"])
    again = network(seed=3)
    resumed = begin(text, again, BUILDS["sgd"](again.parameters()))
    again.load_state_dict(parts["model"])
    resumed.load_state_dict(parts["session"])
    run(resumed, again)
    _assert_same(again, whole)


@pytest.mark.parametrize("restore", ["", "restore=saved"])
@pytest.mark.parametrize("name", ["ste", "topkast", "movement ste"])
def test_a_dense_phase_takes_the_dense_values(name: str, restore: str) -> None:
    model = network()
    text = SCHEDULES[name].rpartition(";")[0] + f"; dense 1it {restore}"
    session = begin(text, model, BUILDS["sgd"](model.parameters()))
    while session.total_updates < session.timeline.stages[-1].start:
        one_update(session, model)
    dense, state = session.dense_weights(), copy.deepcopy(session.optimizer.state_dict()["state"])
    session.begin_step()
    assert not session.masks
    for key, value in dense.items():
        assert torch.equal(model.get_parameter(key), value)
    now = session.optimizer.state_dict()["state"]
    assert all(torch.equal(now[index]["momentum_buffer"], state[index]["momentum_buffer"]) for index in state)


def test_a_hard_phase_between_drops_the_values_and_restore_replaces_them() -> None:
    model = network()
    start = copy.deepcopy(model.state_dict())
    session = begin(
        "sparse 60% 3it lr=0.1 enforce=ste; sparse held 0it; dense 1it", model, BUILDS["sgd"](model.parameters())
    )
    for _ in range(3):
        one_update(session, model)
    masks, kept = session.masks, copy.deepcopy(model.state_dict())
    session.begin_step()
    for name in masks:
        assert torch.equal(model.get_parameter(name), kept[name])
    _, model = _end("sparse 60% 3it lr=0.1 enforce=ste; dense 0it restore=init", one_update)
    for name in masks:
        assert torch.equal(model.get_parameter(name).detach()[~masks[name]], start[name][~masks[name]])


def test_a_sparse_phase_after_it_chooses_from_the_dense_values() -> None:
    model = network()
    session = begin("sparse 80% 3it lr=0.1 enforce=ste; sparse 30% 1it", model, BUILDS["sgd"](model.parameters()))
    for _ in range(3):
        one_update(session, model)
    dense = session.dense_weights()
    session.begin_step()
    for name, mask in session.masks.items():
        assert torch.equal(model.get_parameter(name).detach(), dense[name] * mask)
        assert dense[name][mask].abs().min() >= dense[name][~mask].abs().max()


def test_clipping_sees_the_gradients_of_pruned_weights() -> None:
    session, _ = _end("sparse 60% 1it lr=0.1 enforce=ste clip=0.01", one_update)
    gradients = [weight.grad for group in session.optimizer.param_groups for weight in group["params"]]
    assert torch.stack([gradient.norm() for gradient in gradients if gradient is not None]).norm() == pytest.approx(
        0.01, rel=1e-4
    )
    assert all((gradient != 0).any() for gradient in gradients if gradient is not None)


def test_averaged_copies_are_masked() -> None:
    model = network()
    session = begin("sparse 60% 4it lr=0.1 enforce=ste", model, BUILDS["sgd"](model.parameters()))
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.5))
    for _ in updates(session, model):
        average.update_parameters(model)
    session.mask_copy(average)
    for name, mask in session.masks.items():
        assert not average.module.get_parameter(name).detach()[~mask].any()


def test_recurrent_and_tied_weights() -> None:
    """The flat buffer of a recurrent layer keeps its address, and a weight with two names has one mask and values."""

    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.LSTM(4, 6)
            self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
            self.second.weight = self.first.weight

        def forward(self, features: Tensor) -> Tensor:
            return self.second(self.first(self.rnn(features)[0])).square().mean()

    torch.manual_seed(0)
    model = Tied()
    addresses = [weight.data_ptr() for weight in model.rnn._flat_weights]
    session = begin("sparse 50% 3it lr=0.1 enforce=srste; dense 1it", model, optim.Adam(model.parameters(), lr=0.1))
    assert "second.weight" not in session.masks
    while not session.done:
        session.begin_step()
        session.optimizer.zero_grad()
        model(torch.ones(3, 2, 4)).backward()
        session.step()
    assert [weight.data_ptr() for weight in model.rnn._flat_weights] == addresses
    assert session.events[-1].kind == "exit"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sparse 50% 4it by=movement", "`by=movement` has no scores before the first update"),
        ("sparse 2:4 4it enforce=topkast", "`enforce=topkast` takes a share such as `80%`, not `2:4`"),
        ("sparse 50% 4it enforce=topkast(backward=60%)", "`backward=60%` of `topkast` leaves out weights"),
        ("sparse 50% 4it enforce=topkast by=random", "not those of `by=random`"),
        ("sparse 50% 4it; sparse 20% of=remaining enforce=ste", "with `enforce=ste` all of them are"),
    ],
)
def test_what_cannot_go_together_is_refused_by_phase(text: str, message: str) -> None:
    with pytest.raises(DsdError, match=message) as caught:
        _end(f"dense 1it lr=0.1; bad: {text}" if ";" not in text else f"{text} lr=0.1", one_update)
    assert "phase `" in caught.value.message


def test_what_a_loop_cannot_do_is_refused() -> None:
    model = network()
    session = begin("a: sparse 50% 4it enforce=ste lr=0.1", model, optim.LBFGS(model.parameters(), lr=0.1))
    session.begin_step()
    backward(model, *samples())
    with pytest.raises(DsdError, match="phase `a` has `enforce=ste`, and LBFGS"):
        session.before_update()
    captured = CapturedMasks(session)
    with pytest.raises(DsdError, match="phase `a` has `enforce=ste`, whose weights change around each step"):
        captured.follow()
    words = nn.Sequential(nn.Embedding(6, 4, sparse=True), nn.Linear(4, 4))
    session = begin(
        "sparse 50% 4it enforce=srste lr=0.1 layers=prunable,embed", words, optim.SGD(words.parameters(), lr=0.1)
    )
    words(torch.arange(6)).sum().backward()
    with pytest.raises(DsdError, match=r"the gradient of `0\.weight` is sparse, and `enforce=srste` needs it whole"):
        session.step()
    assert is_positive_zero(words[0].weight.detach()[~session.masks["0.weight"]])


def test_lbfgs_computes_its_losses_on_masked_weights() -> None:
    model = network()
    session = begin("sparse 50% 3it enforce=ste lr=0.5", model, optim.LBFGS(model.parameters(), lr=0.5, max_iter=3))
    zeros = []

    def closure() -> Tensor:
        session.optimizer.zero_grad()
        zeros.append(sum(int((weight == 0).sum()) for weight in model.parameters() if weight.dim() > 1))
        return backward(model, *samples())

    while not session.done:
        session.begin_step()
        session.step(closure=closure)
    pruned = sum(int((~mask).sum()) for mask in session.masks.values())
    assert len(zeros) > 3
    assert set(zeros) == {pruned}


def test_halves_that_are_left_open_mask_the_model_again() -> None:
    model = network()
    session = begin("sparse 50% 3it enforce=ste lr=0.1", model, BUILDS["sgd"](model.parameters()))
    session.begin_step()
    backward(model, *samples())
    before = copy.deepcopy(model.state_dict())
    session.before_update()
    assert not torch.equal(model.get_parameter("0.weight"), before["0.weight"])
    with pytest.raises(ValueError, match=r"dense_weights\(\) between"):
        session.dense_weights()
    session.after_update(applied=False)
    for name, value in before.items():
        assert torch.equal(model.state_dict()[name], value)


def test_every_way_of_the_language_is_here() -> None:
    assert {option.name for option in BY_NAME["enforce"].options if option.is_supported} == set(ENFORCEMENTS)


def test_the_plan_reads_defaults_from_the_registry() -> None:
    from dsd_lang.plan.enforcing import Enforcing

    plan = dsd_lang.compile(
        "sparse 80% enforce=topkast 5ep lr=0.1; sparse 2:4 enforce=srste; sparse 0->50% by=movement"
    )
    topkast, srste, movement = (Enforcing.of(phase, 10) for phase in plan.phases)
    assert (float(topkast.backward or 0), topkast.every) == (0.5, 100)
    assert (srste.decay, srste.every) == (2e-4, 1)
    assert (movement.score_lr, movement.is_soft, movement.keeps_values) == (1e-2, False, True)
