"""The mean share alive over a ramp is what adding up its course gives."""

from __future__ import annotations

from fractions import Fraction

import pytest

from dsd_lang.plan import ramps


@pytest.mark.parametrize("shape", ["cubic", "linear", "cosine", "exp"])
@pytest.mark.parametrize(("first", "last"), [("1", "0.1"), ("0.8", "0.2"), ("0.5", "0.5")])
def test_the_mean_is_that_of_the_course(shape: str, first: str, last: str) -> None:
    start, end = Fraction(first), Fraction(last)
    steps = 400
    pruned = [ramps.ramp_value(1 - start, 1 - end, shape, Fraction(2 * i + 1, 2 * steps)) for i in range(steps)]
    alive = [float(1 - value) for value in pruned]
    assert float(ramps.ramp_mean(start, end, shape)) == pytest.approx(sum(alive) / steps, abs=1e-4)


def test_an_exponential_ramp_to_nothing_has_nothing() -> None:
    assert ramps.ramp_mean(Fraction(1), Fraction(0), "exp") == 0
