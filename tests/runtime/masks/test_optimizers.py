"""Which optimizers keep zeros at zero by themselves, and that full masking serves all the others."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn, optim

from dsd_runtime.masks import MaskStore, preserves_zero

SHAPE = (30, 40)
VARIANTS: list[dict[str, Any]] = [{"foreach": False}, {"foreach": True}, {"fused": True}]
PRESERVING: list[tuple[type[optim.Optimizer], dict[str, Any]]] = [
    (optim.SGD, {"lr": 0.1}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "maximize": True}),
    (optim.Adam, {}),
    (optim.Adam, {"amsgrad": True, "weight_decay": 0.1, "maximize": True}),
    (optim.AdamW, {}),
    (optim.AdamW, {"amsgrad": True, "betas": (0.0, 0.5)}),
    (optim.NAdam, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    (optim.RAdam, {"weight_decay": 0.1}),
    (optim.RMSprop, {}),
    (optim.RMSprop, {"centered": True, "momentum": 0.9, "weight_decay": 0.1}),
    (optim.Adagrad, {"initial_accumulator_value": 0.1, "weight_decay": 0.1}),
    (optim.Adadelta, {"weight_decay": 0.1}),
    (optim.ASGD, {"t0": 3, "weight_decay": 0.1}),
]
OTHERS: list[tuple[type[optim.Optimizer], dict[str, Any]]] = [
    (optim.Adamax, {}),
    (optim.Rprop, {}),
    (optim.Adafactor, {}),
    (optim.Muon, {}),
]


def build(kind: type[optim.Optimizer], options: dict[str, Any], parameter: nn.Parameter) -> optim.Optimizer:
    try:
        return kind([parameter], **options)
    except TypeError as error:
        pytest.skip(f"{kind.__name__} has no such variant: {error}")


def enter(kind: type[optim.Optimizer], options: dict[str, Any]) -> tuple[nn.Parameter, optim.Optimizer, MaskStore]:
    """A weight trained densely for some updates, then masked as at a phase's entry."""
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(SHAPE))
    optimizer = build(kind, options, weight)
    for _ in range(5):
        weight.grad = torch.randn(SHAPE)
        optimizer.step()
    store = MaskStore([("w", weight)])
    store.set("w", torch.rand(SHAPE) < 0.5)
    store.apply_to_weights()
    store.apply_to_optimizer_state(optimizer)
    return weight, optimizer, store


def off_mask_bits(tensor: Tensor, store: MaskStore) -> int:
    return int(tensor.detach().view(torch.int32)[~store.masks["w"]].count_nonzero())


def buffers(optimizer: optim.Optimizer, weight: nn.Parameter) -> list[Tensor]:
    return [v for v in optimizer.state[weight].values() if isinstance(v, Tensor) and v.shape == weight.shape]


@pytest.mark.parametrize("variant", VARIANTS, ids=["loop", "foreach", "fused"])
@pytest.mark.parametrize(("kind", "options"), PRESERVING)
def test_masking_gradients_is_enough(kind: type[optim.Optimizer], options: dict[str, Any], variant: Any) -> None:
    weight, optimizer, store = enter(kind, {**options, **variant})
    assert preserves_zero(optimizer)
    alive_before = weight.detach().clone()
    for update in range(50):
        weight.grad = torch.randn(SHAPE)
        if update == 7:
            weight.grad[~store.masks["w"]] = float("nan")
        store.apply_to_gradients()
        optimizer.step()
        if update in (0, 1, 49):
            assert off_mask_bits(weight, store) == 0
            assert [off_mask_bits(buffer, store) for buffer in buffers(optimizer, weight)] == [
                0 for _ in buffers(optimizer, weight)
            ]
    assert weight.isfinite().all()
    assert (weight != alive_before)[store.masks["w"]].all()


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.RMSprop, optim.Adadelta])
def test_state_born_inside_a_sparse_phase(kind: type[optim.Optimizer], fresh: bool) -> None:
    weight, optimizer, store = enter(kind, {"lr": 0.1, **({"momentum": 0.9} if kind is optim.SGD else {})})
    if fresh:
        optimizer.state.clear()
    for _ in range(3):
        weight.grad = torch.randn(SHAPE)
        store.apply_to_gradients()
        optimizer.step()
        assert off_mask_bits(weight, store) == 0
        assert all(off_mask_bits(buffer, store) == 0 for buffer in buffers(optimizer, weight))


@pytest.mark.parametrize(("kind", "options"), [*OTHERS, *PRESERVING])
def test_full_masking_serves_every_optimizer(kind: type[optim.Optimizer], options: dict[str, Any]) -> None:
    weight, optimizer, store = enter(kind, options)
    for update in range(50):
        weight.grad = torch.randn(SHAPE)
        store.apply_to_gradients()
        optimizer.step()
        store.apply_to_weights()
        store.apply_to_optimizer_state(optimizer)
        if update in (0, 1, 49):
            assert off_mask_bits(weight, store) == 0
            assert all(off_mask_bits(buffer, store) == 0 for buffer in buffers(optimizer, weight))


@pytest.mark.parametrize(("kind", "options"), OTHERS)
def test_the_others_are_not_trusted(kind: type[optim.Optimizer], options: dict[str, Any]) -> None:
    assert not preserves_zero(kind([nn.Parameter(torch.zeros(SHAPE))], **options))


def test_an_epsilon_that_vanishes_is_not_trusted() -> None:
    weight = nn.Parameter(torch.zeros(SHAPE))
    assert not preserves_zero(optim.Adam([weight], eps=0.0))
    assert not preserves_zero(optim.Adam([weight], eps=1e-60))
    assert not preserves_zero(optim.Adam([nn.Parameter(torch.zeros(SHAPE, dtype=torch.float16))]))
    assert preserves_zero(optim.Adam([nn.Parameter(torch.zeros(SHAPE, dtype=torch.bfloat16))]))
    groups = [{"params": [weight]}, {"params": [nn.Parameter(torch.zeros(2))], "eps": 0.0}]
    assert not preserves_zero(optim.Adam(groups))


def test_one_parameter_whose_epsilon_vanishes_is_enough() -> None:
    both = [torch.zeros(2, dtype=torch.float32), torch.zeros(2, dtype=torch.float16)]
    for order in (both, both[::-1]):
        assert preserves_zero(optim.Adam(order[:1])) == (order[0].dtype == torch.float32)
        assert not preserves_zero(optim.Adam(order))
        assert not preserves_zero(optim.Adam([{"params": order[:1]}, {"params": order[1:]}]))
        assert preserves_zero(optim.Adam(order, eps=1e-4))


def test_full_masking_clears_what_a_vanished_epsilon_makes() -> None:
    weight, optimizer, store = enter(optim.Adam, {"eps": 0.0})
    weight.grad = torch.randn(SHAPE)
    store.apply_to_gradients()
    optimizer.step()
    assert weight.isnan().any()
    store.apply_to_weights()
    assert off_mask_bits(weight, store) == 0
    assert weight.isfinite().all()


def test_subclasses_and_hooks_are_not_trusted() -> None:
    class Own(optim.SGD):
        pass

    weight = nn.Parameter(torch.zeros(SHAPE))
    assert not preserves_zero(Own([weight], lr=0.1))
    hooked = optim.SGD([weight], lr=0.1)
    hooked.register_step_post_hook(lambda *_: None)
    assert not preserves_zero(hooked)


def test_sparse_embedding_gradients_with_sgd() -> None:
    embedding = nn.Embedding(20, 6, sparse=True)
    optimizer = optim.SGD(embedding.parameters(), lr=0.1, momentum=0.9)
    store = MaskStore(embedding.named_parameters())
    store.set("weight", torch.rand(20, 6) < 0.5)
    store.apply_to_weights()
    for _ in range(3):
        optimizer.zero_grad()
        embedding(torch.randint(0, 20, (9,))).square().sum().backward()
        store.apply_to_gradients()
        optimizer.step()
        assert store.off_mask_counts() == {}
    store.apply_to_optimizer_state(optimizer)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.AdamW])
def test_survivors_follow_the_smaller_dense_network(kind: type[optim.Optimizer]) -> None:
    """Hidden units cut away by masks train exactly like a network without them, weight decay included."""
    torch.manual_seed(1)
    large = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    small = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    store = MaskStore(large.named_parameters())
    store.set("0.weight", (torch.arange(8) < 5)[:, None].expand(8, 6))
    store.set("0.bias", torch.arange(8) < 5)
    store.set("2.weight", (torch.arange(8) < 5)[None].expand(3, 8))
    store.apply_to_weights()
    with torch.no_grad():
        small[0].weight.copy_(large[0].weight[:5])
        small[0].bias.copy_(large[0].bias[:5])
        small[2].weight.copy_(large[2].weight[:, :5])
        small[2].bias.copy_(large[2].bias)
    options: dict[str, Any] = {"lr": 0.01, "weight_decay": 0.1, **({"momentum": 0.9} if kind is optim.SGD else {})}
    optimizers = [kind(model.parameters(), **options) for model in (large, small)]
    for _ in range(20):
        inputs, targets = torch.randn(16, 6).double(), torch.randn(16, 3).double()
        for model, optimizer in zip((large, small), optimizers, strict=True):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(inputs), targets).backward()
            if model is large:
                store.apply_to_gradients()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
    torch.testing.assert_close(large[0].weight[:5], small[0].weight, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(large[2].weight[:, :5], small[2].weight, rtol=1e-9, atol=1e-12)
    assert store.off_mask_counts() == {}
