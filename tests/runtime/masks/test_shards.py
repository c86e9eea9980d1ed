"""Weights of which each process has some rows: the masks are those of one process, bit by bit (engine.md, row 19)."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from several_ranks import in_ranks
from torch import Tensor, nn

from dsd_lang.base.errors import DsdError
from dsd_lang.plan.weight_units import Unit
from dsd_runtime.masks import Held, InputAxis, MaskStore, NofM, PerSelector, Pruned, Remaining, choose_masks
from dsd_runtime.masks.shards import Rows, gathered, is_sharded, local_of, own_rows, rows_of, sharded_as, whole

SHAPES = {"conv": (7, 4, 3, 3), "wide": (5, 64), "tall": (64, 3), "one": (1, 8), "two": (2, 12), "flat": (10,)}
"""Over three processes `one` leaves two of them empty, and `two` one."""


def some_weights(seed: int, kind: str) -> dict[str, Tensor]:
    """Weights without ties, with many, all equal, all zero, or in bfloat16."""
    generator = torch.Generator().manual_seed(seed)
    drawn = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
    ties = {"ties": lambda w: w.mul(2).round().div(2), "equal": torch.ones_like, "zero": torch.zeros_like}
    if kind == "bfloat16":
        return {name: weight.mul(4).round().bfloat16() for name, weight in drawn.items()}
    return {name: ties.get(kind, lambda w: w)(weight) for name, weight in drawn.items()}


def sharded(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    return {name: distribute_tensor(weight, mesh, [Shard(0)]) for name, weight in weights.items()}


def requests() -> Iterator[dict[str, Any]]:
    """Every target, scope and score."""
    half = Pruned(Fraction(1, 2))
    targets = [Pruned(Fraction(share)) for share in ("0", "0.3", "0.99", "1")] + [Remaining(Fraction(1, 3))]
    for target in targets:
        for scope in ("layer", "global"):
            for by, arguments in (("magnitude", {}), ("magnitude", {"order": "largest"}), ("random", {})):
                yield {"target": target, "scope": scope, "by": by, "arguments": arguments, "key": 7}
    yield {"target": Held()}
    two = PerSelector((Pruned(Fraction(1, 4)), Remaining(Fraction(1, 2))))
    selectors = {name: number % 2 for number, name in enumerate(SHAPES)}
    yield {"target": two, "selectors": selectors, "scope": "global"}
    yield {"target": Pruned(Fraction(9, 10)), "scope": "global", "minimum": 3}
    yield {"target": half, "scope": "group", "groups": {name: name[0] for name in SHAPES}}
    for target in (half, Remaining(Fraction(1, 3))):
        yield {"target": target, "scope": "row", "input_axes": {"tall": InputAxis(0)}}
        for alloc in ("er", "erk"):
            yield {"target": target, "alloc": alloc}
        for unit in (Unit("row"), Unit("channel"), Unit("block", 2, 3)):
            for scope in ("layer", "global"):
                yield {
                    "target": target,
                    "scope": scope,
                    "unit": unit,
                    "by": "random" if scope == "layer" else "magnitude",
                }


def patterns() -> Iterator[tuple[tuple[int, ...], dict[str, Any]]]:
    """N:M along columns, and along the rows that are dealt out, also in blocks."""
    for n, m, shape, axis in (
        (2, 4, (5, 16), InputAxis()),
        (1, 4, (7, 8, 3, 3), InputAxis()),
        (2, 4, (1, 8), InputAxis()),
        (2, 4, (8, 5), InputAxis(0)),
        (3, 8, (16, 5, 2, 2), InputAxis(0, 2)),
        (2, 4, (4, 3), InputAxis(0)),
        (5, 10, (20, 2), InputAxis(0)),
        (1, 1, (4, 2), InputAxis(0)),
    ):
        yield shape, {"target": NofM(n, m), "input_axes": {"w": axis}}


def mismatches(weights: dict[str, Tensor], request: dict[str, Any]) -> list[str]:
    """What differs between the choice of all processes and that of one."""
    shards = sharded(weights)
    alive = {name: torch.rand(w.shape, generator=torch.Generator().manual_seed(3)) < 0.7 for name, w in weights.items()}
    alone = choose_masks(weights=weights, alive=alive, **request)
    own = {name: own_rows(mask, shards[name]) for name, mask in alive.items()}
    found = choose_masks(weights=shards, alive=own, **request)
    wrong = [name for name in weights if not torch.equal(found.masks[name], own_rows(alone.masks[name], shards[name]))]
    if found.alive_counts != alone.alive_counts or found.kept_by_minimum != alone.kept_by_minimum:
        wrong.append("counts")
    return [f"{name} of {request}" for name in wrong]


def errors(*, in_tensor: str, index: int, value: float, **request: Any) -> tuple[str, str]:
    """What is said about one broken weight, by one process and by all."""
    weights = some_weights(0, "")
    weights[in_tensor].view(-1)[index] = value
    texts = []
    for form in (weights, sharded(weights)):
        with pytest.raises(DsdError) as raised:
            choose_masks(weights=form, **request)
        texts.append(str(raised.value))
    return texts[0], texts[1]


KINDS = ("ties", "", "equal", "zero", "bfloat16")


def _every_choice(rank: int) -> list[str]:
    return [text for kind in KINDS for it in requests() for text in mismatches(some_weights(1, kind), it)]


def _choices(rank: int) -> dict[str, Any]:
    wrong = []
    for number, request in enumerate(requests()):
        wrong += mismatches(some_weights(1, KINDS[number % len(KINDS)]), request)
    for shape, request in patterns():
        for tied in (False, True):
            drawn = torch.randn(shape, generator=torch.Generator().manual_seed(5))
            wrong += mismatches({"w": drawn.round() if tied else drawn}, request)
    half, columns = Pruned(Fraction(1, 2)), {"input_axes": {}}
    told = [
        errors(in_tensor="tall", index=150, value=float("nan"), target=half, scope="global", update=3),
        errors(in_tensor="two", index=13, value=float("-inf"), target=half),
        errors(in_tensor="flat", index=0, value=float("inf"), target=half, by="magnitude"),
        errors(in_tensor="tall", index=150, value=float("nan"), target=half, scope="row"),
        errors(in_tensor="wide", index=300, value=float("nan"), target=half, unit=Unit("block", 2, 2), update=3),
    ]
    with pytest.raises(DsdError, match=r"`2:4` does not fit `w`: its shape \(8, 6\) has 6 inputs") as raised:
        choose_masks(weights=sharded({"w": torch.ones(8, 6)}), target=NofM(2, 4), **columns)
    return {"wrong": wrong, "told": told, "pattern": str(raised.value), "store": _store(), "parts": _parts(rank)}


def _store() -> dict[str, Any]:
    """Hash, bits and counts of a store over shards and of one over whole weights, and what was put back."""
    weights = {name: weight for name, weight in some_weights(2, "").items() if name != "flat"}
    masks = {name: weight > 0 for name, weight in weights.items()}
    shards = sharded(weights)
    alone = MaskStore((name, nn.Parameter(weight)) for name, weight in weights.items())
    parameters = {name: nn.Parameter(weight) for name, weight in shards.items()}
    store = MaskStore(parameters.items())
    for name, mask in masks.items():
        alone.set(name, mask)
        store.set(name, own_rows(mask, shards[name]))
    off = sum(store.off_mask_counts().values())
    store.apply_to_weights()
    again = MaskStore(parameters.items())
    again.unpack(alone.pack())
    zeroed = all(torch.equal(whole(p.detach()), weights[n] * masks[n]) for n, p in parameters.items())
    return {
        "hash": store.hash() == alone.hash() == again.hash(),
        "bits": all(torch.equal(bits, alone.pack()[name]) for name, bits in store.pack().items()),
        "alive": store.alive_counts() == alone.alive_counts() == again.alive_counts(),
        "off": (off, sum(int((~mask & (weights[name] != 0)).sum()) for name, mask in masks.items())),
        "zeroed": zeroed and store.off_mask_counts() == {},
    }


def _parts(rank: int) -> list[bool]:
    """A tensor taken apart and put together again."""
    values = torch.arange(15.0).view(5, 3)
    shard = sharded({"w": values})["w"]
    rows = rows_of(shard)
    return [
        rows == Rows((5, 3), (0, 2, 4)[rank], (2, 4, 5)[rank], 2),
        is_sharded(shard) and not is_sharded(values),
        torch.equal(local_of(shard), values[rows.start : rows.end]),
        torch.equal(whole(shard), values),
        torch.equal(whole(sharded_as(shard, values.double())), values.double()),
        torch.equal(gathered(local_of(shard) > 4, shard), values > 4),
    ]


def test_masks_of_three_processes_are_those_of_one(tmp_path: Path) -> None:
    """All targets, scopes, scores, with ties and empty shards; compared bit by bit."""
    for found in in_ranks(3, _choices, tmp_path):
        assert found["wrong"] == []
        assert all(alone == of_all for alone, of_all in found["told"]), found["told"]
        assert "`two` has the weight -inf at index 13" in found["told"][1][1]
        off, expected = found["store"].pop("off")
        assert off == expected > 0
        assert all(found["store"].values()), found["store"]
        assert found["parts"] == [True] * 6


@pytest.mark.slow
def test_masks_are_those_of_one_process_with_all_weights(tmp_path: Path) -> None:
    """The same, with every request on weights of every kind."""
    assert in_ranks(3, _every_choice, tmp_path, seconds=600) == [[], [], []]


def test_a_plain_tensor_is_all_rows() -> None:
    values = torch.ones(3, 2)
    assert rows_of(values) == Rows((3, 2), 0, 3, 3)
    assert own_rows(values, values) is values
    assert whole(values) is values
    assert sharded_as(values, values) is values
    assert not is_sharded(values)
