"""A session in a loop of Hugging Face Accelerate: the plain loop's numbers, its checkpoints, its gradient scaler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from trainer_loops import (
    ACCUMULATION,
    BATCH,
    CLIP,
    ENFORCED,
    GROUPED,
    MOVING,
    SPARSE,
    UPDATES,
    adamw,
    assert_equal_bits,
    dataset,
    network,
    plain_loop,
)

import dsd_lang
from dsd_runtime import Session, attach

accelerate = pytest.importorskip("accelerate", reason="needs the extra `accelerate`")


class Loop:
    """A user's loop with Accelerate, as the how-to page writes it."""

    def __init__(self, text: str = SPARSE) -> None:
        self.accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=ACCUMULATION)
        loader = torch.utils.data.DataLoader(dataset(), batch_size=BATCH)
        model = network()
        prepared = self.accelerator.prepare(model, adamw(model), loader)
        self.model, self.optimizer, self.loader = prepared
        plan = dsd_lang.compile(text)
        self.session = attach(plan, self.model, self.optimizer, steps_per_epoch=UPDATES)
        self.accelerator.register_for_checkpointing(self.session)

    def train_pass(self) -> None:
        for x, y in self.session.batches(self.loader):
            with self.accelerator.accumulate(self.model):
                loss = nn.functional.cross_entropy(self.model(x), y)
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients:
                    self.session.before_update(clip=CLIP)
                self.optimizer.step()
                if self.accelerator.sync_gradients:
                    self.session.after_update(applied=not self.accelerator.optimizer_step_was_skipped)
                self.optimizer.zero_grad()


@pytest.mark.parametrize("text", [SPARSE, GROUPED, ENFORCED, MOVING])
def test_the_loop_is_equal_to_the_plain_loop_and_resumes_from_accelerates_own_checkpoint(
    tmp_path: Path, text: str
) -> None:
    expected, masks = plain_loop(text)
    loop = Loop(text)
    torch.manual_seed(5)
    for _ in range(2):
        loop.train_pass()
    assert loop.session.phase.mode == "sparse"
    loop.accelerator.save_state(str(tmp_path))
    loop.train_pass()
    assert loop.session.done
    assert_equal_bits(loop.model, expected)
    assert all(torch.equal(loop.session.masks[name], mask) for name, mask in masks.items())

    again = Loop(text)
    again.accelerator.load_state(str(tmp_path))
    assert again.session.total_updates == 2 * UPDATES
    again.train_pass()
    assert_equal_bits(again.model, expected)


def scaled(scale: float = 1024.0) -> tuple[Session, nn.Module, Any]:
    """A session on accelerate's wrapper with a gradient scaler, as with `mixed_precision="fp16"`."""
    accelerate.Accelerator(cpu=True)
    model = network()
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    optimizer = accelerate.optimizer.AcceleratedOptimizer(adamw(model), scaler=scaler)
    return attach(dsd_lang.compile(SPARSE), model, optimizer, steps_per_epoch=UPDATES), model, optimizer


def backward(model: nn.Module, optimizer: Any, factor: float = 1.0) -> None:
    torch.manual_seed(1)
    optimizer.zero_grad()
    x, y = dataset()[:BATCH]
    optimizer.scaler.scale(nn.functional.cross_entropy(model(x), y) * factor).backward()


@pytest.mark.parametrize("unscales_first", [False, True])
def test_gradients_are_unscaled_once_before_they_are_masked_and_clipped(unscales_first: bool) -> None:
    (session, model, optimizer), (twin, other, whole) = scaled(), scaled()
    for _ in range(5):
        for one, its_model, its_optimizer in ((session, model, optimizer), (twin, other, whole)):
            one.begin_step()
            backward(its_model, its_optimizer)
        if unscales_first:
            optimizer.scaler.unscale_(optimizer.optimizer)  # as `accelerator.clip_grad_norm_()` does
        session.before_update(clip=CLIP)
        optimizer.step()
        session.after_update(applied=not optimizer.step_was_skipped)
        twin.step(clip=CLIP)  # uses accelerate's scaler too
        assert_equal_bits(model, other)
    assert session.phase.mode == "sparse"


def test_a_step_that_the_scaler_skips_advances_nothing() -> None:
    session, model, optimizer = scaled()
    before = [weight.detach().clone() for weight in model.parameters()]
    session.begin_step()
    backward(model, optimizer, factor=float("inf"))
    session.before_update(clip=CLIP)
    optimizer.step()
    assert optimizer.step_was_skipped
    session.after_update(applied=not optimizer.step_was_skipped)
    assert session.total_updates == 0
    assert all(map(torch.equal, before, model.parameters()))


@pytest.mark.parametrize("call", ["step", "before_update"])
def test_an_update_within_an_accumulation_is_refused(call: str) -> None:
    loop = Loop()
    with loop.accelerator.accumulate(loop.model):
        loop.session.begin_step()
        loop.accelerator.backward(loop.model(dataset()[:BATCH][0]).sum())
        with pytest.raises(ValueError, match=r"within an accumulation: call it where `accelerator.sync_gradients`"):
            getattr(loop.session, call)()
