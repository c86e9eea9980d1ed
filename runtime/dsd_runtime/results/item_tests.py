"""Compares one pair of models over the same test items: McNemar for classes, errors by utterance or speaker, BLEU.

The question is this pair of models, not the recipe that trained them: the interval says nothing of another seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dsd_runtime.results.parts import Interval, ItemTest

RESAMPLES = 2000
_TAIL = 0.025
_MAX_ORDER = 4


@dataclass(frozen=True, slots=True)
class CountedErrors:
    """Errors of one test utterance out of so many words (or characters), and who spoke it."""

    errors: int
    size: int
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class CaptionCounts:
    """The n-gram matches of one caption, by order from 1, and how many n-grams it has of each."""

    matches: tuple[int, ...]
    totals: tuple[int, ...]


def mcnemar(left: Sequence[bool], right: Sequence[bool], *, seed: int, errors: bool = True) -> ItemTest:
    """The exact test of McNemar (1947) on which items each model answers rightly; points of error, or of accuracy.

    The interval is the exact one of the discordant items' share, given how many there are.
    """
    from scipy import stats

    n = len(left)
    left_only = sum(a and not b for a, b in zip(left, right, strict=True))
    right_only = sum(b and not a for a, b in zip(left, right, strict=True))
    sign = -1 if errors else 1
    shares = [100 * (n - sum(side) if errors else sum(side)) / n for side in (left, right)]
    discordant = left_only + right_only
    if discordant == 0:
        why = "both models are right on the same items"
        return _samples(n, seed, shares, left_only, right_only, why_not=why)
    found = stats.binomtest(left_only, discordant)
    share = found.proportion_ci(0.95)
    ends = sorted(sign * 100 * (2 * float(end) - 1) * discordant / n for end in (share.low, share.high))
    interval = Interval(low=ends[0], high=ends[1])
    return _samples(n, seed, shares, left_only, right_only, interval=interval, p=float(found.pvalue))


def _samples(
    n: int,
    seed: int,
    shares: Sequence[float],
    left_only: int,
    right_only: int,
    *,
    interval: Interval | None = None,
    p: float | None = None,
    why_not: str | None = None,
) -> ItemTest:
    return ItemTest(
        test="mcnemar",
        seed=seed,
        items=n,
        units=n,
        unit="samples",
        left=shares[0],
        right=shares[1],
        difference=shares[0] - shares[1],
        interval=interval,
        p=p,
        left_only=left_only,
        right_only=right_only,
        why_not=why_not,
    )


def error_rate_test(left: Sequence[CountedErrors], right: Sequence[CountedErrors], *, seed: int) -> ItemTest:
    """A t test of the difference of two error rates over clusters: speakers where all are known, else utterances.

    The rate is errors over words of the whole test set, a ratio; its variance is that of the clusters' residuals
    (Cochran 1977, 6.3 and 9.3), with one degree of freedom less than there are clusters.
    """
    by_speaker = all(item.speaker is not None for item in left)
    differences: dict[object, int] = {}
    sizes: dict[object, int] = {}
    for index, (a, b) in enumerate(zip(left, right, strict=True)):
        cluster = a.speaker if by_speaker else index
        differences[cluster] = differences.get(cluster, 0) + a.errors - b.errors
        sizes[cluster] = sizes.get(cluster, 0) + a.size
    words = sum(sizes.values())
    found = ItemTest(
        test="cluster",
        seed=seed,
        items=len(left),
        units=len(sizes),
        unit="speakers" if by_speaker else "utterances",
        left=100 * sum(item.errors for item in left) / words,
        right=100 * sum(item.errors for item in right) / words,
        difference=100 * sum(differences.values()) / words,
    )
    delta, weight = np.array(list(differences.values()), float), np.array(list(sizes.values()), float)
    return _with_t(found, delta, weight)


def _with_t(found: ItemTest, delta: NDArray[np.float64], weight: NDArray[np.float64]) -> ItemTest:
    from scipy import stats

    count = len(delta)
    if count < 2:
        return found.model_copy(update={"why_not": f"a test needs at least 2 {found.unit}, there is 1"})
    ratio = delta.sum() / weight.sum()
    variance = count / (count - 1) * float(((delta - ratio * weight) ** 2).sum()) / weight.sum() ** 2
    if variance <= 0:
        return found.model_copy(
            update={"why_not": f"the {found.unit} do not differ: there is no variance to test against"}
        )
    error = math.sqrt(variance)
    half = float(stats.t.ppf(1 - _TAIL, count - 1)) * error
    interval = Interval(low=100 * (ratio - half), high=100 * (ratio + half))
    p = float(2 * stats.t.sf(abs(ratio) / error, count - 1))
    return found.model_copy(update={"interval": interval, "p": p})


def bleu_test(left: Sequence[CaptionCounts], right: Sequence[CaptionCounts], *, order: int, seed: int) -> ItemTest:
    """The paired bootstrap (Koehn 2004) of corpus BLEU without brevity penalty; the same resamples for both models.

    The interval has the 2.5% and 97.5% quantiles of the difference; p is twice the smaller share of resamples on one
    side of 0 (at least one counted), always from the same random numbers.
    """
    sides = [(_table(side, "matches"), _table(side, "totals")) for side in (left, right)]
    scores = [_bleu(matches.sum(0)[None], totals.sum(0)[None], order)[0] for matches, totals in sides]
    found = ItemTest(
        test="bootstrap",
        seed=seed,
        items=len(left),
        units=len(left),
        unit="captions",
        left=float(scores[0]),
        right=float(scores[1]),
        difference=float(scores[0] - scores[1]),
    )
    if len(left) < 2:
        return found.model_copy(update={"why_not": "a test needs at least 2 captions, there is 1"})
    chance = np.random.default_rng(0)
    drawn = np.stack(
        [np.bincount(chance.integers(0, len(left), len(left)), minlength=len(left)) for _ in range(RESAMPLES)]
    )
    resampled = [_bleu(drawn @ matches, drawn @ totals, order) for matches, totals in sides]
    differences = resampled[0] - resampled[1]
    low, high = np.quantile(differences, (_TAIL, 1 - _TAIL))
    beyond = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    p = min(1.0, 2 * (beyond + 1) / (RESAMPLES + 1))
    return found.model_copy(update={"interval": Interval(low=float(low), high=float(high)), "p": p})


def _table(side: Sequence[CaptionCounts], name: str) -> NDArray[np.int64]:
    return np.array([getattr(item, name) for item in side], dtype=np.int64).reshape(len(side), _MAX_ORDER)


def _bleu(matches: NDArray[np.int64], totals: NDArray[np.int64], order: int) -> NDArray[np.float64]:
    """BLEU [R] in points of counts [R, 4]: the geometric mean of the first ``order`` precisions."""
    with np.errstate(divide="ignore", invalid="ignore"):
        precisions = np.where(totals[:, :order] > 0, matches[:, :order] / totals[:, :order], 0.0)
        return np.asarray(100 * np.exp(np.log(precisions).mean(axis=1)), dtype=np.float64)
