"""Several processes: what is refused by name, DDP averages reports and agrees on masks, shards train (row 19)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from engine_loops import backward, begin, network, one_update, samples
from several_ranks import LOOPBACK, in_ranks
from torch import Tensor, nn, optim
from torch.nn.parallel import DistributedDataParallel

from dsd_lang.base.errors import DsdError
from dsd_runtime import Session
from dsd_runtime.engine.ranks import Ranks
from dsd_runtime.masks.processes import Processes
from dsd_runtime.masks.shards import local_of, whole


def _sgd(model: nn.Module) -> optim.Optimizer:
    return optim.SGD(model.parameters(), lr=0.1)


@pytest.fixture
def one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", LOOPBACK)
    dist.init_process_group("gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.fixture
def two_processes(one_process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As rank 0 of two sees it, until something is really sent."""
    monkeypatch.setattr(dist, "get_world_size", lambda group=None: 2)


def test_one_process_in_a_group_is_one_process(one_process: None) -> None:
    model = network()
    session = begin("dense 2it lr=0.1", model, _sgd(model))
    one_update(session, model)
    session.report({"val.loss": 0.5})


def test_a_model_outside_ddp_is_refused(two_processes: None) -> None:
    model = network()
    with pytest.raises(DsdError, match="2 processes, and the model is not in DistributedDataParallel"):
        begin("dense 2it lr=0.1", model, _sgd(model))


def test_other_placements_are_refused_by_name(one_process: None) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (1,))
    for placement, said in ((Shard(1), r"`Shard\(1\)`"), (Replicate(), r"`Replicate\(\)`")):
        model = network()
        model[0].weight = nn.Parameter(distribute_tensor(model[0].weight.detach(), mesh, [placement]))
        with pytest.raises(DsdError, match=rf"`0\.weight` is placed as {said}, and only `Shard\(0\)` is supported"):
            begin("dense 2it lr=0.1", model, _sgd(model))
    model = network()
    model[0].weight = nn.Parameter(distribute_tensor(model[0].weight.detach(), mesh, [Shard(0)]))
    with pytest.raises(DsdError, match=r"`0\.bias` is whole on every process, and other weights are sharded"):
        begin("dense 2it lr=0.1", model, _sgd(model))
    model = network()
    early = _sgd(model)
    fully_shard(model, mesh=mesh)
    with pytest.raises(DsdError, match="the optimizer has weights from before the model was sharded"):
        begin("dense 2it lr=0.1", model, early)
    with pytest.raises(DsdError, match="the model cannot be copied to reinitialise its weights") as raised:
        begin("dense 2it lr=0.1 from=random", model, _sgd(model))
    assert "pass `factory=`" in str(raised.value)


def test_fsdp_1_is_refused_by_name() -> None:
    class FullyShardedDataParallel(nn.Module):
        pass

    FullyShardedDataParallel.__module__ = "torch.distributed.fsdp.fully_sharded_data_parallel"
    model = network()
    model.add_module("inner", FullyShardedDataParallel())
    with pytest.raises(DsdError, match=r"`inner` is sharded by FSDP \(FullyShardedDataParallel\)"):
        begin("dense 2it lr=0.1", model, _sgd(model))


def _two(sent: Callable[[Tensor], Tensor]) -> Ranks:
    """As one of two ranks sees it; ``sent`` is what the other one sends, a function of what this one does."""

    class Two(Processes):
        count = 2

        def gathered(self, row: Tensor) -> Tensor:
            return torch.stack([row, sent(row)])

        def is_equal(self, row: Tensor) -> bool:
            return torch.equal(row, sent(row))

    found, found_processes = Ranks(network()), Two()
    found.processes, found.count, found_processes.count = found_processes, 2, 2
    return found


def test_reports_are_averaged() -> None:
    """A value that is alike on all ranks stays bit by bit what it is; names may come in any order."""

    def other(row: Tensor) -> Tensor:
        return row if row.dtype == torch.int64 else row + torch.tensor([0.0, 0.5], dtype=torch.float64)

    assert _two(other).averaged({"b": 0.1, "a": 0.3}) == {"b": 0.35, "a": 0.3}


def test_ranks_that_differ_are_told() -> None:
    with pytest.raises(DsdError, match="the 2 processes have different metrics"):
        _two(lambda row: row + 1).averaged({"val.loss": 0.3})


TEXT = "a: dense 8it lr=0.1 until val.loss < 0.5; sparse 50% 3it; dense 2it"


def _ddp(rank: int) -> dict[str, Any]:
    """Trains on its own half of the data and reports a loss of its own; only the mean ends the first phase."""
    model = DistributedDataParallel(network())
    session = begin(TEXT, model, _sgd(model))
    generator = torch.Generator().manual_seed(rank)
    phases = []
    while not session.done:
        batch = torch.randn(8, 12, generator=generator), torch.randint(0, 4, (8,), generator=generator)
        one_update(session, model, batch)
        phases.append(session.phase.index)
        session.report({"val.loss": (0.7, 0.1)[rank] if session.total_updates >= 3 else 0.9})
    masks = [event.details["mask_hash"] for event in session.events if event.kind == "exit"]
    return {"phases": phases, "masks": masks, "sums": [float(weight.sum()) for weight in model.parameters()]}


UNITS = (
    "dense 1it lr=0.1; sparse 50% unit=filter 2it; sparse 40% scope=row 2it; sparse 50% alloc=erk by=random 2it; "
    "sparse 0->60% unit=block(2, 3) scope=global every=1it 3it; sparse 20% of=remaining scope=group 1it"
)


def _with_units(rank: int) -> list[str]:
    """The masks after every update of a training in copies, on the same data as one process."""
    return _masks_of(*_copies(UNITS))


def _masks_of(model: nn.Module, session: Session) -> list[str]:
    found = []
    while not session.done:
        one_update(session, model)
        found.append(session.boundary.store.hash())
    return found


def test_units_rows_and_allocations_of_two_ranks_are_those_of_one_process(tmp_path: Path) -> None:
    model = network()
    expected = _masks_of(model, begin(UNITS, model, _sgd(model)))
    assert len(set(expected)) >= 6
    assert in_ranks(2, _with_units, tmp_path) == [expected, expected]


def _errors(rank: int) -> dict[str, str]:
    """What is said on this rank if one rank is other than the rest."""

    def seeds() -> None:
        model = DistributedDataParallel(network())
        begin(TEXT, model, _sgd(model), seed=rank)

    def weights() -> None:
        model = DistributedDataParallel(network())
        session = begin("dense 1it lr=0.1; sparse 50% 2it", model, _sgd(model))
        one_update(session, model)
        if rank:
            with torch.no_grad():
                model.module[3].weight[0, 0] += 1e-3
        one_update(session, model)

    def masks() -> None:
        model = DistributedDataParallel(network())
        session = begin("sparse 0->50% every=1it 5it lr=0.1", model, _sgd(model))
        one_update(session, model)
        if rank:
            with torch.no_grad():
                model.module[3].weight.copy_(model.module[3].weight.flip(0))
        one_update(session, model)

    def off_mask(*, is_sharded: bool) -> Callable[[], None]:
        def act() -> None:
            model, session = _shards("sparse 50% 2it lr=0.1") if is_sharded else _copies("sparse 50% 2it lr=0.1")
            one_update(session, model)
            if rank:
                local_of(dict(session.model.named_parameters())["3.weight"]).detach()[~session.masks["3.weight"]] = 1.0
            session._line.check_invariants()

        return act

    def broken() -> None:
        model, session = _shards("dense 2it lr=0.1")
        one_update(session, model)
        if rank:
            with torch.no_grad():
                local_of(model[3].weight)[-1, 0] = float("nan")
        session.report({"val.loss": 0.5})

    def reported() -> None:
        session = _copies("dense 2it lr=0.1")[1]
        session.report({"val.loss": 0.5 if not rank else "half"})  # type: ignore[dict-item]

    acts = {
        "seeds": seeds, "weights": weights, "masks": masks, "off mask": off_mask(is_sharded=False),
        "off mask of shards": off_mask(is_sharded=True), "broken": broken, "reported": reported,
    }  # fmt: skip
    said = {}
    for name, act in acts.items():
        try:
            act()
        except DsdError as error:
            said[name] = error.message
    return said


def _copies(text: str) -> tuple[nn.Module, Session]:
    model = DistributedDataParallel(network())
    return model, begin(text, model, _sgd(model))


def _shards(text: str, **options: Any) -> tuple[nn.Sequential, Session]:
    from torch.distributed.fsdp import fully_shard

    model = network()
    fully_shard(model)
    return model, begin(text, model, _sgd(model), factory=network, **options)


FELT = "a: dense 5it lr=0.1; sparse 50% 5it scope=global; dense 3it restore=saved distill=@a.end; sparse 2:4 2it"


def _felt(model: nn.Module, session: Session, *, clip: float | None = None) -> list[Tensor]:
    """A usual loop with an evaluation after each pass, after which FSDP2 keeps whole weights; its weights."""
    inputs, labels = samples(16)
    for _ in session.epochs():
        for x, y in session.batches(list(zip(inputs.split(4), labels.split(4), strict=True))):
            session.optimizer.zero_grad()
            logits = model(x)
            session.distilled_loss(nn.functional.cross_entropy(logits, y), logits, x).backward()
            session.step(clip=clip)
        with torch.no_grad():
            session.report({"val.loss": float(nn.functional.cross_entropy(model(inputs), labels))})
    return [whole(value).clone() for value in session.model.state_dict().values()]


def _of_shards(rank: int) -> dict[str, Any]:
    model, session = _shards(FELT)
    found: dict[str, Any] = {"felt": _felt(model, session), "sparsity": session.sparsity()}
    found["clipped"] = _felt(*_shards(FELT), clip=0.1)
    found["skipped"] = _skipped(rank)
    return found


def _skipped(rank: int) -> list[bool]:
    """Whether updates are applied whose gradients overflow on no rank, on one, on none."""
    model, session = _shards("sparse 50% 4it lr=0.1")
    scaler, applied = torch.amp.GradScaler("cpu", init_scale=4.0), []
    for number in range(3):
        session.begin_step()
        session.optimizer.zero_grad()
        scaler.scale(nn.functional.cross_entropy(model(samples()[0]), samples()[1])).backward()
        if number == 1 and rank:
            local_of(model[0].weight.grad)[0, 0] = float("inf")
        applied.append(session.step(scaler=scaler))
    return [*applied, session.total_updates == 2]


MOVING = "dense 2it lr=0.1; sparse 0->50% every=1it 4it; dense 2it"
ENFORCED = (
    "sparse 60% 3it lr=0.1 enforce=ste scope=global; sparse 2:4 2it enforce=srste(decay=0.1); sparse 80% 4it wd=0.1 "
    "enforce=topkast(every=2it); sparse 0->60% every=1it 3it by=movement; dense 1it"
)


def _averaging(
    own: tuple[int, ...], add_up: Callable[[Tensor], object], text: str = MOVING, **options: Any
) -> list[Tensor]:
    """A loop that averages gradients itself, on a plain model; an update has two batches, and ``own`` are this
    process's. Its masks after every update, its weights, and the mean of what the processes report.
    """
    model, found, reported = network(), [], []
    session = begin(text, model, _sgd(model), on_report=lambda metrics: reported.append(metrics["val.loss"]), **options)
    while not session.done:
        session.begin_step()
        halves = []
        for number in own:
            session.optimizer.zero_grad()
            backward(model, *samples(8, seed=2 * session.total_updates + number))
            halves.append([weight.grad / 2 for weight in model.parameters() if weight.grad is not None])
        for weight, *parts in zip(model.parameters(), *halves, strict=True):
            weight.grad = sum(parts[1:], parts[0])
            add_up(weight.grad)
        session.step(clip=0.5)
        found += [mask.clone() for mask in session.masks.values()]
    session.report({"val.loss": sum(own) / len(own)})
    return [*found, *(weight.detach() for weight in model.parameters()), torch.tensor(reported)]


FROZEN = 'dense 2it lr=[norm: 0.01, all: 0.1]; sparse 50% 3it freeze="0",norm; dense 2it freeze=output; dense 2it'


def _frozen(how: str) -> list[Tensor]:
    """Trains with frozen layers on the same samples in every process, so that the mean of the gradients is exact."""
    torch.manual_seed(0)
    layers = [nn.Linear(12, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)]
    model: nn.Module = nn.Sequential(*layers)
    if how == "shards":
        from torch.distributed.fsdp import fully_shard

        fully_shard(model)
    elif how != "alone":
        model = DistributedDataParallel(model, static_graph=how == "static", gradient_as_bucket_view=how == "views")
    session = begin(FROZEN, model, optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1))
    while not session.done:
        one_update(session, model, samples(16, seed=session.total_updates))
    return [whole(value).clone() for value in session.model.state_dict().values()]


def _two_ranks(rank: int) -> dict[str, Any]:
    frozen = {how: _frozen(how) for how in ("copies", "static", "views", "shards")}
    averaging = _averaging((rank,), dist.all_reduce, process_group=dist.group.WORLD)
    enforced = _averaging((rank,), dist.all_reduce, ENFORCED, process_group=dist.group.WORLD)
    found = {"ddp": _ddp(rank), "errors": _errors(rank), "averaging": averaging, "enforced": enforced, "frozen": frozen}
    return {**found, **_of_shards(rank), "enforced felt": _felt(*_shards(ENFORCED))}


def test_two_ranks_train_as_one_process_and_part_with_a_sentence(tmp_path: Path) -> None:
    """Under gloo, spawned: decisions on means (rank 0 alone would stay in the first phase), defects put into one rank,
    gradients that the loop averages, frozen layers, and a usual loop on shards, whose gradients are the same on both
    ranks, so that their mean is exact.
    """
    first, second = in_ranks(2, _two_ranks, tmp_path)
    assert first["ddp"] == second["ddp"]
    assert first["ddp"]["phases"] == [0] * 3 + [1] * 3 + [2] * 2
    assert first["errors"] == second["errors"]
    assert {name: text.split(":")[0] for name, text in first["errors"].items()} == {
        "seeds": "the 2 processes have different schedules or seeds",
        "weights": "the 2 processes have different weights",
        "masks": "the 2 processes have different masks",
        "off mask": "128 masked weights of `3.weight` are not zero at update 1",
        "off mask of shards": "54 masked weights of `3.weight` are not zero at update 1",
        "broken": "`3.weight` is nan at update 1, in phase `p0`",
        "reported": "the metric `val.loss` must be a number, not `'half'`",
    }
    expected = _frozen("alone")
    for found in (first["frozen"], second["frozen"]):
        assert [how for how, ends in found.items() if not all(map(torch.equal, ends, expected))] == []
    alone = _averaging((0, 1), lambda gradient: None)
    assert len(alone) == 4 * 3 + 6 + 1
    enforced = _averaging((0, 1), lambda gradient: None, ENFORCED)
    for rank in (first, second):
        assert all(map(torch.equal, rank["averaging"], alone))
        assert all(map(torch.equal, rank["enforced"], enforced))
    model = network()
    assert all(map(torch.equal, first["enforced felt"], _felt(model, begin(ENFORCED, model, _sgd(model)))))
    model = network()
    session = begin(FELT, model, _sgd(model))
    assert all(map(torch.equal, first["felt"], _felt(model, session)))
    assert first["sparsity"] == session.sparsity()
    model = network()
    clipped = _felt(model, begin(FELT, model, _sgd(model)), clip=0.1)
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(first["clipped"], clipped, strict=True))
    assert first["skipped"] == second["skipped"] == [True, False, True, True]
