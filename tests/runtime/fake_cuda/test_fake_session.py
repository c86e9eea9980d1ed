"""A session over fake CUDA tensors: every kind of phase, optimizer and helper; `step()` never waits for the device."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from fake_cuda import CUDA, devices_of, fake_cuda
from fake_work import Work, work_of
from host_reads import HostReads
from torch import nn
from torch.optim import Optimizer

import dsd_lang
from dsd_runtime import CapturedMasks, Session, attach

PLANS = {
    "zero": "dense 1it lr=0.1; sparse 50% 2it; dense 1it",
    "saved": "dense 1it lr=0.1; sparse 50% 2it state=keep; dense 1it restore=saved state=keep",
    "init": "dense 1it lr=0.1; sparse 50% 2it state=reset; dense 1it restore=init state=reset warmup=1it",
    "random": "dense 1it lr=0.1; sparse 50% by=random 2it; dense 1it restore=random",
    "checkpoint": "A: dense 1it lr=0.1; sparse 50% from=@A.start 1it; dense 1it restore=@A.end; dense 1it from=random",
    "ramp": "dense 1it lr=0.1; sparse 0%->90% ramp=cubic every=1it 3it; dense 1it",
    "remaining": "sparse 50% scope=global 1it lr=0.1; sparse 20% of=remaining 1it; sparse held 1it; dense 1it",
    "by layer": 'sparse ["fc.0": 30%, "fc.2": 60%] 1it lr=0.1; sparse 50% layers="fc.0" others=hold 1it',
    "largest": "sparse 50% by=magnitude(order=largest) 2it lr=0.1 clip=value(1) l1=1e-4",
    "topkast": "sparse 80% enforce=topkast(backward=50%, every=9it) 4it lr=0.1 wd=0.1; dense 1it",
    "movement": "sparse 0->60% every=2it by=movement 5it lr=0.1; dense 1it",
    "held ste": "sparse 50% 1it lr=0.1; sparse held enforce=srste 3it; dense 1it",
    "rates": "dense 4it lr=0.1 decay=cosine warmup=2it clip=norm(1); sparse 30% 2it lr=0.01",
}
OPTIMIZERS: dict[str, Callable[[Iterator[nn.Parameter]], Optimizer]] = {
    "sgd": lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda weights: torch.optim.Adam(weights, lr=0.1),
    "fused adam": lambda weights: torch.optim.Adam(weights, lr=0.1, fused=True),
    "capturable adamw": lambda weights: torch.optim.AdamW(
        weights, lr=torch.tensor(0.1, device=CUDA), capturable=True, weight_decay=0.1
    ),
    "rmsprop": lambda weights: torch.optim.RMSprop(weights, lr=0.1),
    "masked in full": lambda weights: torch.optim.Adamax(weights, lr=0.1),
}


def attached(plan: str, work: Work, optimizer: str = "sgd", **options: Any) -> Session:
    built = OPTIMIZERS[optimizer](work.model.parameters())
    return attach(dsd_lang.compile(plan), work.model, built, steps_per_epoch=10, **options)


def reads_within_phases(session: Session, work: Work, reads: HostReads) -> list[str]:
    """Trains to the end; the reads of the steps that do not end a phase, and of `begin_step()` without a boundary."""
    found: list[str] = []
    while not session.done:
        reads.taken()
        is_boundary = session.is_phase_over or session._line.is_selection_due
        session.begin_step()
        found += [] if is_boundary else reads.taken()
        session.optimizer.zero_grad()
        loss = work.task.loss(work.model, work.batch())
        session.distilled_loss(loss, *_logits_and_inputs(work)).backward()
        reads.taken()
        session.step(clip=1.0)
        found += [] if session.is_phase_over else reads.taken()
        assert devices_of(session.masks, dict(session.optimizer.state)) <= {"cuda", "cpu"}
        assert devices_of(session.masks) <= {"cuda"}
    return found


def _logits_and_inputs(work: Work) -> tuple[torch.Tensor, torch.Tensor]:
    batch: Any = work.batch()
    return work.model(batch.images), batch.images


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS.keys())
def test_every_kind_of_phase(plan: str) -> None:
    with fake_cuda() as reads:
        work = work_of("lenet_300_100")
        assert reads_within_phases(attached(plan, work), work, reads) == []


@pytest.mark.parametrize("phase", ["2:4 enforce=srste", "50% enforce=ste", "50% by=movement enforce=ste"])
def test_new_masks_after_every_update_read_what_a_selection_reads(phase: str) -> None:
    with fake_cuda() as reads:
        work = work_of("lenet_300_100")
        found = reads_within_phases(attached(f"sparse {phase} 3it lr=0.1", work), work, reads)
    assert found
    assert all(" in masks/" in read for read in found)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("plan", ["zero", "saved"])
def test_every_kind_of_optimizer(optimizer: str, plan: str) -> None:
    with fake_cuda() as reads:
        work = work_of("lenet_300_100")
        assert reads_within_phases(attached(PLANS[plan], work, optimizer), work, reads) == []


@pytest.mark.parametrize(("name", "pattern"), [("conv2", "2:4"), ("resnet20", "50% scope=global")])
def test_convolutions(name: str, pattern: str) -> None:
    with fake_cuda() as reads:
        work = work_of(name)
        assert reads_within_phases(attached(f"dense 1it lr=0.1; sparse {pattern} 2it", work), work, reads) == []


def test_distillation_from_a_checkpoint() -> None:
    plan = "T: dense 1it lr=0.1; sparse 50% 2it distill=@T.end(alpha=0.8, T=10)"
    with fake_cuda() as reads:
        work = work_of("resnet20")
        session = attached(plan, work)
        assert reads_within_phases(session, work, reads) == []
        assert session.teacher is not None
        assert devices_of(session.teacher.model.state_dict()) == {"cuda"}


def test_calibration_leaves_the_statistics_on_the_device() -> None:
    with fake_cuda() as reads:
        work = work_of("resnet20")
        session = attached("dense 2it lr=0.1 calibrate=2it", work)
        reads.taken()
        batch: Any = work.batch()
        session.calibrate(iter([batch.images] * 2))
        assert reads.taken() == []
        assert devices_of(dict(work.model.named_buffers())) == {"cuda"}


def test_a_state_goes_to_the_cpu_and_back() -> None:
    with fake_cuda():
        work = work_of("lenet_300_100")
        session = attached(PLANS["saved"], work)
        for _ in range(2):
            session.begin_step()
            work.task.loss(work.model, work.batch()).backward()
            session.step()
        state = session.state_dict()
        assert devices_of(state["boundary"]) == {"cpu"}
        again = attached(PLANS["saved"], work)
        again.load_state_dict(state)
        assert again.total_updates == 2
        assert devices_of(again.masks) == {"cuda"}


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_a_copy_of_the_model_is_masked_where_it_is(device: str) -> None:
    with fake_cuda():
        work = work_of("lenet_300_100")
        session = attached("sparse 50% 2it lr=0.1", work)
        average = copy.deepcopy(work.model).to(device)
        session.mask_copy(average)
        assert devices_of(average.state_dict()) == {device}
        assert devices_of(session.masks) == {"cuda"}


@pytest.mark.parametrize("plan", ["zero", "ramp"])
def test_an_update_that_can_be_captured_reads_nothing(plan: str) -> None:
    with fake_cuda() as reads:
        work = work_of("lenet_300_100")
        session = attached(PLANS[plan], work, "capturable adamw")
        masks = CapturedMasks(session)
        while not session.done:
            session.begin_step()
            masks.follow()
            reads.taken()
            session.optimizer.zero_grad(set_to_none=False)
            work.task.loss(work.model, work.batch()).backward()
            masks.apply()
            session.optimizer.step()
            assert reads.taken() == []
            masks.count_update()
        assert devices_of(masks._masks) == {"cuda"}


def test_a_model_that_moves_to_the_device_after_attach_takes_its_masks_along() -> None:
    with fake_cuda() as reads:
        work = work_of("lenet_300_100", device=torch.device("cpu"))
        session = attached("sparse 50% 3it lr=0.1", work)
        assert devices_of(session.masks) == {"cpu"}
        work.model.to(CUDA)
        assert reads_within_phases(session, work, reads) == []
        assert devices_of(session.masks) == {"cuda"}
