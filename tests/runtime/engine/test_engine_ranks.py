"""Several processes: sharded weights are refused by name, DDP averages reports and agrees on masks (row 19)."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from engine_loops import begin, network, one_update
from torch import Tensor, nn, optim
from torch.nn.parallel import DistributedDataParallel

from dsd_lang.base.errors import DsdError
from dsd_runtime.engine import ranks
from dsd_runtime.engine.ranks import Ranks


def _sgd(model: nn.Module) -> optim.Optimizer:
    return optim.SGD(model.parameters(), lr=0.1)


_LOOPBACK = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
"""Named, so that gloo does not look up the machine's own name, which takes seconds where nobody answers."""


@pytest.fixture
def one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", _LOOPBACK)
    dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.fixture
def two_processes(one_process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As rank 0 of two sees it, until something is really sent."""
    monkeypatch.setattr(dist, "get_world_size", lambda group=None: 2)


def _gather(monkeypatch: pytest.MonkeyPatch, other: Any) -> None:
    """What the other rank sends; a function of what this one does."""
    monkeypatch.setattr(ranks.Ranks, "_gathered", lambda self, row: torch.stack([row, other(row)]))


def test_one_process_in_a_group_is_one_process(one_process: None) -> None:
    model = network()
    session = begin("dense 2it lr=0.1", model, _sgd(model))
    one_update(session, model)
    session.report({"val.loss": 0.5})


def test_a_model_outside_ddp_is_refused(two_processes: None) -> None:
    model = network()
    with pytest.raises(DsdError, match="2 processes, and the model is not in DistributedDataParallel"):
        begin("dense 2it lr=0.1", model, _sgd(model))


def test_sharded_models_are_refused_by_name(one_process: None) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (1,))
    model = network()
    fully_shard(model[3], mesh=mesh)
    with pytest.raises(DsdError, match=r"`3` is sharded by FSDP2 \(fully_shard\), which is not supported yet"):
        begin("dense 2it lr=0.1", model, _sgd(model))
    model = network()
    model[0].weight = nn.Parameter(distribute_tensor(model[0].weight.detach(), mesh, [Shard(0)]))
    with pytest.raises(DsdError, match=r"the weight `0\.weight` is a DTensor"):
        begin("dense 2it lr=0.1", model, _sgd(model))


def test_fsdp_1_is_refused_by_name() -> None:
    class FullyShardedDataParallel(nn.Module):
        pass

    FullyShardedDataParallel.__module__ = "torch.distributed.fsdp.fully_sharded_data_parallel"
    model = network()
    model.add_module("inner", FullyShardedDataParallel())
    with pytest.raises(DsdError, match=r"`inner` is sharded by FSDP \(FullyShardedDataParallel\)"):
        begin("dense 2it lr=0.1", model, _sgd(model))


def _two(monkeypatch: pytest.MonkeyPatch) -> Ranks:
    model = network()
    found = Ranks(model)
    found.count = 2
    return found


def test_reports_are_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that is alike on all ranks stays bit by bit what it is; names may come in any order."""

    def other(row: Tensor) -> Tensor:
        return row if row.dtype == torch.int64 else row + torch.tensor([0.0, 0.5], dtype=torch.float64)

    _gather(monkeypatch, other)
    assert _two(monkeypatch).averaged({"b": 0.1, "a": 0.3}) == {"b": 0.35, "a": 0.3}


def test_ranks_that_differ_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    _gather(monkeypatch, lambda row: row + 1)
    with pytest.raises(DsdError, match="the 2 processes have different metrics"):
        _two(monkeypatch).averaged({"val.loss": 0.3})


TEXT = "a: dense 8it lr=0.1 until val.loss < 0.5; sparse 50% 3it; dense 2it"


def _rank(rank: int, port: int, results: Any) -> None:
    """Trains on its own half of the data and reports a loss of its own; only the mean ends the first phase."""
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME=_LOOPBACK)
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=2)
    import dsd_lang
    from dsd_runtime import attach

    torch.manual_seed(0)
    model = DistributedDataParallel(nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 4)))
    session = attach(dsd_lang.compile(TEXT), model, optim.SGD(model.parameters(), lr=0.1), steps_per_epoch=4)
    generator = torch.Generator().manual_seed(rank)
    phases = []
    while not session.done:
        session.begin_step()
        session.optimizer.zero_grad()
        inputs, labels = torch.randn(8, 12, generator=generator), torch.randint(0, 4, (8,), generator=generator)
        nn.functional.cross_entropy(model(inputs), labels).backward()
        session.step()
        phases.append(session.phase.index)
        session.report({"val.loss": (0.7, 0.1)[rank] if session.total_updates >= 3 else 0.9})
    seeds = "alike"
    try:
        attach(dsd_lang.compile(TEXT), model, optim.SGD(model.parameters(), lr=0.1), steps_per_epoch=4, seed=rank)
    except DsdError as error:
        seeds = error.message
    masks = [event.details["mask_hash"] for event in session.events if event.kind == "exit"]
    results[rank] = (phases, masks, [float(weight.sum()) for weight in model.parameters()], seeds)
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_ranks_take_every_decision_together() -> None:
    """Under gloo, spawned: rank 0 alone would stay in the first phase for 8 updates, the mean ends it after 3."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = torch.multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        results = manager.dict()
        processes = [context.Process(target=_rank, args=(rank, port, results)) for rank in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)
        assert [process.exitcode for process in processes] == [0, 0]
        first, second = results[0], results[1]
    assert first == second
    assert first[0] == [0] * 3 + [1] * 3 + [2] * 2
    assert first[3] == "the 2 processes have different schedules or seeds"
