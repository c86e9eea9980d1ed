"""A session on a model that FSDP2 shards is the session of one process, bit by bit (engine.md, row 19).

Gradients are drawn by the number of the update, so that no sum over processes rounds: then weights, masks, optimizer
state and counts of three processes must equal those of one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from several_ranks import in_ranks
from torch import Tensor, nn, optim

import dsd_lang
from dsd_runtime import Session, attach
from dsd_runtime.masks.shards import local_of, own_rows, sharded_as, whole_tree


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
    "conditions": (
        "a: dense 6it lr=0.1 until val.loss < 0.5; repeat 3 until gain(val.loss) < 0.1 "
        "{ sparse 30% of=remaining 2it }; dense 2it restore=random state=reset opt=adagrad; "
        "s: sparse 50% layers=fc 2it; sparse held masks=current layers=fc 1it; dense 1it; "
        "sparse held masks=current layers=fc from=@s.end 1it",
        sgd,
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


def trained(model: nn.Module, session: Session, *, save_at: int = -1) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Trains to the end, reporting a loss of its own: what was so, all of it whole; and what it saved on the way."""
    found, saved = [], {}
    while not session.done:
        one_update(model, session)
        found.append(after_update(session))
        session.report({"val.loss": 1.0 / session.total_updates})
        if session.total_updates == save_at:
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


RESUMED_AT = {"targets": 8, "lists": 5, "conditions": 4}


def resumed(which: str, saved: dict[str, Any], *, is_sharded: bool) -> list[dict[str, Any]]:
    model, session = begin(which, is_sharded=is_sharded)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            local_of(value).copy_(own_rows(saved["model"][name], value))
    session.load_state_dict(copy.deepcopy(saved["session"]))  # torch keeps loaded tensors, and the ranks share these
    return trained(model, session)[0]


def _in_shards(rank: int, saved: dict[str, Any]) -> dict[str, Any]:
    """All schedules from the start, and from where one process had saved them."""
    found: dict[str, Any] = {}
    for which, at in RESUMED_AT.items():
        model, session = begin(which, is_sharded=True)
        found[which] = trained(model, session, save_at=at)
        shapes = {name: mask.shape for name, mask in session.masks.items()}
        assert shapes == {name: local_of(model.get_parameter(name)).shape for name in session.masks}
        found[f"{which} resumed"] = resumed(which, saved[which], is_sharded=True)
    return found


def test_three_processes_train_shards_as_one_trains_the_whole(tmp_path: Path) -> None:
    """Every target, scope, tie, tied weight, empty shard, ramp, `restore=`; saved by one or three, resumed by any."""
    alone = {which: trained(*begin(which, is_sharded=False), save_at=at) for which, at in RESUMED_AT.items()}
    saved = {which: it for which, (_, it) in alone.items()}
    of_ranks = in_ranks(3, _in_shards, tmp_path, saved)
    for which, (expected, _) in alone.items():
        last = RESUMED_AT[which]
        for found, of_three in (ranks[which] for ranks in of_ranks):
            assert differences(found, expected) == []
            unlike = [line for line in differences(of_three, saved[which]) if ".generators." not in line]
            assert unlike == []
            assert differences(resumed(which, of_three, is_sharded=False), expected[last:]) == []
        for ranks in of_ranks:
            assert differences(ranks[f"{which} resumed"], expected[last:]) == []
