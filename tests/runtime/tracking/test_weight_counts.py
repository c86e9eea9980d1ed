"""Weights counted by value: nothing is lost, and the axis shows where the weights are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dsd_runtime.tracking.weight_counts import NUM_BINS, WHOLE, distribution, limits


def drawn(*sizes: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {f"w{index}": torch.randn(size, generator=generator) for index, size in enumerate(sizes)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_every_weight_is_in_a_bin_or_is_zero(dtype: torch.dtype) -> None:
    weights = {name: values.to(dtype) for name, values in drawn(1000, 300).items()}
    weights["w0"][:100] = 0
    masks = {name: values.abs() > 0.5 for name, values in weights.items()}
    found = distribution(weights, masks, limits([weights]) or {})
    assert set(found) == {WHOLE, "w0", "w1"}
    for name, sides in found.items():
        sizes = [len(values) for key, values in weights.items() if name in (WHOLE, key)]
        groups = (sides["pruned"], sides["surviving"])
        assert sum(group["weights"] for group in groups) == sum(sizes)
        assert all(sum(group["counts"]) + group["zeros"] == group["weights"] for group in groups)
    assert found["w0"]["pruned"]["zeros"] == found[WHOLE]["pruned"]["zeros"] == 100


def test_an_outlier_does_not_flatten_the_rest() -> None:
    [weights] = [drawn(10_000)]
    weights["w0"][0] = 1000.0
    axis = limits([weights]) or {}
    assert axis["w0"] < 10
    sides = distribution(weights, {"w0": torch.ones(10_000, dtype=torch.bool)}, axis)["w0"]
    assert sides["surviving"]["counts"][-1] >= 1, "it is in the last bin"
    assert sum(count > 50 for count in sides["surviving"]["counts"]) > NUM_BINS / 4


def test_the_axis_holds_both_sides() -> None:
    assert limits([{"w": torch.tensor([0.1])}, {"w": torch.tensor([3.0])}]) == {"w": 3.0, WHOLE: 3.0}


@pytest.mark.parametrize("values", [[0.0, 0.0], []])
def test_weights_that_are_all_zero_or_none_have_an_axis(values: list[float]) -> None:
    weights = {"w": torch.tensor(values)}
    sides = distribution(weights, {"w": torch.zeros(len(values), dtype=torch.bool)}, limits([weights]) or {})
    assert sides[WHOLE]["pruned"]["zeros"] == len(values)
    assert sides[WHOLE]["surviving"] == {"weights": 0, "zeros": 0, "mean_abs": 0.0, "counts": [0] * NUM_BINS}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_has_no_axis(value: float) -> None:
    assert limits([{"w": torch.tensor([1.0, value])}]) is None
