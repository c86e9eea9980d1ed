"""Which weights go first."""

from __future__ import annotations

import pytest
import torch

from dsd_lang.base.arguments import BY_NAME
from dsd_lang.base.errors import DsdError
from dsd_runtime.masks.scores import SCORES, ScoreRequest, magnitude, random, score
from dsd_runtime.masks.selection import select_exactly


def test_magnitude_makes_no_copy() -> None:
    weights = torch.randn(10)
    assert magnitude(weights).values.data_ptr() == weights.data_ptr()


def test_order_says_which_end_is_pruned() -> None:
    weights = torch.tensor([0.1, -3.0, 2.0, -0.2])
    smallest = magnitude(weights, order="smallest")
    largest = magnitude(weights, order="largest")
    assert select_exactly(smallest.values, 2, ranking=smallest.ranking).tolist() == [False, True, True, False]
    assert select_exactly(largest.values, 2, ranking=largest.ranking).tolist() == [True, False, False, True]
    for scores in (smallest, largest, random(weights, name="fc.weight", key=7)):
        as_values = select_exactly(scores.as_values(), 2)
        assert torch.equal(as_values, select_exactly(scores.values, 2, ranking=scores.ranking))


def test_random_depends_on_key_name_and_size_alone() -> None:
    weights = torch.randn(20, 30)
    first = random(weights, name="fc.weight", key=7).values
    torch.manual_seed(123)
    torch.randn(99)
    assert torch.equal(random(weights * 2, name="fc.weight", key=7).values, first)
    assert not torch.equal(random(weights, name="fc2.weight", key=7).values, first)
    assert not torch.equal(random(weights, name="fc.weight", key=8).values, first)
    assert first.flatten()[:3].tolist() == random(torch.zeros(600), name="fc.weight", key=7).values[:3].tolist()


def test_random_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    score("random", ScoreRequest(torch.randn(0), "w", {}, 2**70))
    assert torch.equal(torch.rand(3), expected)


def test_what_the_language_calls_supported_has_a_method() -> None:
    assert {option.name for option in BY_NAME["by"].options if option.is_supported} == set(SCORES)


def test_an_unknown_order_raises() -> None:
    with pytest.raises(ValueError, match="`order=` takes smallest or largest, not 'middle'"):
        score("magnitude", ScoreRequest(torch.randn(3), "w", {"order": "middle"}, 0))


@pytest.mark.parametrize("name", ["height", "", "Magnitude"])
def test_an_unknown_score_raises(name: str) -> None:
    with pytest.raises(DsdError, match="unknown score"):
        score(name, ScoreRequest(torch.randn(3), "w", {}, 0))


def test_random_is_pinned() -> None:
    """The same weights are pruned by the same schedule in every version."""
    mask = select_exactly(random(torch.zeros(16), name="fc.weight", key=0).values, 8)
    assert mask.int().tolist() == PINNED


PINNED = [1, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 1, 0, 0, 1, 0]
