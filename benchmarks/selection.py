"""Exact selection against torch's own ways: seconds to the mask of the k largest magnitudes, rounds interleaved.

    python benchmarks/selection.py [--size 25000000] [--rounds 5] [--threads 2]

Prints a markdown table of medians and ratios, and fails when the selection is slower than half of `torch.kthvalue` or
a tenth of `torch.sort`.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor

from dsd_runtime.masks import keep_count, select_exactly, select_exactly_global


def by_kthvalue(weights: Tensor, keep: int) -> Tensor:
    """The mask by `torch.kthvalue` (ties keep too many)."""
    magnitude = weights.abs()
    return magnitude >= torch.kthvalue(magnitude, weights.numel() - keep + 1).values


def by_topk(weights: Tensor, keep: int) -> Tensor:
    """The mask by `torch.topk` and a scatter (ties in any order)."""
    mask = torch.zeros_like(weights, dtype=torch.bool)
    mask[torch.topk(weights.abs(), keep, sorted=False).indices] = True
    return mask


def by_sort(weights: Tensor, keep: int) -> Tensor:
    """The mask by `torch.sort` and a threshold (ties keep too many)."""
    magnitude = weights.abs()
    return magnitude >= torch.sort(magnitude, descending=True).values[keep - 1]


def measure(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Medians in seconds; one round runs every method once."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if number:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def main() -> int:
    """Runs the comparison; exit code 1 if a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=25_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    weights = torch.randn(arguments.size, generator=torch.Generator().manual_seed(0))
    half_precision = weights.bfloat16()
    layers = list(torch.split(weights, arguments.size // 20 + 1))
    ties = (weights * 8).round()
    scores = torch.rand(arguments.size, generator=torch.Generator().manual_seed(1))
    alive = scores > 0.5
    keep = keep_count(arguments.size, Fraction(1, 2))
    few = keep_count(arguments.size, Fraction(9, 10))
    medians = measure(
        {
            "select_exactly, magnitude, 50%": lambda: select_exactly(weights, keep, ranking="magnitude"),
            "select_exactly, magnitude, 90%": lambda: select_exactly(weights, few, ranking="magnitude"),
            "select_exactly, plain scores, 50%": lambda: select_exactly(scores, keep),
            "select_exactly, bfloat16": lambda: select_exactly(half_precision, keep, ranking="magnitude"),
            "select_exactly, heavy ties": lambda: select_exactly(ties, keep, ranking="magnitude"),
            "select_exactly, of=remaining": lambda: select_exactly(weights, few, among=alive, ranking="magnitude"),
            "select_exactly_global, 20 layers": lambda: select_exactly_global(layers, keep, ranking="magnitude"),
            "torch.kthvalue": lambda: by_kthvalue(weights, keep),
            "torch.topk": lambda: by_topk(weights, keep),
            "torch.sort": lambda: by_sort(weights, keep),
        },
        arguments.rounds,
    )
    print(f"{arguments.size:,} weights, {arguments.threads} threads, torch {torch.__version__}, {platform.machine()}\n")
    print("| way | median, s | of kthvalue | of sort |\n|---|---|---|---|")
    for name, seconds in medians.items():
        print(f"| {name} | {seconds:.3f} | {seconds / medians['torch.kthvalue']:.3f} "
              f"| {seconds / medians['torch.sort']:.3f} |")  # fmt: skip
    own = medians["select_exactly, magnitude, 50%"]
    return 0 if own <= medians["torch.kthvalue"] / 2 and own <= medians["torch.sort"] / 10 else 1


if __name__ == "__main__":
    sys.exit(main())
