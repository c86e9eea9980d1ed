"""Both ways to clear, by bytes and by a mask of the elements' width, give the same bits."""

from __future__ import annotations

import math

import pytest
import torch

from dsd_runtime.masks import clearing
from dsd_runtime.masks.clearing import ClearingMask

DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64, torch.float8_e5m2)


@pytest.fixture(params=[0, 1 << 20], ids=["bytes", "wide"])
def widest(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(clearing, "WIDE_ELEMENTS", request.param)
    return int(request.param)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1,), (7, 5), (3, 4, 2, 2)])
def test_clears_to_plus_zero_and_keeps_every_other_bit(widest: int, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(shape, generator=generator, dtype=torch.float32).to(dtype)
    mask = torch.rand(shape, generator=generator) < 0.5
    before, address = values.clone(), values.data_ptr()
    ClearingMask(mask).clear(values)
    assert values.data_ptr() == address
    assert torch.equal(values[mask], before[mask])
    assert not clearing.bits_of(values)[~mask].any()


def test_nan_infinity_and_minus_zero_are_cleared(widest: int) -> None:
    values = torch.tensor([math.nan, math.inf, -math.inf, -0.0, -1.0, 2.0])
    ClearingMask(torch.tensor([False, False, False, False, False, True])).clear(values)
    assert clearing.bits_of(values)[:5].tolist() == [0] * 5
    assert values[5] == 2.0


def test_pieces_and_transposed_memory(widest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "PIECE_ELEMENTS", 16)
    values = torch.randn(8, 12).t()
    mask = torch.rand(12, 8) < 0.5
    expected = torch.where(mask, values, torch.zeros(()))
    ClearingMask(mask).clear(values)
    assert torch.equal(values, expected)


def test_only_small_masks_on_a_cpu_are_wide() -> None:
    assert ClearingMask(torch.ones(4, 4, dtype=torch.bool))._wide is not None
    assert ClearingMask(torch.ones((1 << 20) + 1, dtype=torch.bool))._wide is None
