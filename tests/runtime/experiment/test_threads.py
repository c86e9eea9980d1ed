"""The number of threads: by the work, the same whenever it is asked, kept by the folder, part of the key."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import torch

from dsd_runtime.data.registry import open_data
from dsd_runtime.experiment.threads import Threads, Work, computing_on, work_of
from dsd_runtime.models.registry import build_model
from dsd_runtime.training.tasks.choose import task_for

from .conftest import Run


@pytest.fixture
def two_cores() -> Iterator[None]:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


def _work(model: str, data: str, batch: int) -> Work:
    source = open_data(data)
    network = build_model(model, source.traits)
    first = next(iter(source.train_batches(batch_size=batch, epoch=1, key=0)))
    return work_of(lambda: task_for(source.traits).loss(network, first))


@pytest.mark.parametrize(
    ("model", "data", "batch", "threads"),
    [
        ("lenet_300_100", "digits", 60, 1),
        ("resnet20:width=8", "digits", 128, 1),
        ("ds1:hidden=96", "spoken", 16, 1),
        ("ds1:hidden=1024", "spoken", 16, 2),
        ("resnet20", "digits:size=32", 128, 2),
    ],
)
def test_little_work_is_done_by_one_thread(model: str, data: str, batch: int, threads: int) -> None:
    work = _work(model, data, batch)
    assert work.threads(2) == threads
    assert work == _work(model, data, batch), "nothing of it is measured by a clock"


@pytest.mark.parametrize(
    ("layer", "inputs", "products"),
    [
        (torch.nn.Linear(30, 20), (10, 30), 10 * 30 * 20),
        (torch.nn.Conv2d(3, 8, 3, padding=1, bias=False), (2, 3, 10, 10), 2 * 100 * 3 * 8 * 9),
        (torch.nn.Conv2d(3, 8, 3, stride=2, padding=1), (2, 3, 10, 10), 2 * 25 * 3 * 8 * 9),
        (torch.nn.LSTM(12, 16), (7, 2, 12), 7 * 2 * 4 * 16 * (12 + 16)),
    ],
)
def test_products_are_counted(layer: torch.nn.Module, inputs: tuple[int, ...], products: int) -> None:
    assert work_of(lambda: layer(torch.zeros(inputs))).products == products


def test_more_threads_must_save_more_than_they_wait() -> None:
    assert Work(products=10**10, shared=10).threads(8) == 8
    assert Work(products=10**6, shared=10).threads(8) == 1
    assert Work().threads(8) == 1


def test_the_number_is_said_and_written_down(dsd_run: Run, two_cores: None) -> None:
    outcome = dsd_run("dense 1ep lr=0.05")
    assert "cpu (1 of 2 threads, an update is too short to share)" in outcome.err
    manifest = json.loads((outcome.folder / "manifest.json").read_text())
    assert manifest["setting"]["threads"] == manifest["threads"] == 1
    assert torch.get_num_threads() == 2, "a caller's own number is given back"


def test_a_folder_goes_on_as_it_was_begun(dsd_run: Run, two_cores: None) -> None:
    """On a machine with other cores the numbers would be others."""
    first = dsd_run("dense 1ep lr=0.05", "--threads", "3")
    assert "cpu (3 threads)" in first.err
    again = dsd_run("dense 1ep lr=0.05\ndense 1ep")
    assert again.states() == ["reused", "trained"]
    assert "3 threads, as before in this folder" in again.err
    other = dsd_run("dense 1ep lr=0.05\ndense 1ep", "--threads", "1")
    assert other.states() == ["trained"] * 2
    assert "`threads` was 3 in this folder's run and is 1 now" in other.err
    fresh = dsd_run("dense 1ep lr=0.05", "--fresh")
    assert "1 of 2 threads" in fresh.err


def test_wrong_numbers_of_threads(dsd_run: Run) -> None:
    assert dsd_run("dense 1ep lr=0.05", "--threads", "0").code == 2


def test_a_device_that_is_no_cpu_has_none() -> None:
    before = torch.get_num_threads()
    with computing_on(Threads(None, before, "")):
        assert torch.get_num_threads() == before
    assert str(Threads(None, 4, "")) == ""
    assert str(Threads(1, 1, "")) == "1 thread"
