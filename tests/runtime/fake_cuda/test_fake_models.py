"""Every model of the catalogue with its task on fake CUDA tensors: no wrong device, and no waiting in an update."""

from __future__ import annotations

import pytest
import torch
from fake_cuda import devices_of, fake_cuda
from fake_work import Work, work_of

import dsd_lang
import dsd_runtime
from dsd_runtime.experiment.flops import update_flops
from dsd_runtime.models.catalogue import MODELS
from dsd_runtime.training.relu_entropy import ReluEntropy
from dsd_runtime.training.tasks.captioning import CaptioningTask

SLOW = ("googlenet", "resnet50")
NAMES = [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in MODELS]
WITH_RELU = ("resnet20", "conv2", "ds1", "ds2")
PRECISIONS = (None, torch.bfloat16, torch.float16)


def gradients(work: Work) -> list[torch.Tensor | None]:
    return [weight.grad for weight in work.model.parameters()]


@pytest.mark.parametrize("name", NAMES)
def test_an_update_stays_on_the_device_and_the_host_does_not_wait(name: str) -> None:
    with fake_cuda() as reads:
        work = work_of(name)
        work.task.loss(work.model, work.batch()).backward()
        assert None not in gradients(work)
        assert devices_of(gradients(work)) == {"cuda"}
        loss, rows = work.task.loss_and_rows(work.model, work.batch())
        assert devices_of(loss, rows, work.task.rows(work.model, work.batch())) == {"cuda"}
        assert rows.shape[-1] == {"ctc": 21, "captioning": 21}.get(work.traits.task, 10)
        assert reads.taken() == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ds1", "ds2", "neuraltalk", "resnet20"])
def test_the_published_size_updates_in_a_session(name: str) -> None:
    with fake_cuda() as reads:
        work = work_of(name, is_full=True)
        optimizer = torch.optim.SGD(work.model.parameters(), lr=0.1, momentum=0.9)
        plan = dsd_lang.compile("dense 1it lr=0.1; sparse 50% 2it; dense 1it")
        session = dsd_runtime.attach(plan, work.model, optimizer, steps_per_epoch=10)
        while not session.done:
            session.begin_step()
            reads.taken()
            optimizer.zero_grad()
            work.task.loss(work.model, work.batch()).backward()
            assert reads.taken() == []
            session.step()
        assert devices_of(dict(optimizer.state)) == {"cuda"}


@pytest.mark.parametrize("name", NAMES)
def test_an_evaluation_reads_the_device_once_per_split_or_batch(name: str) -> None:
    with fake_cuda() as reads, torch.no_grad():
        work = work_of(name)
        work.model.eval()
        metrics = work.task.evaluate(work.model, work.batches(2), keep=(kept := []))
        assert set(metrics) <= set(work.task.metrics)
        assert kept
        asked = set(reads.taken())
    allowed = {
        "classification": {"classification.py:evaluate", "classification.py:_predictions"},
        "ctc": {"ctc.py:evaluate", "ctc_decoding.py:greedy_decode"},
        "captioning": {"captioning.py:evaluate", "captioning_decode.py:greedy"},
    }[work.traits.task]
    assert {read.rpartition("/")[2] for read in asked} <= allowed


@pytest.mark.parametrize("name", ["resnet20", "ds1", "ds2", "neuraltalk"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_an_update_in_a_short_format(name: str, dtype: torch.dtype) -> None:
    with fake_cuda() as reads:
        work = work_of(name)
        with torch.autocast("cuda", dtype=dtype):
            loss = work.task.loss(work.model, work.batch())
        loss.backward()
        assert devices_of(loss, gradients(work)) == {"cuda"}
        assert reads.taken() == []


@pytest.mark.parametrize("name", WITH_RELU)
def test_entropies_are_counted_on_the_device(name: str) -> None:
    with fake_cuda() as reads, torch.no_grad():
        work = work_of(name)
        work.model.eval()
        with ReluEntropy(work.model) as entropy:
            work.task.rows(work.model, work.batch())
        assert reads.taken() == []
        assert entropy.layers()


@pytest.mark.parametrize("name", ["conv2", "ds2", "neuraltalk"])
def test_flops_are_counted_without_reading_the_device(name: str) -> None:
    with fake_cuda() as reads:
        work = work_of(name)
        found = update_flops(work.model, lambda: work.task.loss(work.model, work.batch()))
        assert sum(found.forward.values()) > 0
        assert reads.taken() == []


def test_beam_search() -> None:
    with fake_cuda(), torch.no_grad():
        work = work_of("neuraltalk")
        features = torch.randn(3, 12, device="cuda")
        assert len(CaptioningTask(work.traits.vocabulary, beam_size=2).decode(work.model, features)) == 3
