"""Selections over fake CUDA weights, up to a billion of them: masks are made where the weights are, with few reads."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import torch
from fake_cuda import devices_of, fake_cuda
from torch import Tensor

from dsd_lang.plan.weight_units import Unit
from dsd_runtime.masks import NofM, PerSelector, Pruned, Remaining, Target, choose_masks

HALF = Fraction(1, 2)
READS_OF_A_COMPETITION, READS_OF_A_TENSOR = 8, 8


def weights(*, elements: int = 1 << 16, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    rows = elements // 64
    return {name: torch.empty(rows, 64, device="cuda", dtype=dtype) for name in ("first", "second")}


@pytest.mark.parametrize("target", [Pruned(HALF), Remaining(HALF), NofM(2, 4), PerSelector((Pruned(HALF), NofM(1, 2)))])
@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("score", ["magnitude", "random"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_target(target: Target, scope: str, score: str, dtype: torch.dtype) -> None:
    with fake_cuda():
        ours = weights(dtype=dtype)
        alive = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in ours.items()}
        selectors = {"first": 0, "second": 1}
        chosen = choose_masks(weights=ours, target=target, scope=scope, by=score, alive=alive, selectors=selectors)
        assert devices_of(chosen.masks) == {"cuda"}
        assert [mask.shape for mask in chosen.masks.values()] == [weight.shape for weight in ours.values()]


@pytest.mark.parametrize("target", [Pruned(HALF), Remaining(HALF)])
@pytest.mark.parametrize(
    "how",
    [
        {"scope": "row"},
        {"scope": "row", "alloc": "erk"},
        {"unit": Unit("row")},
        {"unit": Unit("channel"), "scope": "global"},
        {"unit": Unit("block", 3, 5), "scope": "group"},
        {"unit": Unit("filter"), "by": "random"},
    ],
)
def test_rows_and_units(target: Target, how: dict[str, Any]) -> None:
    with fake_cuda():
        ours = weights()
        alive = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in ours.items()}
        chosen = choose_masks(weights=ours, target=target, alive=alive, **how)
        assert devices_of(chosen.masks) == {"cuda"}
        assert [mask.shape for mask in chosen.masks.values()] == [weight.shape for weight in ours.values()]


@pytest.mark.parametrize("elements", [25_000_000, 1_000_000_000])
def test_reads_grow_with_the_pieces_and_not_with_the_weights(elements: int) -> None:
    with fake_cuda() as reads:
        choose_masks(weights=weights(elements=elements // 2), target=Pruned(HALF), scope="global")
        pieces = 2 * (elements // 2 // (1 << 25) + 1)
        assert len(reads.taken()) <= READS_OF_A_COMPETITION + READS_OF_A_TENSOR * pieces
