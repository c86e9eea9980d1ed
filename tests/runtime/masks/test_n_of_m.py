"""N of each M along the input dimension."""

from __future__ import annotations

import pytest
import torch

from dsd_lang.base.errors import DsdError
from dsd_runtime.masks.input_axes import InputAxis
from dsd_runtime.masks.n_of_m import select_n_of_m
from dsd_runtime.masks.selection import NonFiniteScore


@pytest.mark.parametrize(("n", "m"), [(1, 2), (2, 4), (4, 8), (1, 4), (3, 3), (5, 16)])
@pytest.mark.parametrize("ties", [True, False])
def test_each_group_keeps_its_largest_first_of_ties(n: int, m: int, ties: bool) -> None:
    scores = torch.randn(6, 3 * m, generator=torch.Generator().manual_seed(m))
    if ties:
        scores = scores.round()
    mask = select_n_of_m(scores, n, m, name="w")
    for row in range(6):
        for start in range(0, 3 * m, m):
            group = scores[row, start : start + m].tolist()
            kept = set(sorted(range(m), key=lambda i: (-group[i], i))[:n])
            assert mask[row, start : start + m].tolist() == [i in kept for i in range(m)]


def test_a_convolution_is_taken_along_its_input_channels() -> None:
    scores = torch.randn(5, 8, 3, 3)
    mask = select_n_of_m(scores, 2, 4, name="conv.weight")
    assert mask.shape == scores.shape
    assert mask.is_contiguous()
    permuted = select_n_of_m(scores.permute(0, 2, 3, 1).reshape(-1, 8), 2, 4, name="matrix")
    assert torch.equal(mask.permute(0, 2, 3, 1).reshape(-1, 8), permuted)
    assert (mask.view(5, 2, 4, 3, 3).sum(2) == 2).all()


@pytest.mark.parametrize("shape", [(8, 5), (8, 5, 3), (8, 5, 3, 2), (8, 5, 2, 2, 2)])
def test_inputs_along_dim_0_are_the_transpose(shape: tuple[int, ...]) -> None:
    scores = torch.randn(shape)
    mask = select_n_of_m(scores, 2, 4, name="up.weight", axis=InputAxis(dim=0))
    assert mask.is_contiguous()
    assert torch.equal(mask.transpose(0, 1), select_n_of_m(scores.transpose(0, 1), 2, 4, name="matrix"))


def test_each_block_of_inputs_must_fit_by_itself() -> None:
    scores = torch.randn(8, 3, 3, 3)
    mask = select_n_of_m(scores, 2, 4, name="up.weight", axis=InputAxis(dim=0, blocks=2))
    halves = [select_n_of_m(half, 2, 4, name="half", axis=InputAxis(dim=0)) for half in scores.chunk(2)]
    assert torch.equal(mask, torch.cat(halves))
    with pytest.raises(DsdError, match=r"`up.weight`.*2 inputs, not a multiple of 4"):
        select_n_of_m(scores, 2, 4, name="up.weight", axis=InputAxis(dim=0, blocks=4))


def test_a_dimension_that_does_not_divide_is_an_error_with_the_name() -> None:
    with pytest.raises(DsdError, match=r"`2:4` does not fit `conv1.weight`.*3 inputs, not a multiple of 4"):
        select_n_of_m(torch.randn(64, 3, 7, 7), 2, 4, name="conv1.weight")
    with pytest.raises(DsdError, match=r"`fc.bias`.*no input dimension"):
        select_n_of_m(torch.randn(64), 2, 4, name="fc.bias")


def test_bad_patterns_and_scores() -> None:
    with pytest.raises(ValueError, match="not a pattern"):
        select_n_of_m(torch.randn(4, 4), 5, 4, name="w")
    scores = torch.randn(4, 4)
    scores[1, 1] = float("nan")
    with pytest.raises(NonFiniteScore) as caught:
        select_n_of_m(scores, 2, 4, name="w")
    assert caught.value.index == 5
