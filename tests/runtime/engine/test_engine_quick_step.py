"""`attach(quick_step=True)`: the same bits as the optimizer's own step, in every phase, and whose step it is."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from engine_loops import assert_masked, backward, begin, network, samples
from torch import Tensor, nn, optim
from torch.optim.optimizer import register_optimizer_step_pre_hook

from dsd_runtime import Session
from dsd_runtime.engine.quick_pieces import PIECE_ELEMENTS
from dsd_runtime.engine.quick_step import QuickStep
from dsd_runtime.masks import MaskStore

SCHEDULE = "dense 3it lr=0.01; sparse 60% 4it state=reset clip=0.5; dense 3it lr=0.02; sparse 40% 3it l1=1e-4"
QUICK: list[tuple[type[optim.Optimizer], dict[str, Any]]] = [
    (optim.SGD, {}),
    (optim.SGD, {"weight_decay": 1e-2}),
    (optim.SGD, {"momentum": 0.9}),
    (optim.SGD, {"momentum": 0.9, "dampening": 0.3, "weight_decay": 1e-2}),
    (optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-2}),
    (optim.Adam, {}),
    (optim.Adam, {"weight_decay": 1e-2, "betas": (0.8, 0.99), "eps": 1e-6}),
    (optim.AdamW, {}),
    (optim.AdamW, {"weight_decay": 0.0, "eps": 1e-3}),
]
OWN: list[tuple[type[optim.Optimizer], dict[str, Any]]] = [
    (optim.SGD, {"maximize": True}),
    (optim.SGD, {"fused": True, "momentum": 0.9}),
    (optim.Adam, {"foreach": True}),
    (optim.Adam, {"amsgrad": True}),
    (optim.AdamW, {"lr": torch.tensor(0.01), "foreach": False}),
    (optim.RMSprop, {}),
    (optim.Adamax, {}),
]


def state_of(optimizer: optim.Optimizer) -> list[dict[str, Any]]:
    return [optimizer.state[weight] for group in optimizer.param_groups for weight in group["params"]]


def assert_equal_bits(ours: optim.Optimizer, theirs: optim.Optimizer) -> None:
    """Weights, gradients and state are the same, and so is the order of the state's entries."""
    pairs = zip(*([w for group in one.param_groups for w in group["params"]] for one in (ours, theirs)), strict=True)
    for weight, other in pairs:
        assert torch.equal(weight.nan_to_num(), other.nan_to_num())
        assert torch.equal(weight.isnan(), other.isnan())
        assert (weight.grad is None and other.grad is None) or torch.equal(weight.grad, other.grad)
    for state, other_state in zip(state_of(ours), state_of(theirs), strict=True):
        assert list(state) == list(other_state)
        for name, value in state.items():
            assert torch.equal(value, other_state[name]), name
            assert value.dtype == other_state[name].dtype
            assert value.stride() == other_state[name].stride()


def sessions(kind: type[optim.Optimizer], options: dict[str, Any], text: str = SCHEDULE) -> list[tuple[Session, Any]]:
    """The same training twice, with and without `quick_step`."""
    models = [network(), network()]
    return [
        (begin(text, model, kind(model.parameters(), **{"lr": 0.01, **deepcopy(options)}), quick_step=is_quick), model)
        for model, is_quick in zip(models, (True, False), strict=True)
    ]


def update(session: Session, model: nn.Module) -> None:
    session.begin_step()
    session.optimizer.zero_grad()
    backward(model, *samples(8, session.total_updates))
    session.step()


@pytest.mark.parametrize(("kind", "options"), [*QUICK, *OWN])
def test_every_update_of_a_schedule_has_the_bits_of_the_optimizers_own(
    kind: type[optim.Optimizer], options: dict[str, Any]
) -> None:
    """Also the state of weights that join later, and what is masked."""
    (quick, model), (own, other) = sessions(kind, options)
    while not own.done:
        for session, net in ((quick, model), (own, other)):
            update(session, net)
        assert_equal_bits(quick.optimizer, own.optimizer)
        if quick.masks:
            assert_masked(quick, model)
    assert quick.done


@pytest.mark.parametrize("saved_by", ["quick", "own"])
@pytest.mark.parametrize(("kind", "options"), [QUICK[4], QUICK[7]])
def test_a_state_is_continued_by_either(kind: type[optim.Optimizer], options: dict[str, Any], saved_by: str) -> None:
    """A run saved in the sparse phase without `quick_step` goes on with it, and the other way round."""
    (quick, model), (own, other) = sessions(kind, options)
    first, second = ((quick, model), (own, other)) if saved_by == "quick" else ((own, other), (quick, model))
    while first[0].total_updates < 5:
        update(*first)
    second[1].load_state_dict({name: value.clone() for name, value in first[1].state_dict().items()})
    state = first[0].state_dict()
    optimizer = state["overrides"]["optimizer"]
    optimizer["state"] = {
        index: {name: value.clone() for name, value in entry.items()} for index, entry in optimizer["state"].items()
    }
    second[0].load_state_dict(state)
    while not first[0].done:
        update(*first)
        update(*second)
        assert_equal_bits(first[0].optimizer, second[0].optimizer)


def weights_of_all_sizes(dtype: torch.dtype, largest: int = PIECE_ELEMENTS + 7) -> list[nn.Parameter]:
    """Above and below the size of a piece, of odd lengths, without elements, in channels-last memory."""
    torch.manual_seed(0)
    shapes = [(largest,), (517, 1031), (), (0, 3), (3, 3), (1 << 15, 1), (64, 70, 9, 9)]
    values = [torch.randn(shape, dtype=torch.float64).to(dtype) for shape in shapes]
    values[-1] = values[-1].contiguous(memory_format=torch.channels_last)
    return [nn.Parameter(value) for value in values]


def uneven_like(weight: Tensor) -> Tensor:
    """A gradient of which some elements are 0, and some so small that their squares are denormal numbers or 0."""
    scale = torch.tensor([1.0, 0.0, 1e-12, 1e-20, 1e-22, 1e-30])[torch.randint(0, 6, weight.shape)]
    return torch.randn_like(weight) * scale.to(weight.dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("kind", "options"), [QUICK[0], QUICK[1], *QUICK[3:5], *QUICK[6:], (optim.Adam, {"eps": 0.0})])
def test_where_a_tensor_is_cut_changes_no_bit(
    kind: type[optim.Optimizer], options: dict[str, Any], dtype: torch.dtype
) -> None:
    ours, theirs = weights_of_all_sizes(dtype), weights_of_all_sizes(dtype)
    optimizers = [kind([{"params": weights[:2]}, {"params": weights[2:], "lr": 0.1}], **{"lr": 0.01, **options})
                  for weights in (ours, theirs)]  # fmt: skip
    quick = QuickStep()
    for number in range(3):
        for weight, other in zip(ours, theirs, strict=True):
            weight.grad = uneven_like(weight) if number or weight.dim() != 2 else None  # some begin later
            other.grad = weight.grad.clone(memory_format=torch.preserve_format) if weight.grad is not None else None
        assert quick(optimizers[0])
        optimizers[1].step()
    assert_equal_bits(*optimizers)


def _channels_last(values: Tensor) -> Tensor:
    return values.contiguous(memory_format=torch.channels_last)


def _with_gaps(values: Tensor) -> Tensor:
    """The same values in every second element of memory."""
    wide = torch.zeros(*values.shape[:-1], 2 * values.shape[-1])
    wide[..., ::2] = values
    return wide[..., ::2]


@pytest.mark.parametrize("shape", [(8, 7, 3, 3), (64, 70, 9, 9)], ids=["small", "large"])
@pytest.mark.parametrize(("kind", "options"), [QUICK[0], QUICK[2], QUICK[7]])
@pytest.mark.parametrize(
    ("of_weight", "of_gradient"),
    [(_channels_last, torch.clone), (torch.clone, _channels_last), (_channels_last, _channels_last),
     (_with_gaps, torch.clone), (_with_gaps, _with_gaps)],
)  # fmt: skip
def test_how_weights_and_gradients_lie_in_memory_changes_no_bit(
    of_weight: Callable[[Tensor], Tensor],
    of_gradient: Callable[[Tensor], Tensor],
    kind: type[optim.Optimizer],
    options: dict[str, Any],
    shape: tuple[int, ...],
) -> None:
    """Torch's fused kernels walk through memory, so they would add a weight's gradient to another weight."""
    torch.manual_seed(0)
    drawn = torch.randn(shape)
    weights = [nn.Parameter(of_weight(drawn)) for _ in range(2)]
    quick, own = (kind([weight], **{"lr": 0.01, **options}) for weight in weights)
    for _ in range(3):
        gradient = torch.randn(shape)
        for weight in weights:
            weight.grad = of_gradient(gradient)
        assert QuickStep()(quick)
        own.step()
    assert_equal_bits(quick, own)


@pytest.mark.parametrize("kind", [optim.Adam, optim.AdamW])
def test_zeros_keep_the_sign_that_the_optimizer_gives_them(kind: type[optim.Optimizer]) -> None:
    """The step of Adam is made in two: the first must not turn -0 into 0."""
    zeros = torch.tensor([0.0, -0.0, -0.0, -0.0, -0.0, 1e-45]).repeat(50_000)
    gradients = torch.tensor([-0.0, 0.0, -0.0, 1e-42, -1e-42, 0.0]).repeat(50_000)
    found = []
    for is_quick in (True, False):
        weight = nn.Parameter(zeros.clone())
        optimizer = kind([weight], lr=1e-9, eps=1.0)
        for _ in range(2):
            weight.grad = gradients.clone()
            assert QuickStep()(optimizer) if is_quick else optimizer.step() is None
        found.append(weight.detach().view(torch.int32))
    assert torch.equal(*found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("kind", "options"), [QUICK[1], QUICK[2], QUICK[4], QUICK[5]])
def test_gradients_masked_in_pieces_are_those_masked_before(
    kind: type[optim.Optimizer], options: dict[str, Any], dtype: torch.dtype
) -> None:
    """Large and small masks, of all layouts; also NaN, infinity and the sign of zero."""
    ours, theirs = weights_of_all_sizes(dtype, (1 << 20) + 5), weights_of_all_sizes(dtype, (1 << 20) + 5)
    stores = [MaskStore((str(number), weight) for number, weight in enumerate(weights)) for weights in (ours, theirs)]
    for number, weight in enumerate(ours[:-2]):
        keep = torch.rand(weight.shape) < 0.5
        for store in stores:
            store.set(str(number), keep)
    optimizers = [kind(weights, **{"lr": 0.01, **options}) for weights in (ours, theirs)]
    quick = QuickStep()
    for store in stores:
        store.apply_to_weights()
    for _ in range(2):
        for (number, weight), other in zip(enumerate(ours), theirs, strict=True):
            weight.grad = torch.randn_like(weight)
            if str(number) in stores[0] and weight.dim():
                weight.grad[~stores[0].masks[str(number)]] = torch.nan if number % 2 else -torch.inf
            other.grad = weight.grad.clone(memory_format=torch.preserve_format)
        assert quick(optimizers[0], stores[0])
        stores[1].apply_to_gradients()
        optimizers[1].step()
    assert_equal_bits(*optimizers)
    assert not stores[0].off_mask_counts()


def test_a_masked_weight_that_the_optimizer_does_not_have_gets_no_gradient() -> None:
    weights = [nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(4))]
    store = MaskStore(zip("ab", weights, strict=True))
    for name, weight in zip("ab", weights, strict=True):
        store.set(name, torch.tensor([True, False, True, False]))
        weight.grad = torch.ones(4)
    assert QuickStep()(optim.SGD(weights[:1], lr=0.5), store)
    assert weights[0].tolist() == [0.5, 1.0, 0.5, 1.0]
    assert [weight.grad.tolist() for weight in weights if weight.grad is not None] == [[1.0, 0.0, 1.0, 0.0]] * 2


def _observed(optimizer: optim.Optimizer) -> None:
    optimizer.register_step_post_hook(lambda *_: None)


def _scheduled(optimizer: optim.Optimizer) -> None:
    optim.lr_scheduler.StepLR(optimizer, 3)


def _ill_typed(optimizer: optim.Optimizer) -> None:
    weight = nn.Parameter(torch.ones(2, dtype=torch.bfloat16))
    weight.grad = torch.ones_like(weight)
    optimizer.add_param_group({"params": [weight]})


def _sparse(optimizer: optim.Optimizer) -> None:
    embedding = nn.Embedding(4, 2, sparse=True)
    embedding(torch.tensor([1, 2])).sum().backward()
    optimizer.add_param_group({"params": [embedding.weight]})


@pytest.mark.parametrize("change", [_observed, _scheduled, _ill_typed, _sparse])
def test_what_somebody_else_takes_part_in_is_left_to_the_optimizer(change: Callable[[optim.Optimizer], None]) -> None:
    weight = nn.Parameter(torch.ones(3))
    weight.grad = torch.ones(3)
    optimizer = optim.SGD([weight], lr=0.5, momentum=0.9)
    change(optimizer)
    assert not QuickStep()(optimizer)
    assert weight.tolist() == [1.0, 1.0, 1.0]
    assert not optimizer.state


class OwnSgd(optim.SGD):
    """A class whose step nobody knows."""


@pytest.mark.parametrize(("kind", "options"), [*OWN, (OwnSgd, {})])
def test_other_optimizers_do_their_own_step(kind: type[optim.Optimizer], options: dict[str, Any]) -> None:
    weight = nn.Parameter(torch.ones(3))
    weight.grad = torch.ones(3)
    assert not QuickStep()(kind([weight], **{"lr": 0.5, **options}))
    assert weight.tolist() == [1.0, 1.0, 1.0]


def test_a_hook_of_the_users_sees_every_step() -> None:
    model, seen = network(), []
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    session = begin("dense 2it; sparse 50% 2it", model, optimizer, quick_step=True)
    optimizer.register_step_post_hook(lambda *_: seen.append(1))
    while not session.done:
        update(session, model)
    assert len(seen) == 4


def test_a_global_hook_sees_every_step() -> None:
    seen: list[int] = []
    handle = register_optimizer_step_pre_hook(lambda *_: seen.append(1))
    try:
        model = network()
        session = begin("dense 2it", model, optim.SGD(model.parameters(), lr=0.1), quick_step=True)
        while not session.done:
            update(session, model)
    finally:
        handle.remove()
    assert len(seen) == 2


def test_gradients_are_left_as_they_were() -> None:
    """A loop may read them after the update."""
    weight = nn.Parameter(torch.ones(4))
    weight.grad = torch.arange(4.0)
    optimizer = optim.SGD([weight], lr=0.5, momentum=0.9, nesterov=True, weight_decay=0.1)
    quick = QuickStep()
    assert quick(optimizer)
    assert quick(optimizer)
    assert weight.grad.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_an_infinite_gradient_gives_what_the_optimizer_gives() -> None:
    """Infinities and NaN go the same way, so that they are found in the same update."""
    found: list[Tensor] = []
    for is_quick in (True, False):
        weight = nn.Parameter(torch.ones(4))
        optimizer = optim.Adam([weight], lr=0.5)
        weight.grad = torch.tensor([1.0, torch.inf, torch.nan, -torch.inf])
        assert QuickStep()(optimizer) if is_quick else optimizer.step() is None
        found.append(weight.detach())
    assert torch.equal(found[0].isnan(), found[1].isnan())
    assert torch.equal(found[0].nan_to_num(), found[1].nan_to_num())
