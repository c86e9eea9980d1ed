"""Do the tests keep their word? Simulated experiments without a difference, and with a known one.

    python benchmarks/null_experiments.py [--count 20000]

For every test over seeds at n = 3, 5, 10, and for the test of word errors over speakers: how often p < 0.05 where both
arms are alike (it should be 5%), and how often the 95% interval has the true difference in it (it should be 95%).
Prints a markdown table, and fails where a test that is exact for normal values (paired, Student) rejects less than 4.5%
or more than 5.5%, or covers less than 94% or more than 96%.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from numpy.random import Generator

from dsd_runtime.results.item_tests import CountedErrors, error_rate_test
from dsd_runtime.results.parts import Interval, TestName
from dsd_runtime.results.seed_tests import compare_seeds

TESTS: tuple[TestName, ...] = ("paired", "welch", "student")
SEEDS = (3, 5, 10)
SPEAKERS, UTTERANCES, WORDS = 30, 13, 6
"""The shape of a small speech test set."""
_DIFFERENCE = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description="how often the tests of `compare` reject where there is nothing")
    parser.add_argument("--count", type=int, default=20_000, help="experiments a row (default 20000)")
    count = parser.parse_args().count
    print("| test | n | p < 0.05 without a difference | interval has the true difference |\n|---|--:|--:|--:|")
    is_wrong = False
    for test in TESTS:
        for n in SEEDS:
            rejected, covered = _over_seeds(test, n, count)
            print(f"| {test}, normal values | {n} | {rejected:.2%} | {covered:.2%} |", flush=True)
            is_wrong |= test != "welch" and not (0.045 <= rejected <= 0.055 and 0.94 <= covered <= 0.96)
    rejected, covered = _over_speakers(count)
    print(f"| word errors, {SPEAKERS} speakers of {UTTERANCES} utterances | | {rejected:.2%} | {covered:.2%} |")
    return int(is_wrong)


def _over_seeds(test: TestName, n: int, count: int) -> tuple[float, float]:
    """Arms of n normal values each; a pair of seeds shares part of its chance, as seeds of one baseline do."""
    chance = np.random.default_rng(n)
    rejected = covered = 0
    for _ in range(count):
        shared = chance.normal(0, 1, n) if test == "paired" else np.zeros(n)
        right = shared + chance.normal(0, 1, n)
        left = shared + chance.normal(0, 1, n)
        found = compare_seeds(dict(enumerate(left)), dict(enumerate(right)), test=test)
        shifted = compare_seeds(dict(enumerate(left + _DIFFERENCE)), dict(enumerate(right)), test=test)
        rejected += found.p is not None and found.p < 0.05
        covered += _has(shifted.interval, _DIFFERENCE)
    return rejected / count, covered / count


def _over_speakers(count: int) -> tuple[float, float]:
    """Two models alike: each speaker is harder or easier for each of them by chance, and so is each utterance."""
    chance = np.random.default_rng(0)
    rejected = covered = 0
    for _ in range(count):
        sizes = chance.integers(1, 2 * WORDS, (SPEAKERS, UTTERANCES))
        hard = chance.beta(2, 6, (SPEAKERS, 1))
        found = error_rate_test(_errors(chance, sizes, hard), _errors(chance, sizes, hard), seed=0)
        rejected += found.p is not None and found.p < 0.05
        covered += _has(found.interval, 0.0)
    return rejected / count, covered / count


def _errors(chance: Generator, sizes: np.ndarray, hard: np.ndarray) -> list[CountedErrors]:
    rates = np.clip(hard + chance.normal(0, 0.05, hard.shape), 0, 1)
    errors = chance.binomial(sizes, np.broadcast_to(rates, sizes.shape))
    return [
        CountedErrors(int(errors[speaker, index]), int(sizes[speaker, index]), str(speaker))
        for speaker in range(len(sizes))
        for index in range(sizes.shape[1])
    ]


def _has(interval: Interval | None, value: float) -> bool:
    return interval is not None and interval.low <= value <= interval.high


if __name__ == "__main__":
    sys.exit(main())
