"""Mask updates of one parameter: computed by hand, exact in number, the ties to the lowest index."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_lang.base.options import UPDATES
from dsd_runtime.masks import NofM
from dsd_runtime.masks.moving import MOVES, Move, magnitude, num_dropped, rigl, set_

WEIGHTS = torch.tensor([[5.0, 0.0, -1.0, 0.0], [2.0, 0.0, 0.5, -4.0]])
ALIVE = WEIGHTS != 0
GRADIENT = torch.tensor([[0.1, -9.0, 0.3, 4.0], [0.0, 4.0, -6.0, 8.0]])


def move(share: str = "2/5", **changes: object) -> Move:
    given = {"name": "w", "weight": WEIGHTS, "mask": ALIVE, "gradient": GRADIENT, "key": 1, "update": 7}
    fields = {**given, "share": Fraction(share), **changes}
    mask = fields["mask"]
    assert isinstance(mask, Tensor)
    return Move(alive=int(mask.sum()), **fields)  # type: ignore[arg-type]


def test_every_method_of_the_language_is_here() -> None:
    assert {"none", *MOVES} == {option.name for option in UPDATES}


def test_rigl_by_hand() -> None:
    """Drops 0.5 and -1; of 0.3, 4, -9, 4, -6 grows -9 and the just dropped -6."""
    assert rigl(move()).tolist() == [[True, True, False, False], [True, False, True, True]]


def test_of_equal_gradients_the_lowest_index_is_grown() -> None:
    grown = rigl(move(gradient=torch.ones(2, 4)))
    assert grown.tolist() == [[True, True, True, False], [True, False, False, True]]


def test_of_equal_weights_the_lowest_index_is_kept() -> None:
    mask = torch.tensor([[True, True, True, True], [False] * 4])
    grown = rigl(move("1/4", weight=mask.float(), mask=mask, gradient=torch.arange(8.0).reshape(2, 4)))
    assert grown.tolist() == [[True, True, True, False], [False, False, False, True]]


def test_an_unpruned_weight_that_is_0_is_dropped_first_but_counts() -> None:
    mask = torch.tensor([[True, True, True, True], [False] * 4])
    weight = torch.tensor([[3.0, 0.0, 2.0, 1.0], [0.0] * 4])
    grown = rigl(move("1/4", weight=weight, mask=mask, gradient=torch.arange(8.0).reshape(2, 4)))
    assert grown.tolist() == [[True, False, True, True], [False, False, False, True]]


@pytest.mark.parametrize("method", [rigl, set_], ids=["rigl", "set"])
@pytest.mark.parametrize("share", ["0", "1/100", "1/3", "1/2", "99/100", "1"])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_number_of_weights_never_changes(method: object, share: str, size: int) -> None:
    drawn = torch.randn(3, size, generator=torch.Generator().manual_seed(size))
    mask = drawn[0] > 0.5
    found = method(move(share, weight=drawn[0] * mask, mask=mask, gradient=drawn[1]))  # type: ignore[operator]
    assert found.dtype == torch.bool
    assert found.sum() == mask.sum()
    assert int((mask & ~found).sum()) <= num_dropped(int(mask.sum()), Fraction(share))


def test_a_full_mask_only_exchanges_with_itself() -> None:
    assert set_(move("1/2", mask=torch.ones(2, 4, dtype=torch.bool))).all()


def test_set_depends_on_the_key_and_the_name_alone() -> None:
    size = 1000
    weight = torch.randn(size, generator=torch.Generator().manual_seed(0))
    mask = torch.arange(size) % 2 == 0
    first = set_(move(weight=weight * mask, mask=mask, gradient=torch.zeros(size)))
    torch.rand(5)
    assert torch.equal(first, set_(move(weight=weight * mask, mask=mask, gradient=torch.ones(size), update=9)))
    assert not torch.equal(first, set_(move(weight=weight * mask, mask=mask, gradient=weight, key=2)))
    assert not torch.equal(first, set_(move(weight=weight * mask, mask=mask, gradient=weight, name="v")))


def test_set_grows_evenly_among_all_that_are_not_kept() -> None:
    """Each of the 8 - 3 candidates is grown in 2 of 5 cases, the just dropped ones too."""
    times = torch.stack([set_(move(key=key)) for key in range(2000)]).float().mean(0)
    kept = torch.tensor([[True, False, False, False], [True, False, False, True]])
    assert torch.equal(times[kept], torch.ones(3))
    assert (times[~kept] - 0.4).abs().max() < 0.05


def test_magnitude_chooses_the_largest_again() -> None:
    stepped = torch.tensor([[5.0, -3.0, 0.1, 0.2], [2.0, 0.0, 0.5, -4.0]])
    assert magnitude(move(weight=stepped)).tolist() == [[True, True, False, False], [True, False, True, True]]


def test_magnitude_keeps_a_pattern() -> None:
    stepped = torch.tensor([[1.0, 2.0, 3.0, 4.0], [4.0, -3.0, 2.0, 1.0]])
    mask = torch.tensor([[True, True, False, False], [False, False, True, True]])
    found = magnitude(move(weight=stepped, mask=mask, pattern=NofM(2, 4)))
    assert found.tolist() == [[False, False, True, True], [True, True, False, False]]


def test_what_cannot_be_ranked_is_named() -> None:
    for value, count in ((float("nan"), 1), (float("inf"), 1)):
        gradient = GRADIENT.clone()
        gradient[0, 0] = value  # an unpruned weight's, which does not compete, is as wrong
        with pytest.raises(DsdError, match=f"{count} gradients of `w` are not finite at update 7"):
            rigl(move(gradient=gradient))
    with pytest.raises(DsdError, match=r"`w` has the weight nan at index 0 at update 7"):
        set_(move(weight=torch.full((2, 4), float("nan"))))
