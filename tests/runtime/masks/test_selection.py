"""Exactly k, ties to the lowest index, against the sentence of the language read literally."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from dsd_lang.base.units import keep_count
from dsd_runtime.masks import radix_cpu, radix_device, selection
from dsd_runtime.masks.radix import Ranking
from dsd_runtime.masks.radix_device import DeviceKeys
from dsd_runtime.masks.selection import NonFiniteScore, select_exactly, select_exactly_global

RANKINGS: tuple[Ranking, ...] = ("value", "magnitude", "smallest_magnitude")


@pytest.fixture(autouse=True, params=["cpu", "device"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs on the CPU's own path and on the accelerator's, forced here."""
    if request.param == "device":
        monkeypatch.setattr(selection, "CpuKeys", DeviceKeys)


@contextmanager
def pieces_of(elements: int) -> Iterator[None]:
    """Within the block tensors are worked on in pieces of so many elements."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (radix_cpu, radix_device):
            patch.setattr(module, "PIECE_ELEMENTS", elements)
        yield


def reference(scores: Tensor, keep: int, among: Tensor | None = None, ranking: Ranking = "value") -> list[bool]:
    values = scores.float().reshape(-1).tolist()
    order = {"value": lambda v: -v, "magnitude": lambda v: -abs(v), "smallest_magnitude": abs}[ranking]
    competing = range(len(values)) if among is None else among.reshape(-1).nonzero().view(-1).tolist()
    kept = set(sorted(competing, key=lambda i: (order(values[i]), i))[:keep])
    return [i in kept for i in range(len(values))]


@pytest.mark.parametrize("ranking", RANKINGS)
@pytest.mark.parametrize("levels", [1, 2, 3, 1000])
def test_every_k_of_small_tensors_with_heavy_ties(levels: int, ranking: Ranking) -> None:
    generator = torch.Generator().manual_seed(levels)
    for size in (1, 2, 3, 7, 33, 64):
        scores = torch.randint(-levels, levels + 1, (size,), generator=generator).float() / 7
        for keep in range(size + 1):
            assert select_exactly(scores, keep, ranking=ranking).tolist() == reference(scores, keep, None, ranking)


@pytest.mark.parametrize("ranking", RANKINGS)
def test_competition_among_the_alive_only(ranking: Ranking) -> None:
    generator = torch.Generator().manual_seed(0)
    for size in (1, 5, 40):
        scores = torch.randint(-3, 4, (size,), generator=generator).float()
        among = torch.rand(size, generator=generator) < 0.6
        for keep in range(int(among.sum()) + 1):
            with pieces_of(7):
                mask = select_exactly(scores, keep, among=among, ranking=ranking)
            assert mask.tolist() == reference(scores, keep, among, ranking)


def test_excluded_weights_may_be_anything() -> None:
    scores = torch.tensor([float("nan"), 1.0, -1e-45, float("inf"), -0.0])
    among = torch.tensor([False, True, True, False, True])
    for keep in range(4):
        assert select_exactly(scores, keep, among=among).tolist() == reference(scores, keep, among)
    assert select_exactly(scores, 2, among=among, ranking="magnitude").tolist() == [False, True, True, False, False]


@given(
    scores=st.lists(
        st.lists(st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, 3.4e38, -3.4e38, 0.1, -0.1]), max_size=12)
        | st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), max_size=12),
        max_size=5,
    ),
    data=st.data(),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_global_competition_equals_one_over_the_concatenation(scores: list[list[float]], data: st.DataObject) -> None:
    tensors = [torch.tensor(values, dtype=torch.float32) for values in scores]
    whole = torch.cat(tensors) if tensors else torch.empty(0)
    among = torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(whole), max_size=len(whole))), dtype=torch.bool)
    candidates = data.draw(st.sampled_from([None, among]))
    num_competing = len(whole) if candidates is None else int(among.sum())
    keep = data.draw(st.integers(0, num_competing))
    ranking = data.draw(st.sampled_from(RANKINGS))
    split = None if candidates is None else list(among.split([len(tensor) for tensor in tensors]))
    with pieces_of(data.draw(st.integers(1, 13))):
        masks = select_exactly_global(tensors, keep, among=split, ranking=ranking)
    assert [len(mask) for mask in masks] == [len(tensor) for tensor in tensors]
    assert [kept for mask in masks for kept in mask.tolist()] == reference(whole, keep, candidates, ranking)


def test_an_all_zero_tensor_keeps_the_first() -> None:
    mask = select_exactly(torch.zeros(500), 250, ranking="magnitude")
    assert mask[:250].all()
    assert not mask[250:].any()


def test_zeros_of_both_signs_are_one_score() -> None:
    assert select_exactly(torch.tensor([-0.0, 0.0, -0.0, 0.0]), 2).tolist() == [True, True, False, False]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.float8_e5m2])
def test_other_dtypes_are_compared_in_float32(dtype: torch.dtype) -> None:
    weights = torch.randn(40_000, generator=torch.Generator().manual_seed(1)).to(dtype)
    keep = 20_000
    mask = select_exactly(weights, keep, ranking="magnitude")
    assert mask.tolist() == reference(weights, keep, None, "magnitude")
    assert int(mask.sum()) == keep


def test_bfloat16_with_thousands_of_ties_at_the_threshold() -> None:
    weights = torch.full((10_000,), 0.5, dtype=torch.bfloat16)
    weights[:3000] = 0.25
    weights[7000:] = 1.0
    mask = select_exactly(weights, 4900, ranking="magnitude")
    assert mask[3000:4900].all()
    assert mask[7000:].all()
    assert int(mask.sum()) == 4900


def test_shape_layout_and_chunks_do_not_matter() -> None:
    weights = torch.randn(8, 6, 3, 3, generator=torch.Generator().manual_seed(2))
    weights.view(-1)[::3] = 0.125
    channels_last = weights.to(memory_format=torch.channels_last)
    expected = select_exactly(weights, 200)
    assert expected.shape == weights.shape
    for elements in (1, 17, 432, 1000):
        with pieces_of(elements):
            assert torch.equal(select_exactly(channels_last, 200), expected)
            assert torch.equal(select_exactly(weights.requires_grad_(), 200), expected)


def test_a_large_tensor_agrees_with_a_stable_sort() -> None:
    weights = torch.randn(3_000_000, generator=torch.Generator().manual_seed(3))
    weights = (weights * 500).round() / 500
    for pruned in (Fraction(1, 4), Fraction(9, 10)):
        keep = keep_count(weights.numel(), pruned)
        order = torch.sort(weights.abs(), descending=True, stable=True).indices
        expected = torch.zeros_like(weights, dtype=torch.bool)
        expected[order[:keep]] = True
        assert torch.equal(select_exactly(weights, keep, ranking="magnitude"), expected)


@pytest.mark.parametrize("bad", [float("nan"), -float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("ranking", RANKINGS)
def test_a_score_that_is_not_finite_is_located(bad: float, ranking: Ranking) -> None:
    scores = [torch.randn(5), torch.empty(0), torch.randn(4, 5)]
    scores[2][1, 2] = bad
    for keep in (0, 10, 25):
        with pytest.raises(NonFiniteScore) as caught:
            select_exactly_global(scores, keep, ranking=ranking)
        assert (caught.value.tensor, caught.value.index) == (2, 7)


def test_every_bit_pattern_of_nan_is_found() -> None:
    for pattern in (0x7F800001, 0x7FFFFFFF, -1, -0x007FFFFF):
        scores = torch.tensor([0, pattern, 0], dtype=torch.int32).view(torch.float32)
        for ranking in RANKINGS:
            with pytest.raises(NonFiniteScore):
                select_exactly(scores, 1, ranking=ranking)


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot keep 4 of 3"):
        select_exactly(torch.randn(3), 4)
    with pytest.raises(ValueError, match="cannot keep -1"):
        select_exactly(torch.randn(3), -1)
    with pytest.raises(ValueError, match="one bool mask"):
        select_exactly(torch.randn(3), 1, among=torch.ones(4, dtype=torch.bool))
    with pytest.raises(ValueError, match="must be bool"):
        select_exactly(torch.randn(3), 1, among=torch.ones(3))


def test_nothing_to_choose_from() -> None:
    assert select_exactly(torch.empty(0, 3), 0).shape == (0, 3)
    assert select_exactly_global([], 0) == []
    assert select_exactly(torch.tensor(2.0), 1).item() is True


@pytest.mark.parametrize(
    ("size", "pruned", "kept"),
    [
        (1000, Fraction(3, 10), 700),
        (5, Fraction(1, 2), 3),  # 2.5 rounds to the even 2
        (7, Fraction(1, 2), 3),  # 3.5 rounds to the even 4
        (3, Fraction(1), 1),
        (0, Fraction(1, 2), 0),
        (10**12, Fraction(1, 3), 666666666667),
    ],
)
def test_keep_count(size: int, pruned: Fraction, kept: int) -> None:
    assert keep_count(size, pruned) == kept


def test_keep_count_without_a_minimum() -> None:
    assert keep_count(3, Fraction(1), minimum=0) == 0
    with pytest.raises(ValueError, match=r"0\.\.1"):
        keep_count(3, Fraction(3, 2))
