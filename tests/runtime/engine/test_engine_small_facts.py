"""Small facts of a session: the numbers of its passes, what each phase selects, what it saves of an optimizer."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from engine_loops import backward, begin, network, one_update, shuffled_loader
from torch import optim

import dsd_lang
from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Function
from dsd_runtime import attach


def test_passes_are_numbered_from_zero_and_go_on_after_a_resume() -> None:
    def train(session, model, *, stop: int | None = None) -> list[int]:  # type: ignore[no-untyped-def]
        seen = []
        for epoch in session.epochs():
            seen.append(epoch)
            for features, labels in session.batches(shuffled_loader()):
                session.optimizer.zero_grad()
                backward(model, features, labels)
                session.step()
                if session.total_updates == stop:
                    return seen
        return seen

    model = network()
    session = begin("dense 3.5ep lr=0.1", model, optim.SGD(model.parameters(), lr=0.1))
    assert train(session, model) == [0, 1, 2, 3]
    model = network()
    session = begin("dense 3.5ep lr=0.1", model, optim.SGD(model.parameters(), lr=0.1))
    assert train(session, model, stop=6) == [0, 1]
    state = copy.deepcopy(session.state_dict())
    session = begin("dense 3.5ep lr=0.1", model, optim.SGD(model.parameters(), lr=0.1))
    session.load_state_dict(state)
    assert train(session, model) == [1, 2, 3]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("layers=fc except=output", "layers=fc"),
        ("layers=fc", "layers=fc except=output"),
        ("layers=output", "layers=fc"),
    ],
)
def test_each_phase_selects_by_its_own_words(first: str, second: str) -> None:
    names = {"layers=fc": {"0.weight", "3.weight", "5.weight"}, "layers=output": {"5.weight"}}
    names["layers=fc except=output"] = names["layers=fc"] - names["layers=output"]
    model = network()
    text = f"fork {{ a: sparse 50% {first} 1it lr=0.1\n b: sparse 50% {second} 1it lr=0.1 }}"
    for branch, said in (("a", first), ("b", second)):
        plan = dsd_lang.compile(text).branch(branch)
        session = attach(plan, model, optim.SGD(model.parameters(), lr=0.1), steps_per_epoch=4)
        assert set(session.masks) == names[said]
    model = network()
    both = dsd_lang.compile(f"sparse 50% {first} 1it lr=0.1; sparse 50% 1it lr=0.1")
    wanted = dsd_lang.compile(f"sparse 50% {second} 1it lr=0.1").phases[0]
    later = both.phases[1].model_copy(update={"layers": wanted.layers, "except_": wanted.except_})
    plan = both.model_copy(update={"phases": (both.phases[0], later)})
    session = attach(plan, model, optim.SGD(model.parameters(), lr=0.1), steps_per_epoch=4)
    one_update(session, model)
    session.begin_step()
    assert set(session.masks) == names[second]


def test_a_resumed_run_keeps_the_weight_decay_it_began_with() -> None:
    """The new optimizer was built with another; the schedule's override ends with its phase."""
    text = "dense 2it lr=0.1 wd=0.25; dense 2it"
    model = network()
    session = begin(text, model, optim.SGD(model.parameters(), lr=0.1, weight_decay=0.125))
    one_update(session, model)
    state = copy.deepcopy(session.state_dict())
    optimizer = optim.SGD(model.parameters(), lr=0.1, weight_decay=0.5)
    session = begin(text, model, optimizer)
    session.load_state_dict(state)
    assert optimizer.param_groups[0]["weight_decay"] == 0.25
    one_update(session, model)
    session.begin_step()
    assert optimizer.param_groups[0]["weight_decay"] == 0.125


class _Terse(optim.SGD):
    """Does not name its options, as optimizers of other packages."""

    def __init__(self, parameters: Any, **options: Any) -> None:
        super().__init__(parameters, **options)


def test_a_phase_sets_the_weight_decay_of_groups_that_have_one() -> None:
    model = network()
    optimizer = _Terse(model.parameters(), lr=0.1)
    session = begin("dense 1it lr=0.1 wd=0.25; dense 1it", model, optimizer)
    session.begin_step()
    assert optimizer.param_groups[0]["weight_decay"] == 0.25
    del optimizer.param_groups[0]["weight_decay"]
    with pytest.raises(DsdError, match="`_Terse` has no weight decay to set with `wd=`"):
        begin("dense 1it lr=0.1 wd=0.25", model, optimizer)


@pytest.mark.parametrize(
    ("choice", "is_known"),
    [
        (Function(name="norm", arguments={"0": "5"}), True),
        (Function(name="value", arguments={"0": "5"}), True),
        (Function(name="value", arguments={}), False),
        (Function(name="norm", arguments={}), False),
        (Function(name="box", arguments={"0": "5"}), False),
    ],
)
def test_a_clip_of_a_plan_is_a_norm_or_a_value(choice: Function, is_known: bool) -> None:
    """The compiler writes no other; a plan of another version may have one."""
    plan = dsd_lang.compile("dense 1it lr=0.1")
    plan = plan.model_copy(update={"phases": (plan.phases[0].model_copy(update={"clip": choice}),)})
    model = network()
    with nullcontext() if is_known else pytest.raises(DsdError, match=rf"`clip={choice.name}\(\.\.\.\)` is not known"):
        attach(plan, model, optim.SGD(model.parameters(), lr=0.1), steps_per_epoch=4)


def test_a_random_n_of_m_keeps_n_of_m_at_random() -> None:
    masks = []
    for by in ("", " by=random", " by=magnitude(order=largest)"):
        model = network()
        session = begin(f"sparse 1:4 layers=/3/{by} 1it lr=0.1", model, optim.SGD(model.parameters(), lr=0.1), seed=1)
        mask = session.masks["3.weight"]
        assert bool((mask.reshape(16, 4, 4).sum(2) == 1).all())
        masks.append(mask)
    assert not torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])
