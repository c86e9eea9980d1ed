"""The learning rate of every update: row 16 of the engine's table."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from engine_loops import backward, begin, network, one_update, run, samples
from torch import optim

from dsd_lang.base.errors import DsdError

STEPS = 5


def _used(text: str, *, build: Callable[..., optim.Optimizer] | None = None) -> list[tuple[int, int, float]]:
    """(phase, update within it, rate) as each step of the optimizer saw it; asserts that the session said the same."""
    model = network()
    optimizer = build(model) if build else optim.SGD(model.parameters(), lr=0.3)
    seen: list[tuple[int, int, float]] = []
    session = begin(text, model, optimizer, steps=STEPS)
    while not session.done:
        session.begin_step()
        view = session.phase
        optimizer.zero_grad()
        backward(model, *samples())
        before = [weight.detach().clone() for weight in optimizer.param_groups[0]["params"]]
        rate = float(optimizer.param_groups[0]["lr"])
        assert view.lr == pytest.approx(rate, rel=1e-6)
        session.step()
        seen.append((view.index, view.step, rate))
        if type(optimizer) is optim.SGD and not optimizer.defaults["momentum"]:
            weight = optimizer.param_groups[0]["params"][1]
            torch.testing.assert_close(weight.detach(), before[1] - rate * weight.grad, rtol=1e-5, atol=1e-7)
    return seen


SHAPES: dict[str, Callable[[int, int], float]] = {
    "decay=constant": lambda t, n: 0.2,
    "decay=cosine": lambda t, n: 0.1 * (1 + math.cos(math.pi * t / n)),
    "decay=cosine floor=0.02": lambda t, n: 0.02 + 0.09 * (1 + math.cos(math.pi * t / n)),
    "decay=linear": lambda t, n: 0.2 * (1 - t / n),
    "decay=linear floor=0.1": lambda t, n: 0.2 - 0.1 * t / n,
    "decay=step(30%,60%,by=0.1)": lambda t, n: 0.2 * 0.1 ** ((t >= round(0.3 * n)) + (t >= round(0.6 * n))),
    "decay=step(1ep,7it,by=0.5)": lambda t, n: 0.2 * 0.5 ** ((t >= STEPS) + (t >= 7)),
    "decay=exp(0.9)": lambda t, n: 0.2 * 0.9 ** (t // STEPS),
    "decay=exp(0.5) floor=0.08": lambda t, n: max(0.08, 0.2 * 0.5 ** (t // STEPS)),
}


@pytest.mark.parametrize("warmup", [0, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_update_uses_the_closed_form(shape: str, warmup: int) -> None:
    """Row 16: logged = used = closed form, restarted in each phase, with a linear warm-up at its head."""
    head = f"warmup={warmup}it" if warmup else ""
    said = f"lr=0.2 {shape} {head}"
    text = f"dense 2ep {said}; sparse 50% 13it {said}; dense 0ep lr=9; dense 1ep {said}"
    used = _used(text)
    assert len(used) == 10 + 13 + 5
    for phase, t, rate in used:
        expected = SHAPES[shape](t, {0: 10, 1: 13, 3: 5}[phase])
        assert rate == pytest.approx(expected * min(1, (t + 1) / (warmup or 1)), rel=1e-12)


def test_exact_numbers_reach_the_optimizer() -> None:
    """Row 16: `3e-4 * 0.1` is 3e-5, and a copied pair multiplies exactly."""
    text = "dense 1it lr=3e-4; sparse 50% 1it; dense 1it; repeat 2 sparse 25%"
    assert [rate for _, _, rate in _used(text)] == [3e-4, 3e-4, 3e-5, 3e-5, 3e-6, 3e-6, 3e-7]


def test_the_global_clock_runs_over_the_whole_line() -> None:
    """Row 16: `clock=global` gives one shape over all phases."""
    text = "dense 1ep lr=0.2 decay=linear clock=global; sparse 50% 10it lr=0.2 decay=linear clock=global; " \
        "dense 5it lr=0.2 decay=linear clock=global"  # fmt: skip
    assert [rate for _, _, rate in _used(text)] == pytest.approx([0.2 * (1 - t / 20) for t in range(20)])


@pytest.mark.parametrize("decay", ["cosine", "linear", "step(33%, 66%, by=0.1)", "exp(0.5)"])
def test_one_rate_runs_through_a_within(decay: str) -> None:
    """A block of three phases uses the rates of one phase as long as all of them, to the bit."""
    block = f"dense 1it lr=1; within 40it {{ dense 25% lr=0.2 decay={decay}; sparse 50% 40%; dense }}"
    alone = f"dense 1it lr=1; dense 40it lr=0.2 decay={decay}"
    assert [rate for _, _, rate in _used(block)] == [rate for _, _, rate in _used(alone)]
    own = f"within 40it {{ dense 25% lr=0.2 decay={decay}; sparse 50% 40% lr=0.1; dense }}"
    used = _used(own)
    assert {rate for phase, _, rate in used if phase == 1} == {0.1}
    assert [rate for phase, _, rate in used if phase == 2] == [rate for _, _, rate in _used(alone)][27:]


def test_a_reference_clock_goes_on_from_its_moment() -> None:
    """Row 16: `clock=@warm.4it` continues the shape where that moment stood."""
    text = "warm: dense 10it lr=0.2 decay=linear; sparse 50% 6it lr=0.2 decay=linear from=@warm.4it clock=@warm.4it"
    used = [rate for phase, _, rate in _used(text) if phase == 1]
    assert used == pytest.approx([0.2 * (1 - t / 10) for t in range(4, 10)])


def test_without_an_lr_the_optimizer_s_own_is_the_start() -> None:
    """Row 16: `of: optimizer`, scaled exactly for the re-dense."""
    assert [rate for _, _, rate in _used("dense 1it; sparse 50% 1it; dense 1it; dense 1it lr=prev/2")] == pytest.approx(
        [0.3, 0.3, 0.03, 0.015]
    )


def test_last_is_what_the_phase_ended_with() -> None:
    """Row 16: `of: last`, known only at run time when a phase may stop early."""
    model = network()
    text = "dense 10it lr=0.2 decay=linear floor=0.1 until val.loss < 1; dense 2it lr=last/2"
    session = begin(text, model, optim.SGD(model.parameters(), lr=1.0))
    for _ in range(5):
        one_update(session, model)
    session.report({"val.loss": 0.5})
    session.begin_step()
    assert session.phase.lr == pytest.approx(0.15 / 2)


def test_groups_keep_their_ratios() -> None:
    """Row 16: the other group stays at its share, bit-exactly its own where the rate is the optimizer's own."""

    def build(model: torch.nn.Sequential) -> optim.Optimizer:
        return optim.SGD([{"params": model[0].parameters()}, {"params": model[3].parameters(), "lr": 0.07}], lr=0.3)

    model = network()
    optimizer = build(model)
    session = begin("dense 2it; dense 4it lr=0.03 decay=linear", model, optimizer)
    for update in range(6):
        session.begin_step()
        first, second = (group["lr"] for group in optimizer.param_groups)
        if update < 2:
            assert (first, second) == (0.3, 0.07)
        else:
            assert second / first == pytest.approx(0.07 / 0.3, rel=1e-14)
        model.zero_grad()
        backward(model, *samples())
        session.step()


@pytest.mark.parametrize("kind", [optim.AdamW, optim.SGD])
def test_a_tensor_rate_is_filled_in_place(kind: type) -> None:
    """Row 16: the tensor stays the same object."""
    model = network()
    rate = torch.tensor(0.3)
    optimizer = kind(model.parameters(), lr=rate, foreach=False)
    group_rate = optimizer.param_groups[0]["lr"]
    session = begin("dense 4it lr=0.1 decay=linear; sparse 50% 2it", model, optimizer)
    run(session, model)
    assert optimizer.param_groups[0]["lr"] is group_rate
    assert float(group_rate) == pytest.approx(0.1)
    group_rate.mul_(0.5)
    session = begin("dense 2it", model, optimizer)
    one_update(session, model)
    group_rate.mul_(0.5)
    with pytest.raises(DsdError, match="was changed from outside"):
        one_update(session, model)


@pytest.mark.parametrize(
    "build", [lambda o: optim.lr_scheduler.StepLR(o, 1), lambda o: optim.lr_scheduler.CosineAnnealingLR(o, 9)]
)
def test_another_scheduler_is_detected(build: Callable[[optim.Optimizer], optim.lr_scheduler.LRScheduler]) -> None:
    """Row 16: whoever else sets the rate is found before the next update uses it."""
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    scheduler = build(optimizer)
    session = begin("dense 4it lr=0.1", model, optimizer)
    one_update(session, model)
    scheduler.step()
    with pytest.raises(DsdError, match="parameter group 0") as caught:
        one_update(session, model)
    assert "remove any other scheduler" in str(caught.value.help)


def test_a_group_added_later_is_refused() -> None:
    """Row 16: the schedule cannot know its ratio."""
    model = network()
    optimizer = optim.SGD(model[0].parameters(), lr=0.1)
    session = begin("dense 4it lr=0.1", model, optimizer)
    optimizer.add_param_group({"params": model[3].parameters()})
    with pytest.raises(DsdError, match="parameter group"):
        one_update(session, model)


def test_a_last_rate_of_zero_is_refused() -> None:
    """Row 16: a phase that would train nothing says so."""
    model = network()
    text = "dense 4it lr=0.1 decay=linear until val.loss < 0; dense 2it lr=last"
    session = begin(text, model, optim.SGD(model.parameters(), lr=0.1))
    for _ in range(4):
        one_update(session, model)
    with pytest.raises(DsdError, match="which is 0"):
        session.begin_step()
    assert session.phase.index == 0
