"""The tests over seeds, against known answers: the paper's Table 10, scipy, statsmodels, and simulated nulls."""

from __future__ import annotations

import math
import random
import statistics
from typing import Any

import numpy as np
import pytest
from scipy import stats

from dsd_runtime.results.seed_tests import MOST_SEEDS, compare_seeds, holm, seeds_needed


def _sample(mean: float, deviation: float, n: int) -> dict[int, float]:
    """Values with exactly this mean and standard deviation."""
    raw = [float(value) for value in range(n)]
    center, spread = statistics.fmean(raw), statistics.stdev(raw)
    return {seed: mean + deviation * (value - center) / spread for seed, value in enumerate(raw)}


@pytest.mark.parametrize(
    ("finetune", "dsd", "t", "p_below"),
    [((8.16, 0.08), (8.12, 0.05), 1.70, 0.11), ((7.97, 0.04), (7.89, 0.03), 6.40, 0.001)],
)
def test_table_10_from_its_means_and_deviations(
    finetune: tuple[float, float], dsd: tuple[float, float], t: float, p_below: float
) -> None:
    found = compare_seeds(_sample(*finetune, 16), _sample(*dsd, 16), test="student")
    assert found.t == pytest.approx(t, abs=0.005)
    assert found.df == 30
    assert found.p is not None
    assert p_below / 100 < found.p < p_below or found.p < 1e-5


@pytest.mark.parametrize("seed", range(20))
def test_every_test_agrees_with_the_formulas(seed: int) -> None:
    """The t of the books, written out; the interval from the quantile; statsmodels for effect and power."""
    chance = random.Random(seed)
    n, m = chance.randint(2, 12), chance.randint(2, 12)
    a = {index: chance.gauss(10, 2) for index in range(n)}
    b = {index: chance.gauss(11, 1) for index in range(m)}
    _agrees_paired(a, b)
    x, y = np.array(list(a.values())), np.array(list(b.values()))
    for test in ("welch", "student"):
        found = compare_seeds(a, b, test=test)  # type: ignore[arg-type]
        pooled = ((n - 1) * x.var(ddof=1) + (m - 1) * y.var(ddof=1)) / (n + m - 2)
        error = (
            math.sqrt(x.var(ddof=1) / n + y.var(ddof=1) / m) if test == "welch" else math.sqrt(pooled * (1 / n + 1 / m))
        )
        assert found.t == pytest.approx((x.mean() - y.mean()) / error)
        assert found.df is not None
        half = stats.t.ppf(0.975, found.df) * error
        assert found.interval is not None
        assert (found.interval.low, found.interval.high) == pytest.approx(
            (x.mean() - y.mean() - half, x.mean() - y.mean() + half)
        )


def _agrees_paired(a: dict[int, float], b: dict[int, float]) -> None:
    found = compare_seeds(a, b, test="paired", higher_is_better=False)
    common = sorted(set(a) & set(b))
    differences = np.array([a[seed] - b[seed] for seed in common])
    assert found.pairs == len(common)
    assert found.wins == int((differences < 0).sum())
    assert found.t == pytest.approx(differences.mean() / (differences.std(ddof=1) / math.sqrt(len(common))))
    assert found.effect == pytest.approx(differences.mean() / differences.std(ddof=1))


def test_the_effect_and_the_seeds_needed_are_those_of_statsmodels() -> None:
    power = pytest.importorskip("statsmodels.stats.power", reason="statsmodels is a development tool")
    for effect in (0.3, 0.5, 0.9, 1.4):
        paired = power.TTestPower().solve_power(effect_size=effect, alpha=0.05, power=0.8)
        independent = power.TTestIndPower().solve_power(effect_size=effect, alpha=0.05, power=0.8)
        assert seeds_needed(effect, is_paired=True) == math.ceil(paired)
        assert seeds_needed(-effect, is_paired=False) == math.ceil(independent)


def test_hedges_g_is_cohens_d_corrected_for_small_samples() -> None:
    """J(df) of Hedges (1981): 0.9029 for 8 degrees of freedom."""
    found = compare_seeds(_sample(1, 1, 5), _sample(0, 1, 5), test="student")
    assert found.effect_name == "Hedges' g"
    assert found.effect == pytest.approx(0.9029, abs=2e-4)


def test_holm_agrees_with_statsmodels_and_keeps_the_order() -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is a development tool")
    chance = random.Random(0)
    for _ in range(50):
        values = [chance.random() ** 3 for _ in range(chance.randint(1, 8))]
        assert holm(values) == pytest.approx(list(multitest.multipletests(values, method="holm")[1]))
    assert holm([None, 0.02, None]) == [None, 0.02, None]


@pytest.mark.parametrize(
    ("left", "right", "test", "says"),
    [
        ({0: 1.0}, {0: 2.0}, "paired", "at least 2 pairs of seeds, there is 1"),
        ({}, {0: 2.0}, "welch", "at least 2 seeds in each arm, there are 0"),
        ({0: 1.0, 1: 2.0}, {2: 1.0, 3: 2.0}, "paired", "at least 2 pairs of seeds, there are 0"),
        ({0: 1.0, 1: math.nan}, {0: 2.0, 1: 3.0}, "welch", "the metric of seed 1 is not finite"),
        ({0: 1.0, 1: 2.0, 2: 4.1}, {0: 2.1, 1: 3.1, 2: 5.2}, "paired", "no variance"),
        ({0: 1.0, 1: 1.0}, {0: 2.0, 1: 2.0}, "student", "no variance"),
    ],
)
def test_where_no_test_is_possible_there_is_a_sentence_and_no_p(left: Any, right: Any, test: Any, says: str) -> None:
    if says == "no variance" and test == "paired":
        right = {seed: value + 1.1 for seed, value in left.items()}
    found = compare_seeds(left, right, test=test)
    assert found.p is None
    assert found.interval is None
    assert says in (found.why_not or "")


@pytest.mark.filterwarnings("error")
def test_one_arm_without_variance_is_tested_without_a_warning() -> None:
    found = compare_seeds({0: 3.9, 1: 3.6, 2: 3.9}, dict.fromkeys(range(3), 1.9498607242339834), test="student")
    assert found.p is not None
    assert found.p < 0.001


def test_no_number_of_seeds_is_told_where_none_would_do() -> None:
    assert seeds_needed(0.0, is_paired=True) is None
    assert seeds_needed(0.001, is_paired=False) is None
    assert 0 < (seeds_needed(0.05, is_paired=True) or 0) <= MOST_SEEDS


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("test", ["paired", "welch", "student"])
def test_intervals_cover_95_percent_and_nulls_are_rejected_in_5(n: int, test: Any) -> None:
    """A quick form; benchmarks/null_experiments.py has the 20,000 of the record."""
    chance = np.random.default_rng(n)
    rounds, rejected, covered = 600, 0, 0
    for _ in range(rounds):
        left, right = dict(enumerate(chance.normal(1, 1, n))), dict(enumerate(chance.normal(0, 1, n)))
        found = compare_seeds(left, right, test=test)
        assert found.interval is not None
        covered += found.interval.low <= 1 <= found.interval.high
        shifted = {seed: value - 1 for seed, value in left.items()}
        rejected += (compare_seeds(shifted, right, test=test).p or 0) < 0.05
    assert 0.92 < covered / rounds < 0.98
    assert 0.02 < rejected / rounds < 0.08
