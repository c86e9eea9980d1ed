"""Compares two arms over their seeds: means, difference, 95% t interval, effect size, t test, seeds needed.

scipy does the tests. There is no bootstrap over seeds: with the 3 to 16 seeds of an experiment its intervals are too
narrow, and Student's are not.
"""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from dsd_runtime.results.parts import Interval, SeedTest, TestName

CONFIDENCE = 0.95
POWER = 0.8
MOST_SEEDS = 10_000
"""Where more seeds than this would be needed, the number is not given."""
_FAR = 6.0


def compare_seeds(
    left: Mapping[int, float], right: Mapping[int, float], *, test: TestName, higher_is_better: bool | None = None
) -> SeedTest:
    """The test of ``left`` against ``right``, values by seed index; paired seeds are those that both arms have.

    ``paired`` is the t test of the differences, ``welch`` and ``student`` that of two independent samples with unequal
    and equal variances. Values that are not finite belong to training runs that broke down: there is no test then, and
    `why_not` names the seeds.
    """
    if test == "paired":
        seeds = sorted(set(left) & set(right))
        left, right = {seed: left[seed] for seed in seeds}, {seed: right[seed] for seed in seeds}
    described = _described(left, right, test, higher_is_better)
    why_not = _why_not(left, right, test)
    if why_not is not None:
        return SeedTest(**described, why_not=why_not)
    return SeedTest(**described, **_tested(list(left.values()), list(right.values()), test))


def holm(values: Sequence[float | None]) -> list[float | None]:
    """The p values adjusted for being several (Holm 1979), in the order given; None stays None.

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    known = sorted((value, index) for index, value in enumerate(values) if value is not None)
    adjusted: list[float | None] = [None] * len(values)
    highest = 0.0
    for rank, (value, index) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * value))
        adjusted[index] = highest
    return adjusted


def seeds_needed(effect: float, *, is_paired: bool) -> int | None:
    """Seeds in each arm at which a two-sided t test at 5% finds a standardized difference with 80% power.

    ``effect`` is d_z for paired seeds, Cohen's d for independent ones. None above :data:`MOST_SEEDS`, or for no effect.
    """
    if not math.isfinite(effect) or effect == 0:
        return None
    high = 2
    while _power(effect, high, is_paired) < POWER:
        if high > MOST_SEEDS:
            return None
        high *= 2
    low = high // 2  # power grows with the seeds: find the first number that has enough
    while high - low > 1:
        middle = (low + high) // 2
        if _power(effect, middle, is_paired) >= POWER:
            high = middle
        else:
            low = middle
    return high if high <= MOST_SEEDS else None


def _power(effect: float, seeds: int, is_paired: bool) -> float:
    """The probability that the test rejects, from the noncentral t distribution; the far tail counts where it can."""
    from scipy import stats

    df = seeds - 1 if is_paired else 2 * seeds - 2
    shift = abs(effect) * math.sqrt(seeds if is_paired else seeds / 2)
    critical = float(stats.t.ppf((1 + CONFIDENCE) / 2, df))
    far = float(stats.nct.cdf(-critical, df, shift)) if shift < _FAR else 0.0
    return float(stats.nct.sf(critical, df, shift)) + far


def _described(
    left: Mapping[int, float], right: Mapping[int, float], test: TestName, higher_is_better: bool | None
) -> dict[str, Any]:
    """What can be said without a test."""
    means = [_mean(list(arm.values())) for arm in (left, right)]
    deviations = [_deviation(list(arm.values())) for arm in (left, right)]
    found: dict[str, Any] = {
        "test": test,
        "n_left": len(left),
        "n_right": len(right),
        "mean_left": means[0],
        "mean_right": means[1],
        "deviation_left": deviations[0],
        "deviation_right": deviations[1],
        "difference": None if means[0] is None or means[1] is None else means[0] - means[1],
    }
    if test == "paired":
        found["pairs"] = len(left)
        if higher_is_better is not None:
            sign = 1 if higher_is_better else -1
            found["wins"] = sum(sign * (left[seed] - right[seed]) > 0 for seed in left)
    return found


def _why_not(left: Mapping[int, float], right: Mapping[int, float], test: TestName) -> str | None:
    broken = sorted({seed for arm in (left, right) for seed, value in arm.items() if not math.isfinite(value)})
    if broken:
        return f"the metric of {_seeds(broken)} is not finite"
    smaller = min(len(left), len(right))
    if smaller < 2:
        pairs = "pairs of seeds" if test == "paired" else "seeds in each arm"
        return f"a test over seeds needs at least 2 {pairs}, there {'is' if smaller == 1 else 'are'} {smaller}"
    a, b = list(left.values()), list(right.values())
    rounding = 1e-12 * max(map(abs, (*a, *b)))
    if test == "paired" and statistics.stdev(x - y for x, y in zip(a, b, strict=True)) <= rounding:
        return "all seeds differ by the same amount: there is no variance to test against"
    if test != "paired" and max(statistics.stdev(a), statistics.stdev(b)) <= rounding:
        return "all seeds of an arm have the same value: there is no variance to test against"
    return None


def _tested(left: Sequence[float], right: Sequence[float], test: TestName) -> dict[str, Any]:
    from scipy import stats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # scipy's, where one arm has the same value for all seeds
        if test == "paired":
            found = stats.ttest_rel(left, right)
        else:
            found = stats.ttest_ind(left, right, equal_var=test == "student")
    interval = found.confidence_interval(CONFIDENCE)
    effect = _standardized(left, right, test)
    df = float(found.df)
    return {
        "interval": Interval(low=float(interval.low), high=float(interval.high)),
        "effect": effect if test == "paired" else effect * _hedges(len(left) + len(right) - 2),
        "effect_name": "d_z" if test == "paired" else "Hedges' g",
        "t": float(found.statistic),
        "df": df,
        "p": float(found.pvalue),
    }


def _standardized(left: Sequence[float], right: Sequence[float], test: TestName) -> float:
    """The difference over a deviation: of the differences for pairs, else pooled (Welch: the mean variance)."""
    if test == "paired":
        differences = [a - b for a, b in zip(left, right, strict=True)]
        return statistics.fmean(differences) / statistics.stdev(differences)
    variances, weights = [statistics.stdev(arm) ** 2 for arm in (left, right)], [len(left) - 1, len(right) - 1]
    if test == "welch":
        weights = [1, 1]
    pooled = sum(weight * variance for weight, variance in zip(weights, variances, strict=True)) / sum(weights)
    return (statistics.fmean(left) - statistics.fmean(right)) / math.sqrt(pooled)


def _hedges(df: int) -> float:
    """The correction of Cohen's d for small samples (Hedges 1981), exact."""
    return math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2)


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values and all(map(math.isfinite, values)) else None


def _deviation(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else None


def _seeds(indices: Sequence[int]) -> str:
    return f"seed{'s' if len(indices) > 1 else ''} {', '.join(map(str, indices))}"
