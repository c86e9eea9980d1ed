"""What survivors do under decay, clipping, accumulation and loss scaling: rows 3 to 6 of the engine's table."""

from __future__ import annotations

import pytest
import torch
from engine_loops import backward, begin, network, one_update, samples, shuffled_loader
from torch import nn, optim

HIDDEN, KEPT = 16, 8


def _prunable_by_units() -> nn.Sequential:
    """A perceptron in which half of the hidden units have small weights, so that `sparse 50%` removes them whole."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 4)).double()
    with torch.no_grad():
        for values in (model[0].weight[KEPT:], model[2].weight[:, KEPT:]):
            values.mul_(1e-3)
        for values in (model[0].weight[:KEPT], model[2].weight[:, :KEPT]):
            values.add_(values.sign())
    return model


def _compacted(model: nn.Sequential) -> nn.Sequential:
    """The smaller dense network that is left when those units are cut out."""
    small = nn.Sequential(nn.Linear(6, KEPT), nn.Tanh(), nn.Linear(KEPT, 4)).double()
    with torch.no_grad():
        small[0].weight.copy_(model[0].weight[:KEPT])
        small[0].bias.copy_(model[0].bias[:KEPT])
        small[2].weight.copy_(model[2].weight[:, :KEPT])
        small[2].bias.copy_(model[2].bias)
    return small


BUILDERS = {
    "sgd, coupled decay": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.05),
    "adam, coupled decay": lambda p: optim.Adam(p, lr=0.01, weight_decay=0.05),
    "adamw, decoupled decay": lambda p: optim.AdamW(p, lr=0.01, weight_decay=0.3),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.9, weight_decay=0.05),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.1, weight_decay=0.05),
    "adamax": lambda p: optim.Adamax(p, lr=0.01, weight_decay=0.05),
}


@pytest.mark.parametrize("clip", [None, 0.05], ids=["unclipped", "clipped"])
@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS.keys())
def test_survivors_follow_the_smaller_dense_network(build, clip: float | None) -> None:  # type: ignore[no-untyped-def]
    """Rows 3 and 4: decay, coupled or not, and clipping act as they would on the network without the pruned units."""
    model = _prunable_by_units()
    small = _compacted(model)
    session = begin("sparse 50% 30it", model, build(model.parameters()))
    reference = build(small.parameters())
    assert bool(session.masks["0.weight"][:KEPT].all())
    assert not bool(session.masks["0.weight"][KEPT:].any())
    features, labels = torch.randn(20, 6, dtype=torch.float64), torch.randint(0, 4, (20,))
    while not session.done:
        for net in (model, small):
            net.zero_grad()
            backward(net, features, labels)
        session.step(clip=clip)
        if clip is not None:
            nn.utils.clip_grad_norm_(small.parameters(), clip)
        reference.step()
    torch.testing.assert_close(model[0].weight[:KEPT], small[0].weight, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(model[2].weight[:, :KEPT], small[2].weight, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(model[2].bias, small[2].bias, rtol=1e-9, atol=1e-12)


def test_the_norm_that_is_clipped_is_the_masked_one() -> None:
    """Row 4: at 90% the dense norm is well above the masked one; the masked gradient ends exactly at the bound."""
    model = network(bias=False)
    session = begin("sparse 90% 1it", model, optim.SGD(model.parameters(), lr=0.1))
    backward(model, *samples())
    dense = _gradient_norm(model)
    kept = [weight.grad[session.masks[name]] for name, weight in model.named_parameters() if weight.grad is not None]
    assert dense / float(torch.cat(kept).norm()) > 1.5
    session.step(clip=1e-3)
    assert _gradient_norm(model) == pytest.approx(1e-3, rel=1e-2)


def _gradient_norm(model: nn.Module) -> float:
    return float(torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]).norm())


@pytest.mark.parametrize(
    ("text", "largest"), [("clip=value(1e-3)", 1e-3), ("clip=norm(1e-3)", 1e-3), ("clip=1e-3", 1e-3)]
)
def test_a_phase_clips_as_it_says_and_the_next_does_not(text: str, largest: float) -> None:
    """`clip=` is a norm or a bound on values, for its own phase; it wins over the loop's own bound."""
    model = network()
    session = begin(f"dense 1it lr=0.1 {text}; dense 1it", model, optim.SGD(model.parameters(), lr=0.1))
    session.begin_step()
    backward(model, *samples())
    session.step(clip=100.0)
    gradients = torch.cat([weight.grad.flatten() for weight in model.parameters()])
    found = gradients.abs().max() if "value" in text else gradients.norm()
    assert float(found) == pytest.approx(largest, rel=1e-3)
    session.optimizer.zero_grad()
    session.begin_step()
    backward(model, *samples())
    session.step()
    assert float(torch.cat([weight.grad.flatten() for weight in model.parameters()]).norm()) > 0.01


def test_accumulated_gradients_count_updates_with_batches() -> None:
    """Row 5: with two batches to an update, clocks and boundaries count updates."""
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    loader = shuffled_loader(32, 4)
    session = begin("dense 1ep lr=0.1; sparse 50% 1ep; dense 1.5ep", model, optimizer, steps=len(loader) // 2)
    phases: list[int] = []
    for _ in session.epochs():
        for number, (features, labels) in enumerate(session.batches(loader)):
            (backward(model, features, labels) / 2).detach()
            if number % 2:
                session.step()
                optimizer.zero_grad()
                phases.append(session.phase.index)
    assert phases == [0] * 4 + [1] * 4 + [2] * 6
    assert session.total_updates == 14


def test_accumulated_gradients_in_a_loop_of_ones_own_equal_the_large_batch() -> None:
    """Row 5: the sum of micro-batches trains like the batch, boundaries included."""
    features, labels = samples(16)
    ends = []
    for parts in (1, 4):
        model = network().double()
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        session = begin("dense 3it lr=0.1; sparse 60% 3it; dense 3it", model, optimizer)
        while not session.done:
            optimizer.zero_grad()
            for x, y in zip(features.double().chunk(parts), labels.chunk(parts), strict=True):
                session.begin_step()
                (nn.functional.cross_entropy(model(x), y) / parts).backward()
            session.step()
        ends.append([weight.detach() for weight in model.parameters()])
    for whole, summed in zip(*ends, strict=True):
        torch.testing.assert_close(whole, summed, rtol=1e-9, atol=1e-12)


SCALED = [
    (optim.SGD, {"momentum": 0.9}), (optim.SGD, {"momentum": 0.9, "fused": True}), (optim.AdamW, {}),
    (optim.AdamW, {"foreach": True}), (optim.AdamW, {"fused": True}), (optim.Adam, {"fused": True}),
    (optim.Adagrad, {"fused": True}),
]  # fmt: skip


@pytest.mark.parametrize("at", [0, 3, 4, 5])
@pytest.mark.parametrize(("kind", "options"), SCALED)
def test_a_skipped_update_advances_nothing(kind: type, options: dict[str, object], at: int) -> None:
    """Row 6: an infinite gradient, at a boundary and elsewhere: no mask event, no clock, no rate, the same end."""
    text = "dense 4it lr=0.1 decay=linear; sparse 50% 4it decay=linear; dense 2it"
    ends = []
    for inject in (False, True):
        model = network()
        session = begin(text, model, kind(model.parameters(), lr=0.1, **options))
        scaler = torch.amp.GradScaler(device="cpu", init_scale=2.0**10)
        injected = not inject
        while not session.done:
            session.begin_step()
            session.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(samples()[0]), samples()[1])
            scaler.scale(loss).backward()
            if session.total_updates == at and not injected:
                injected = True
                model[3].weight.grad[0, 0] = float("inf")  # type: ignore[index]
                before = (session.phase, len(session.events), session.total_updates, session.progress)
                weights = [weight.clone() for weight in model.parameters()]
                masks = {name: mask.clone() for name, mask in session.masks.items()}
                assert session.step(scaler=scaler) is False
                assert before == (session.phase, len(session.events), session.total_updates, session.progress)
                assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
                assert all(torch.equal(masks[name], mask) for name, mask in session.masks.items())
                continue
            assert session.step(scaler=scaler) is True
        assert session.total_updates == 10
        ends.append([weight.detach().clone() for weight in model.parameters()])
    for plain, skipped in zip(*ends, strict=True):
        torch.testing.assert_close(plain, skipped)


def test_a_disabled_scaler_is_no_scaler() -> None:
    """Row 6: `enabled=False`, as scripts have it on a CPU."""
    ends = []
    for scaler in (None, torch.amp.GradScaler(device="cpu", enabled=False)):
        model = network()
        session = begin("dense 2it lr=0.1; sparse 50% 2it", model, optim.SGD(model.parameters(), lr=0.1))
        while not session.done:
            session.begin_step()
            session.optimizer.zero_grad()
            backward(model, *samples())
            assert session.step(scaler=scaler)
        ends.append(model[0].weight.detach())
    assert torch.equal(*ends)


def test_a_scaler_and_a_closure_do_not_go_together() -> None:
    """API misuse is a ValueError."""
    model = network()
    session = begin("dense 1it lr=0.1", model, optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(ValueError, match="not both"):
        session.step(scaler=torch.amp.GradScaler(device="cpu"), closure=lambda: torch.zeros(()))


def test_l1_adds_its_gradient_before_clipping_and_spares_the_pruned() -> None:
    """`l1=` adds strength x sign(w) to every matrix, for its phase alone."""
    model, plain = network(), network()
    session = begin("dense 1it lr=1 l1=0.01; dense 1it lr=1", model, optim.SGD(model.parameters(), lr=1.0))
    signs = [weight.detach().sign() for weight in model.parameters()]
    one_update(session, model)
    reference = optim.SGD(plain.parameters(), lr=1.0)
    backward(plain, *samples())
    reference.step()
    for weight, other, sign in zip(model.parameters(), plain.parameters(), signs, strict=True):
        torch.testing.assert_close(weight, other - 0.01 * sign if weight.dim() >= 2 else other)
    plain.load_state_dict(model.state_dict())
    one_update(session, model)
    reference.zero_grad()
    backward(plain, *samples())
    reference.step()
    torch.testing.assert_close(model[0].weight, plain[0].weight)
