"""The halves of an update, `before_update()` and `after_update()`: equal to `step()`, and refused out of order."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from engine_loops import assert_masked, backward, begin, network, one_update, samples
from torch import Tensor, nn, optim

from dsd_lang import DsdError
from dsd_runtime import Session

LINE = "dense 3it lr=0.05 decay=cosine; sparse 50% 4it clip=0.5; dense 3it state=reset"

OPTIMIZERS: dict[str, Callable[[list[nn.Parameter]], optim.Optimizer]] = {
    "sgd": lambda weights: optim.SGD(weights, lr=0.1, momentum=0.9),
    "adamw": lambda weights: optim.AdamW(weights, lr=0.1),
    "adamax, which moves zeros": lambda weights: optim.Adamax(weights, lr=0.1),
}


def begun(build: str = "sgd", text: str = LINE) -> tuple[Session, nn.Module]:
    """A session before its first forward pass."""
    model = network()
    return begin(text, model, OPTIMIZERS[build](list(model.parameters()))), model


def with_gradients(session: Session, model: nn.Module) -> None:
    """The user's part of an update, up to the gradients."""
    session.begin_step()
    session.optimizer.zero_grad()
    backward(model, *samples(16, seed=session.total_updates))


def inside_the_closure(session: Session, model: nn.Module) -> None:
    """An update as Lightning makes it: the optimizer calls forward, backward and the first half."""

    def closure() -> Tensor:
        session.optimizer.zero_grad()
        loss = backward(model, *samples(16, seed=session.total_updates))
        session.before_update(clip=1.0)
        return loss

    session.begin_step()
    session.optimizer.step(closure)
    session.after_update()


def around_the_step(session: Session, model: nn.Module) -> None:
    with_gradients(session, model)
    session.before_update(clip=1.0)
    session.optimizer.step()
    session.after_update()


def whole(session: Session, model: nn.Module) -> None:
    with_gradients(session, model)
    session.step(clip=1.0)


@pytest.mark.parametrize("build", OPTIMIZERS)
@pytest.mark.parametrize("update", [around_the_step, inside_the_closure])
def test_the_halves_are_equal_to_the_whole(build: str, update: Callable[[Session, nn.Module], None]) -> None:
    (session, model), (twin, other) = begun(build), begun(build)
    while not session.done:
        update(session, model)
        whole(twin, other)
        assert all(map(torch.equal, model.parameters(), other.parameters()))
        assert session.phase == twin.phase
        if session.masks:
            assert_masked(session, model)
    assert twin.done


def test_a_skipped_update_advances_nothing() -> None:
    session, model = begun()
    one_update(session, model)
    before = [weight.detach().clone() for weight in model.parameters()]
    with_gradients(session, model)
    session.before_update()
    session.after_update(applied=False)
    assert session.total_updates == 1
    assert all(map(torch.equal, before, model.parameters()))
    one_update(session, model)
    assert session.total_updates == 2


def test_a_fused_step_that_was_skipped_leaves_no_state() -> None:
    model = network()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, fused=True)
    session = begin("dense 2it lr=0.1", model, optimizer)
    with_gradients(session, model)
    session.before_update()
    optimizer.grad_scale, optimizer.found_inf = torch.ones(()), torch.ones(())  # as a gradient scaler does
    optimizer.step()
    del optimizer.grad_scale, optimizer.found_inf
    session.after_update(applied=False)
    assert not optimizer.state


def before(session: Session) -> None:
    session.before_update()


def step(session: Session) -> None:
    session.optimizer.step()


def after(session: Session) -> None:
    session.after_update()


def end(session: Session) -> None:
    before(session), step(session), after(session)


MISUSE = {
    "after without before": ([after], ValueError, "after_update() without before_update()"),
    "after twice": ([before, step, after, after], ValueError, "after_update() without before_update()"),
    "before twice": ([before, before], ValueError, "before_update() in an update whose before_update() was called"),
    "whole inside": ([before, lambda s: s.step()], ValueError, "step() in an update whose before_update() was called"),
    "no step": ([before, after], ValueError, "after_update() without a step of the session's optimizer"),
    "step before": ([step], DsdError, "`optimizer.step()` was called on an optimizer that a session drives"),
    "step twice": ([before, step, step], DsdError, "`optimizer.step()` was called on an optimizer that a session"),
    "next batch": ([before, lambda s: s.begin_step()], ValueError, "begin_step() between before_update() and after_up"),
    "save inside": ([before, lambda s: s.state_dict()], ValueError, "state_dict() between before_update() and after"),
    "old gradients": ([end, before], DsdError, "`session.before_update()` was called again without new gradients"),
}


@pytest.mark.parametrize(("calls", "kind", "told"), MISUSE.values(), ids=list(MISUSE))
def test_calls_in_another_order_are_refused(
    calls: list[Callable[[Session], None]], kind: type[Exception], told: str
) -> None:
    session, model = begun()
    with_gradients(session, model)
    for call in calls[:-1]:
        call(session)
    with pytest.raises(kind) as refused:
        calls[-1](session)
    assert str(refused.value).startswith(told)


def test_a_closure_that_opens_no_update_is_a_foreign_step() -> None:
    session, model = begun()
    with_gradients(session, model)
    with pytest.raises(DsdError, match="a session drives"):
        session.optimizer.step(lambda: torch.zeros(()))


def test_outside_of_the_schedule_there_is_no_update() -> None:
    session, model = begun(text="dense 1it lr=0.1; sparse 50% 1it")
    one_update(session, model)
    backward(model, *samples())
    with pytest.raises(ValueError, match=r"before_update\(\) without begin_step\(\)"):
        session.before_update()
    one_update(session, model)
    with pytest.raises(ValueError, match=r"before_update\(\) after the last update"):
        session.before_update()


def test_an_update_that_broke_off_is_ended_as_skipped() -> None:
    session, model = begun()
    with_gradients(session, model)
    session.before_update()
    session.after_update(applied=False)  # what the error above tells to do where the step has failed
    one_update(session, model)
    assert session.total_updates == 1


def test_a_loaded_state_ends_an_open_update() -> None:
    session, model = begun()
    state = session.state_dict()
    with_gradients(session, model)
    session.before_update()
    session.load_state_dict(state)
    one_update(session, model)
    assert session.total_updates == 1
