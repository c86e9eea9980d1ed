"""Faults as people make them are seen on fake CUDA tensors; so their absence in the other tests means something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
import torch
from fake_cuda import fake_cuda
from fake_work import Work, work_of
from test_fake_session import PLANS, attached, reads_within_phases

from dsd_runtime.engine.update import UpdateRule
from dsd_runtime.masks.store import MaskStore
from dsd_runtime.models.frames import Frames


def trained(plan: str = PLANS["zero"]) -> list[str]:
    with fake_cuda() as reads:
        work = work_of("lenet_300_100")
        return reads_within_phases(attached(plan, work), work, reads)


def before(owner: type, name: str, action: Callable[..., object]) -> Any:
    """A patch that calls ``action`` with the same arguments before a method."""
    original = getattr(owner, name)

    def planted(*arguments: Any, **options: Any) -> Any:
        action(*arguments, **options)
        return original(*arguments, **options)

    return mock.patch.object(owner, name, planted)


@pytest.mark.parametrize(
    "read",
    [
        lambda gradient: gradient.norm().item(),
        lambda gradient: bool(gradient.isfinite().all()),
        lambda gradient: gradient.cpu(),
        lambda gradient: gradient[gradient > 0],
        lambda gradient: gradient.sum().tolist(),
    ],
    ids=["item", "bool", "cpu", "mask", "tolist"],
)
def test_a_read_in_the_step_is_counted(read: Callable[[torch.Tensor], object]) -> None:
    def action(rule: UpdateRule, optimizer: torch.optim.Optimizer, *rest: Any) -> None:
        read(optimizer.param_groups[0]["params"][0].grad)

    with before(UpdateRule, "prepare_gradients", action):
        assert trained()


def test_a_mask_on_the_wrong_device_is_an_error() -> None:
    original = MaskStore.set
    planted = lambda store, name, mask: _moved(original, store, name, mask)  # noqa: E731
    with mock.patch.object(MaskStore, "set", planted), pytest.raises(Exception, match=r"same device|cuda"):
        trained()


def _moved(original: Callable[..., None], store: MaskStore, name: str, mask: torch.Tensor) -> None:
    original(store, name, mask)
    store._masks[name].mask, store._masks[name]._bytes = mask, mask.cpu().view(torch.int8)
    store._masks[name]._pieces = (store._masks[name]._bytes,)


def test_frames_on_the_wrong_device_are_an_error() -> None:
    original = Frames.of
    with (
        mock.patch.object(Frames, "of", lambda lengths, frames, device=None: original(lengths, frames)),
        fake_cuda(),
    ):
        work: Work = work_of("ds1")
        with pytest.raises(Exception, match="device"):
            work.task.loss(work.model, work.batch())
