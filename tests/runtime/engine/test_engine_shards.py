"""A session on a model that FSDP2 shards is the session of one process, bit by bit (engine.md, row 19).

Gradients are drawn by the number of the update, so that no sum over processes rounds: then weights, masks, optimizer
state and counts of three processes must equal those of one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from several_ranks import in_ranks
from torch import Tensor, nn, optim
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import dsd_lang
from dsd_lang.base.errors import DsdError
from dsd_runtime import Session, attach, load_checkpoint, save_checkpoint
from dsd_runtime.masks.shards import local_of, mesh_of, own_rows, sharded_as, whole_tree


class Uneven(nn.Module):
    """Weights of 2, 4, 5, 7 and 8 rows, two of them tied; three processes have them unevenly, and some not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 5, 3)
        self.conv = nn.Conv2d(5, 4, 3)
        self.up = nn.ConvTranspose2d(8, 4, 2)
        self.fc = nn.Linear(16, 7)
        self.norm = nn.BatchNorm1d(7)
        self.words = nn.Embedding(7, 4)
        self.out = nn.Linear(4, 7, bias=False)
        self.out.weight = self.words.weight
        self.small = nn.Linear(12, 2)


def uneven() -> Uneven:
    torch.manual_seed(0)
    model = Uneven()
    with torch.no_grad():
        model.fc.weight.mul_(8).round_().div_(8)  # many ties
    return model


def sgd(parameters: Any) -> optim.Optimizer:
    return optim.SGD(parameters, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)


def adam(parameters: Any) -> optim.Optimizer:
    return optim.AdamW(parameters, lr=0.1, foreach=False)


SCHEDULES: dict[str, tuple[str, Callable[[Any], optim.Optimizer]]] = {
    "targets": (
        "a: dense 2it lr=0.1; sparse 50% 3it scope=global; dense 2it restore=saved; "
        "sparse 0->90% ramp=cubic every=2it 7it state=reset; dense 2it restore=init state=keep; "
        "sparse 60% by=random 2it; sparse 30% of=remaining 2it scope=global; dense 1it restore=@a.end", sgd,
    ),
    "lists": (
        'a: dense 1it lr=0.1; sparse [conv: 40%, fc: 20%->70%] every=1it 3it l1=1e-3 clip=value(0.5); '
        'sparse 2:4 layers="up","fc" 2it; sparse held 2it; sparse 90% layers="out","small" others=hold 2it; '
        "dense 2it from=@a.end; sparse 95% scope=global 2it restart=none".replace(" restart=none", ""), adam,
    ),
    "groups": (
        "dense 3it lr=[embed: 0.01, norm: 0.001, all: 0.1] decay=linear; sparse 50% 3it clip=value(0.5); "
        'dense 3it lr=["fc": 0.3, all: 0.1] opt=adamw; dense 2it freeze=embed,norm,"up.bias"; dense 2it', sgd,
    ),
    "units": (
        "sparse 50% unit=channel layers=conv,fc,embed 1it lr=0.1; sparse 40% of=remaining scope=row alloc=erk "
        "layers=all 1it; sparse [conv: 0->60%, fc: 30%] unit=block(2, 3) scope=global every=1it 2it", adam,
    ),
    "conditions": (
        "a: dense 6it lr=0.1 until val.loss < 0.5; repeat 3 until gain(val.loss) < 0.1 "
        "{ sparse 30% of=remaining 2it }; dense 2it restore=random state=reset opt=adagrad; "
        "s: sparse 50% layers=fc 2it; sparse held masks=current layers=fc 1it; dense 1it; "
        "sparse held masks=current layers=fc from=@s.end 1it",
        sgd,
    ),
    "enforced": (
        'dense 1it lr=0.1; sparse 60% 3it enforce=ste scope=global; sparse 2:4 layers="up","fc" 3it '
        "enforce=srste(decay=0.01); sparse 80% 4it wd=0.01 enforce=topkast(backward=50%, every=2it); "
        "sparse 0->70% every=1it 4it by=movement; dense 1it; sparse 60% 3it by=movement enforce=ste; dense 1it", sgd,
    ),
    "moving masks": (
        "sparse 60% 5it lr=0.1 update=rigl(drop=60%, every=2it, until=100%); "
        "sparse held 2it update=set(drop=50%, every=1it); "
        'sparse 2:4 layers="up","fc" 2it update=magnitude(every=1it); dense 1it restore=saved',
        adam,
    ),
}  # fmt: skip


def gradient_for(name: str, shape: torch.Size, update: int) -> Tensor:
    seed = sum(name.encode()) * 1000 + update
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).div(4)


def begin(which: str, *, is_sharded: bool) -> tuple[Uneven, Session]:
    text, build = SCHEDULES[which]
    model = uneven()
    if is_sharded:
        from torch.distributed.fsdp import fully_shard

        fully_shard(model.fc)
        fully_shard(model)
    session = attach(
        dsd_lang.compile(text),
        model,
        build(model.parameters()),
        steps_per_epoch=3,
        factory=uneven,
        best_metric="val.loss",
    )
    return model, session


def one_update(model: nn.Module, session: Session) -> None:
    session.begin_step()
    for name, weight in model.named_parameters():
        gradient = gradient_for(name, weight.shape, session.total_updates)
        weight.grad = sharded_as(weight.detach(), gradient)
    session.step()


def after_update(session: Session) -> dict[str, Any]:
    return {"phase": session.phase.index, "masks": session.boundary.store.hash(), "sparsity": session.sparsity()}


def trained(
    model: nn.Module, session: Session, *, save_at: int = -1, folder: str | None = None
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Trains to the end, reporting a loss of its own: what was so, all of it whole; and what it saved on the way."""
    found, saved = [], {}
    while not session.done:
        one_update(model, session)
        found.append(after_update(session))
        session.report({"val.loss": 1.0 / session.total_updates})
        if session.total_updates == save_at:
            if folder is not None:
                saved_to(folder, model, session)
            saved = copy.deepcopy(whole_tree({"model": dict(model.state_dict()), "session": session.state_dict()}))
    at_end = {"weights": dict(model.state_dict()), "state": session.optimizer.state_dict()["state"]}
    events = [(event.kind, event.update, event.details) for event in session.events]
    return [*found, copy.deepcopy(whole_tree(at_end)), {"events": events}], saved


def differences(found: Any, expected: Any, at: str = "") -> list[str]:
    """Where two trees differ; tensors by their bits."""
    if isinstance(expected, Tensor):
        return [] if found.dtype == expected.dtype and torch.equal(found, expected) else [at]
    if isinstance(expected, dict):
        missing = [at] if found.keys() != expected.keys() else []
        return missing + [
            line for key in expected for line in differences(found.get(key), expected[key], f"{at}.{key}")
        ]
    if isinstance(expected, list):
        pairs = enumerate(zip(found, expected, strict=False))
        return ([at] if len(found) != len(expected) else []) + [
            line for number, (one, other) in pairs for line in differences(one, other, f"{at}.{number}")
        ]
    return [] if found == expected else [f"{at}: {found} is not {expected}"]


RESUMED_AT = {
    "targets": 8, "lists": 5, "groups": 7, "units": 2, "conditions": 4, "enforced": 10, "moving masks": 3,
}  # fmt: skip


def resumed(which: str, saved: dict[str, Any], *, is_sharded: bool) -> list[dict[str, Any]]:
    model, session = begin(which, is_sharded=is_sharded)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            local_of(value).copy_(own_rows(saved["model"][name], value))
    session.load_state_dict(copy.deepcopy(saved["session"]))  # torch keeps loaded tensors, and the ranks share these
    return trained(model, session)[0]


def _in_shards(rank: int, saved: dict[str, Any], folder: str) -> dict[str, Any]:
    """The schedules that were saved from the start, and from where one process had saved them."""
    found: dict[str, Any] = {}
    for which in saved:
        at = RESUMED_AT[which]
        model, session = begin(which, is_sharded=True)
        found[which] = trained(model, session, save_at=at, folder=f"{folder}/{which}")
        shapes = {name: mask.shape for name, mask in session.masks.items()}
        assert shapes == {name: local_of(model.get_parameter(name)).shape for name in session.masks}
        found[f"{which} resumed"] = resumed(which, saved[which], is_sharded=True)
    return found


@pytest.mark.parametrize(
    "schedules", [("targets", "lists"), ("groups", "units", "conditions"), ("enforced", "moving masks")], ids=" ".join
)
def test_three_processes_train_shards_as_one_trains_the_whole(schedules: tuple[str, ...], tmp_path: Path) -> None:
    """Every target, scope, tie, tied weight, empty shard, ramp, `restore=`; saved by one or three, resumed by any."""
    alone = {which: trained(*begin(which, is_sharded=False), save_at=RESUMED_AT[which]) for which in schedules}
    saved = {which: it for which, (_, it) in alone.items()}
    of_ranks = in_ranks(3, _in_shards, tmp_path, saved, str(tmp_path))
    for which, (expected, _) in alone.items():
        last = RESUMED_AT[which]
        for found, of_three in (ranks[which] for ranks in of_ranks):
            assert differences(found, expected) == []
            unlike = [line for line in differences(of_three, saved[which]) if ".generators." not in line]
            assert unlike == []
            assert differences(resumed(which, of_three, is_sharded=False), expected[last:]) == []
        assert differences(trained(*loaded_from(str(tmp_path), which, is_sharded=False))[0], expected[last:]) == []
        for ranks in of_ranks:
            assert differences(ranks[f"{which} resumed"], expected[last:]) == []


class Largest(TorchDispatchMode):
    """The most bytes of a tensor that an operation gives."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        sizes = [local_of(one).nbytes for one in tree_leaves(made) if isinstance(one, Tensor)]
        self.bytes = max([self.bytes, *sizes])
        return made


def saved_to(folder: str, model: nn.Module, session: Session) -> None:
    state = {"model": model.state_dict(), "session": session.state_dict(is_sharded=True)}
    save_checkpoint(folder, state)


def loaded_from(folder: str, which: str, *, is_sharded: bool) -> tuple[Uneven, Session]:
    model, session = begin(which, is_sharded=is_sharded)
    parts = load_checkpoint(f"{folder}/{which}", mesh=mesh_of(model.parameters()))
    model.load_state_dict(parts["model"])
    session.load_state_dict(parts["session"])
    return model, session


def _train_and_write(rank: int, folder: str) -> None:
    for which, at in RESUMED_AT.items():
        model, session = begin(which, is_sharded=True)
        while session.total_updates < at:
            one_update(model, session)
            session.report({"val.loss": 1.0 / session.total_updates})
        saved_to(f"{folder}/{which}", model, session)


def _read_and_write(rank: int, source: str, folder: str) -> dict[str, Any]:
    """Reads what another number of processes has written, writes it again, and goes on training one of them."""
    for which in RESUMED_AT:
        model, session = loaded_from(source, which, is_sharded=True)
        saved_to(f"{folder}/{which}", model, session)
    return {"targets": trained(*loaded_from(folder, "targets", is_sharded=True))[0]}


@pytest.mark.slow
def test_shards_are_written_by_two_processes_read_by_three_and_by_one(tmp_path: Path) -> None:
    """In sparse phases, ramps and after them; bit for bit what one process saves, and ends with."""
    two, three = str(tmp_path / "two"), str(tmp_path / "three")
    alone = {which: trained(*begin(which, is_sharded=False), save_at=at) for which, at in RESUMED_AT.items()}
    in_ranks(2, _train_and_write, tmp_path / "a", two)
    of_three = in_ranks(3, _read_and_write, tmp_path / "b", two, three)
    for which, (expected, saved) in alone.items():
        for folder in (two, three):
            parts = load_checkpoint(f"{folder}/{which}")
            assert differences(parts["model"], saved["model"]) == []
            resumed_by_one = trained(*loaded_from(folder, which, is_sharded=False))[0]
            assert differences(resumed_by_one, expected[RESUMED_AT[which] :]) == []
    for found in of_three:
        assert differences(found["targets"], alone["targets"][0][RESUMED_AT["targets"] :]) == []
    assert sorted(path.name for path in Path(three, "targets").glob("model*")) == [
        *(f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)), "model.json", "model.safetensors",
    ]  # fmt: skip


def _wide(rank: int, folder: str) -> dict[str, Any]:
    """The largest tensor that a process makes while it saves and loads, and what one of them says on a full disk."""
    from torch.distributed.fsdp import fully_shard

    def begun() -> tuple[nn.Linear, Session]:
        torch.manual_seed(0)
        model = nn.Linear(40, 100)
        fully_shard(model)
        plan = dsd_lang.compile("sparse 50% 4it lr=0.1; dense 2it restore=saved")
        session = attach(plan, model, optim.AdamW(model.parameters(), lr=0.1), steps_per_epoch=2)
        one_update(model, session)
        return model, session

    model, session = begun()
    other, resumed_session = begun()
    with Largest() as largest:
        save_checkpoint(folder, {"model": model.state_dict(), "session": session.state_dict(is_sharded=True)})
        parts = load_checkpoint(folder, mesh=mesh_of(model.parameters()))
        other.load_state_dict(parts["model"])
    resumed_session.load_state_dict(parts["session"])
    return {"largest": largest.bytes, "full": _full_disk(rank, f"{folder}-full", model)}


def _full_disk(rank: int, folder: str, model: nn.Module) -> str:
    from dsd_runtime.storage import shard_files

    def full(path: Path, tensors: Any) -> None:
        raise OSError(28, "No space left on device")

    if rank == 1:
        shard_files.write_tensors = full
    try:
        save_checkpoint(folder, {"model": model.state_dict()})
    except DsdError as error:
        return error.message
    return ""


def test_no_process_has_more_than_its_rows(tmp_path: Path) -> None:
    """A full disk of one process is an error of all, and leaves nothing."""
    folder = tmp_path / "wide"
    for found in in_ranks(2, _wide, tmp_path, str(folder)):
        assert found == {"largest": 4 * 40 * 50, "full": f"the disk is full: `{folder}-full` could not be written"}
    assert [path.name for path in tmp_path.glob("*wide*")] == ["wide"]
    shard = folder / "session-00002-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1] + b"\7")
    with pytest.raises(DsdError, match=r"session-00002-of-00002.safetensors` is damaged: its checksum does not match"):
        load_checkpoint(folder)
    assert load_checkpoint(folder, ["model"])["model"]["weight"].shape == (100, 40)
