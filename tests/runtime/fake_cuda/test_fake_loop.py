"""`dsd-run`'s loop over fake CUDA tensors: the host reads the loss every ten updates, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from fake_cuda import CUDA, devices_of, fake_cuda
from fake_work import Work, work_of

import dsd_lang
from dsd_runtime import attach
from dsd_runtime.data.batch import Batch
from dsd_runtime.training.loop import PhaseRun, TrainingBatches, train_phase
from dsd_runtime.training.precision import Precision, PrecisionName

LOSS = "item in training/sharing.py:mean"


@dataclass
class FakeData:
    """Passes of a few batches on the CPU, as data sources give them."""

    work: Work
    batches: int
    fingerprint: str = "fake"

    @property
    def sizes(self) -> dict[str, int]:
        return {"train": 4 * self.batches, "val": 4}

    @property
    def traits(self) -> Any:
        return self.work.traits

    def updates_per_epoch(self, batch_size: int) -> int:
        return self.batches

    def train_batches(
        self, *, batch_size: int, epoch: int, key: int, skip: int = 0, workers: int = 0
    ) -> Iterator[Batch]:
        return (self.work.batch(device=torch.device("cpu")) for _ in range(self.batches - skip))

    def evaluation_batches(self, split: str, *, batch_size: int, workers: int = 0) -> Iterator[Batch]:
        return (self.work.batch(device=torch.device("cpu")) for _ in range(1))


class Silent:
    def __init__(self) -> None:
        self.samples = 0

    def updated(self, *, update: int, loss: float, rate: float, samples: int) -> None:
        self.samples += samples

    def advanced(self, *, update: int) -> None: ...

    def evaluating(self) -> None: ...


def reads_of_updates(name: str, precision: PrecisionName, plan: str, *, updates: int) -> Counter[str]:
    with fake_cuda() as reads:
        work = work_of(name)
        optimizer = torch.optim.Adam(work.model.parameters(), lr=0.1, fused=precision == "fp16")
        session = attach(dsd_lang.compile(plan), work.model, optimizer, steps_per_epoch=updates)
        chosen = Precision(precision, CUDA)
        batches, listener = TrainingBatches(FakeData(work, updates), 4, key=0), Silent()
        run = PhaseRun(
            session, work.model, work.model, work.task, batches, chosen, listener, chosen.scaler(), keep_entropies=None
        )
        found: list[str] = []

        def advanced(*, update: int) -> None:
            found.extend(reads.taken() if update < updates else ())  # at the end of a phase much is checked and saved

        listener.advanced = advanced  # type: ignore[method-assign]
        reads.taken()
        train_phase(run)
        assert listener.samples == 4 * updates
        assert devices_of(work.model.state_dict()) == {"cuda"}
    return Counter(found)


@pytest.mark.parametrize("name", ["lenet_300_100", "ds1", "neuraltalk"])
@pytest.mark.parametrize("plan", ["dense 1ep lr=0.1", "sparse 50% 1ep lr=0.1"])
def test_only_the_loss_is_read(name: str, plan: str) -> None:
    assert reads_of_updates(name, "fp32", plan, updates=12) == {LOSS: 1}


def test_a_scaler_reads_its_scale_at_each_update() -> None:
    found = reads_of_updates("lenet_300_100", "fp16", "sparse 50% 1ep lr=0.1", updates=3)
    assert found
    assert {read.rpartition("/")[2].rpartition(":")[0] for read in found} <= {"update.py"}
    assert max(found.values()) <= 2 * 3


def test_bf16() -> None:
    assert reads_of_updates("conv2", "bf16", "sparse 50% 1ep lr=0.1", updates=2) == {}
