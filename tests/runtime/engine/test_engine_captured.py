"""Masks at fixed addresses: equal to `step()` over all phases, the same memory in each, nothing compiled again."""

from __future__ import annotations

from collections.abc import Callable
from shutil import which

import pytest
import torch
from engine_loops import assert_masked, backward, begin, network, samples, whole_update
from torch import nn, optim

from dsd_lang import DsdError
from dsd_runtime import CapturedMasks, Session

LINE = (
    "dense 3it lr=0.05 decay=cosine; sparse 50% 4it; dense 3it state=reset; sparse 0->80% ramp=cubic every=2it 6it; "
    'sparse 25% layers="3" others=hold 2it; dense 2it restore=init'
)

OPTIMIZERS: dict[str, Callable[[list[nn.Parameter]], optim.Optimizer]] = {
    "sgd": lambda weights: optim.SGD(weights, lr=torch.tensor(0.1), momentum=0.9, fused=True),
    "adamw": lambda weights: optim.AdamW(weights, lr=torch.tensor(0.1), weight_decay=0.1),
    "adamax, which moves zeros": lambda weights: optim.Adamax(weights, lr=0.1),
}


def begun(build: str = "sgd", text: str = LINE) -> tuple[Session, nn.Module]:
    model = network()
    return begin(text, model, OPTIMIZERS[build](list(model.parameters()))), model


def captured_update(session: Session, model: nn.Module, masks: CapturedMasks) -> bool:
    """An update with the steps of the docstring, without a graph; whether one would have to be captured again."""
    session.begin_step()
    must_capture = masks.follow()
    session.optimizer.zero_grad(set_to_none=False)
    backward(model, *samples(16, seed=session.total_updates))
    masks.apply()
    session.optimizer.step()
    masks.count_update()
    return must_capture


TUNED = 'dense 3it lr=[output: 0.01, all: 0.05]; sparse 50% 3it freeze="0"; dense 3it freeze=output; dense 2it'


@pytest.mark.parametrize("text", [LINE, TUNED], ids=["line", "tuned"])
@pytest.mark.parametrize("build", OPTIMIZERS)
def test_it_is_equal_to_the_step(build: str, text: str) -> None:
    (session, model), (twin, other) = begun(build, text), begun(build, text)
    masks = CapturedMasks(session)
    while not session.done:
        captured_update(session, model, masks)
        whole_update(twin, other, seed=twin.total_updates)
        assert all(map(torch.equal, model.parameters(), other.parameters()))
        assert session.phase == twin.phase
        if session.masks:
            assert_masked(session, model)
    assert twin.done


def test_masks_and_rates_keep_their_memory_over_all_phases() -> None:
    session, model = begun()
    masks = CapturedMasks(session)

    def addresses() -> list[int]:
        return [mask.data_ptr() for mask in masks._masks] + [session.optimizer.param_groups[0]["lr"].data_ptr()]

    before = addresses()
    again = []
    while not session.done:
        again.append(captured_update(session, model, masks))
        assert addresses() == before
    made_by_the_first_update, after_the_reset = [0, 1], [7]
    assert [index for index, is_again in enumerate(again) if is_again] == made_by_the_first_update + after_the_reset


@pytest.mark.parametrize(
    "backend",
    [
        "eager",
        pytest.param(
            "inductor",
            marks=[pytest.mark.slow, pytest.mark.skipif(which("c++") is None, reason="needs a C++ compiler")],
        ),
    ],
)
def test_a_boundary_compiles_nothing_again(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_with = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda function, **options: compile_with(function, backend=backend, **options)
    )
    torch._dynamo.reset()
    (session, model), (twin, other) = begun(), begun()
    masks = CapturedMasks(session, compiled=True)
    captured_update(session, model, masks)
    whole_update(twin, other, seed=0)
    with torch._dynamo.config.patch(error_on_recompile=True):
        while not session.done:
            captured_update(session, model, masks)
            whole_update(twin, other, seed=twin.total_updates)
    assert all(map(torch.equal, model.parameters(), other.parameters()))


@pytest.mark.parametrize("argument", ["clip=1", "l1=1e-4"])
def test_what_it_does_not_do_is_refused(argument: str) -> None:
    session, _ = begun(text=f"dense 1it lr=0.1 {argument}")
    with pytest.raises(DsdError, match=f"{argument.partition('=')[0]}.*captured"):
        CapturedMasks(session).follow()


def test_an_update_before_its_phase_is_refused() -> None:
    session, model = begun(text="dense 1it lr=0.1; sparse 50% 1it")
    masks = CapturedMasks(session)
    captured_update(session, model, masks)
    with pytest.raises(ValueError, match="begin_step"):
        masks.count_update()
