"""What `dsd-plan` shows of a plan is what a session does: counts of weights, shapes of ramps and learning rates."""

from __future__ import annotations

from fractions import Fraction

import pytest
from engine_loops import backward, begin, network, one_update, samples
from torch import optim

import dsd_lang
from dsd_lang.plan import Duration, Target
from dsd_lang.plan.layer_counts import count_weights
from dsd_lang.views.timeline.clocks import Clocks
from dsd_lang.views.timeline.rates import Rates
from dsd_lang.views.timeline.shares import ramp_share
from dsd_runtime.engine.layers import inventory
from dsd_runtime.masks.targets import Ramp, ramp_sparsity

SCHEDULES = [
    "sparse 50% 1ep lr=0.1; sparse 20% of=remaining; dense; sparse 99% min=0",
    "sparse 37% scope=global 1ep lr=0.1; sparse 20% of=remaining scope=global; sparse held",
    "sparse [output: 10%, fc: 20%] of=remaining 1ep lr=0.1; repeat 3 { sparse [output: 10%, fc: 20%] of=remaining }",
    "sparse 99.9% layers=output 1ep lr=0.1; sparse 2:4 others=hold layers=fc except=output; dense; sparse 1:4",
    "sparse 0->83% every=1it 1ep lr=0.1; sparse 10%->19% every=2it",
]


@pytest.mark.parametrize("text", SCHEDULES)
def test_counts_are_the_sessions(text: str) -> None:
    model = network()
    plan = dsd_lang.compile(text)
    counts = count_weights(plan, inventory(model))
    session = begin(text, model, optim.SGD(model.parameters(), lr=0.1))
    for phase in plan.phases:
        for step in range(4):
            one_update(session, model)
            if step == 3 and phase.mode == "sparse":
                masks = session.masks
                told = counts[phase.id]
                assert told.num_weights == sum(mask.numel() for mask in masks.values())
                assert told.num_layers == len(masks)
                assert told.alive_at_end == sum(int(mask.sum()) for mask in masks.values())


@pytest.mark.parametrize("shape", ["cubic", "linear", "cosine", "exp"])
def test_a_ramp_is_drawn_as_it_runs(shape: str) -> None:
    ramp = Ramp(Fraction(1, 10), Fraction(9, 10), shape, 1)
    every = Duration(unit="it", value="1")
    target = Target(kind="ramp", start="0.1", end="0.9", shape=shape, every=every)
    for update in range(101):
        assert ramp_share(target, update / 100) == pytest.approx(float(ramp_sparsity(ramp, update, 101)), abs=1e-9)


@pytest.mark.parametrize(
    "text",
    [
        "dense 3ep lr=0.1 decay=cosine(floor=1e-3); sparse 50% lr=0.05 decay=linear warmup=1ep; dense",
        "set decay=cosine clock=global\ndense 2ep lr=0.1; sparse 50% 3ep lr=0.1; dense 1ep",
        "dense 4ep lr=0.1 decay=step(50%, 3ep, 70it, by=0.1); dense 4ep lr=last decay=exp(0.5)",
        "a: dense 4ep lr=0.1 decay=linear; dense 2ep clock=@a.1ep decay=linear; dense 2ep clock=@a.start decay=cosine",
    ],
)
def test_a_learning_rate_is_drawn_as_it_runs(text: str) -> None:
    model = network()
    plan = dsd_lang.compile(text)
    steps = 20
    rates = Rates(plan, Clocks(plan, steps))
    session = begin(text, model, optim.SGD(model.parameters(), lr=0.1), steps=steps)
    for phase in plan.phases:
        length = phase.duration.length.updates(steps)
        rate = rates.of[phase.id]
        assert rate is not None
        warmup = phase.lr.warmup.length.updates(steps) if phase.lr.warmup is not None else 0
        for update in range(length):
            session.begin_step()
            used = session.optimizer.param_groups[0]["lr"]
            session.optimizer.zero_grad()
            backward(model, *samples())
            session.step()
            drawn = rate.at(update / length)
            if update >= warmup:
                assert drawn == pytest.approx(used, rel=1e-6), (phase.id, update)
            else:
                assert drawn <= used <= rate.at((update + 1) / length) * 1.1
