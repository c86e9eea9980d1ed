"""How many: ramps as closed forms, and the published lottery-ticket table."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from dsd_runtime.masks.targets import (
    Held,
    PerSelector,
    Pruned,
    Ramp,
    RampShape,
    is_selection_due,
    ramp_sparsity,
    remaining_keep_count,
    resolve_ramps,
)

SHAPES: tuple[RampShape, ...] = ("cubic", "linear", "cosine", "exp")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("length", "every"), [(1000, 100), (1001, 100), (999, 7), (11, 10), (2, 1)])
def test_a_ramp_starts_left_and_ends_right_exactly(shape: RampShape, length: int, every: int) -> None:
    ramp = Ramp(Fraction(1, 10), Fraction(9, 10), shape, every)
    selections = [u for u in range(length) if is_selection_due(ramp, u, length)]
    values = [ramp_sparsity(ramp, u, length) for u in range(length)]
    assert values[0] == ramp.start
    assert values[selections[-2]] != ramp.end
    assert set(values[selections[-1] :]) == {ramp.end}
    assert values == sorted(values)
    for update in range(length):
        assert values[update] == values[update // every * every]


def test_cubic_is_zhu_and_guptas_formula_in_rationals() -> None:
    ramp = Ramp(Fraction(0), Fraction(9, 10), "cubic", 100)
    for i in range(10):
        expected = Fraction(9, 10) - Fraction(9, 10) * (1 - Fraction(i, 9)) ** 3
        assert ramp_sparsity(ramp, 100 * i, 1000) == expected
    assert ramp_sparsity(ramp, 5000, 1000) == Fraction(9, 10)


def test_linear_is_exact() -> None:
    ramp = Ramp(Fraction(1, 3), Fraction(2, 3), "linear", 1)
    assert [ramp_sparsity(ramp, u, 4) for u in range(4)] == [Fraction(n, 9) for n in (3, 4, 5, 6)]


def test_cosine_and_exp_follow_their_closed_forms() -> None:
    left, right, last = 0.05, 0.95, 40
    for i in range(1, last):
        x = i / last
        cosine = ramp_sparsity(Ramp(Fraction("0.05"), Fraction("0.95"), "cosine", 1), i, last + 1)
        assert float(cosine) == pytest.approx(right + (left - right) * (1 + math.cos(math.pi * x)) / 2, abs=1e-12)
        survivors = ramp_sparsity(Ramp(Fraction("0.05"), Fraction("0.95"), "exp", 1), i, last + 1)
        assert float(survivors) == pytest.approx(1 - (1 - left) ** (1 - x) * (1 - right) ** x, abs=1e-12)
        assert 10**12 % cosine.denominator == 0
        assert 10**12 % survivors.denominator == 0
    assert ramp_sparsity(Ramp(Fraction(0), Fraction(1), "cosine", 1), 1, 3) == Fraction(1, 2)
    assert ramp_sparsity(Ramp(Fraction(0), Fraction(3, 4), "exp", 1), 1, 3) == Fraction(1, 2)
    assert ramp_sparsity(Ramp(Fraction(0), Fraction(3, 4), "cosine", 1), 1, 4) == Fraction("0.1875")


def test_a_phase_too_short_for_a_second_selection_has_the_right_value() -> None:
    assert ramp_sparsity(Ramp(Fraction(0), Fraction(9, 10)), 0, 50) == Fraction(9, 10)


def test_clocks_count_from_zero() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        ramp_sparsity(Ramp(Fraction(0), Fraction(1)), -1, 10)


def test_ramps_are_resolved_inside_a_list_too() -> None:
    ramp = Ramp(Fraction(0), Fraction(8, 10), "linear", 10)
    assert resolve_ramps(ramp, 10, 21) == Pruned(Fraction(4, 10))
    both = PerSelector((ramp, Held()))
    assert resolve_ramps(both, 10, 21) == PerSelector((Pruned(Fraction(4, 10)), Held()))
    assert resolve_ramps(Held(), 10, 21) == Held()


def survivors(layers: list[tuple[int, Fraction]], rounds: int) -> list[int]:
    alive = [size for size, _ in layers]
    for _ in range(rounds):
        alive = [remaining_keep_count(count, rate) for count, (_, rate) in zip(alive, layers, strict=True)]
    return alive


FIFTH, TENTH = Fraction(1, 5), Fraction(1, 10)
LENET = [(784 * 300, FIFTH), (300 * 100, FIFTH), (100 * 10, TENTH)]
CONV_2 = [(3 * 64 * 9, TENTH), (64 * 64 * 9, TENTH), (16 * 16 * 64 * 256, FIFTH), (256 * 256, FIFTH), (2560, TENTH)]
CONV_4 = [
    *[(size * 9, TENTH) for size in (3 * 64, 64 * 64, 64 * 128, 128 * 128)],
    *[(8 * 8 * 128 * 256, FIFTH), (256 * 256, FIFTH), (2560, TENTH)],
]


@pytest.mark.parametrize(
    ("layers", "rounds", "percent"),
    [
        *[(LENET, n, p) for n, p in ((3, 51.3), (7, 21.1), (9, 13.5), (12, 7.0), (15, 3.6), (16, 2.9), (18, 1.9))],
        *[(CONV_2, n, p) for n, p in ((11, 8.8), (14, 4.6))],
        *[(CONV_4, n, p) for n, p in ((11, 11.1), (12, 9.2))],
    ],
)
def test_the_lottery_tickets_published_table(layers: list[tuple[int, Fraction]], rounds: int, percent: float) -> None:
    """Frankle & Carbin 2019: the share of weights remaining after n rounds at 20% (output and convolutions 10%)."""
    alive = survivors(layers, rounds)
    assert round(100 * sum(alive) / sum(size for size, _ in layers), 1) == percent


def test_whole_weights_stay_within_one_of_the_exact_recurrence() -> None:
    for size, rate in LENET:
        for rounds in range(1, 19):
            (alive,) = survivors([(size, rate)], rounds)
            (before,) = survivors([(size, rate)], rounds - 1)
            assert abs(alive - before * (1 - rate)) <= Fraction(1, 2)
            assert abs(alive - size * (1 - rate) ** rounds) <= Fraction(1, 2) / rate
