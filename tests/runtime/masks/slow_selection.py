"""The sentences of the language about scopes, units and allocations, read literally: slow, in plain Python.

A weight is a flat list with a shape. Nothing here is shared with the code that is tested but exact numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import floor, prod


@dataclass(frozen=True)
class Weight:
    """A weight [out, in, ...], or [in, out, ...] if it ``is_turned``; ``groups`` of a convolution."""

    values: Sequence[float]
    shape: tuple[int, ...]
    is_turned: bool = False
    groups: int = 1

    def place(self, index: int) -> tuple[int, int, int, int]:
        """The group, output (over all groups), input (within its group) and kernel position of a flat index."""
        found = []
        for extent in reversed(self.shape):
            index, position = divmod(index, extent)
            found.append(position)
        places = found[::-1]
        if len(places) == 1:
            return 0, places[0], 0, 0
        kernel = 0
        for position, extent in zip(places[2:], self.shape[2:], strict=True):
            kernel = kernel * extent + position
        per_group = self.shape[0] // self.groups
        group, within = divmod(places[0], per_group)
        if self.is_turned:
            return group, group * self.shape[1] + places[1], within, kernel
        return group, places[0], places[1], kernel

    def unit(self, index: int, unit: str, rows: int, columns: int) -> tuple[int, ...]:
        """A key of the unit of a weight; keys have the order of units."""
        group, output, source, kernel = self.place(index)
        if unit in ("row", "filter"):
            return (output,)
        if unit == "channel":
            return (group, source)
        column = source * prod(self.shape[2:]) + kernel
        return (output // rows, column // columns)


Key = tuple[str, tuple[int, ...]]


def keep_count(count: int, pruned: Fraction) -> int:
    exact = pruned * count
    below = floor(exact)
    half = exact - below
    if half > Fraction(1, 2) or (half == Fraction(1, 2) and below % 2):
        below += 1
    return count - below


def densities(shapes: Mapping[str, tuple[int, ...]], sizes: Mapping[str, int], keep: int, method: str,
              turned: Callable[[str], bool], limits: Mapping[str, int]) -> dict[str, Fraction]:  # fmt: skip
    """Evci's loop: what exceeds its limit is full, and epsilon is solved again for the rest; weights, not densities."""
    full = {name for name in shapes if not limits[name]}
    while True:
        raw = {}
        for name in (name for name in shapes if name not in full):
            shape = shapes[name]
            if len(shape) < 2:
                density = Fraction(1)
            elif method == "erk":
                density = Fraction(sum(shape), prod(shape))
            else:
                density = Fraction(shape[0] + shape[1], shape[0] * shape[1])
            raw[name] = density * sizes[name]
        left = keep - sum(limits[name] for name in full)
        epsilon = Fraction(left) / sum(raw.values()) if raw else Fraction(0)
        over = {name: epsilon * raw[name] / limits[name] for name in raw}
        if not over or max(over.values()) <= 1:
            return {name: Fraction(limits[name]) if name in full else epsilon * raw[name] for name in shapes}
        full |= {name for name, ratio in over.items() if ratio == max(over.values())}


def whole(parts: Mapping[str, Fraction], keep: int) -> dict[str, int]:
    counts = {name: floor(part) for name, part in parts.items()}
    order = sorted(parts, key=lambda name: counts[name] - parts[name])
    for name in order[: keep - sum(counts.values())]:
        counts[name] += 1
    return counts


def select(
    weights: Mapping[str, Weight],
    pruned: Fraction,
    *,
    scope: str,
    alloc: str = "uniform",
    unit: tuple[str, int, int] = ("block", 1, 1),
    groups: Mapping[str, Hashable] | None = None,
    alive: Mapping[str, Sequence[bool]] | None = None,
    minimum: int = 0,
) -> dict[str, list[bool]]:
    """The masks, by magnitude."""
    scores: dict[Key, Fraction] = {}
    everything: dict[str, set[Key]] = {name: set() for name in weights}
    for name, weight in weights.items():
        for index, value in enumerate(weight.values):
            key = (name, weight.unit(index, *unit))
            everything[name].add(key)
            if alive is None or alive[name][index]:
                scores[key] = scores.get(key, Fraction(0)) + abs(Fraction(value))
    order = {name: position for position, name in enumerate(weights)}
    by_name = {name: [key for key in scores if key[0] == name] for name in weights}

    def best(keys: list[Key], keep: int) -> list[Key]:
        return sorted(keys, key=lambda key: (-scores[key], order[key[0]], key[1]))[:keep]

    kept: set[Key] = set()
    if scope in ("global", "group"):
        pools: dict[Hashable, list[str]] = {}
        for name in weights:
            pools.setdefault((groups or {}).get(name) if scope == "group" else 0, []).append(name)
        for names in pools.values():
            kept |= set(_pool(names, by_name, pruned, minimum, best))
    else:
        sizes = {name: len(keys) for name, keys in everything.items()}
        limits = {name: len(keys) for name, keys in by_name.items()}
        if alloc == "uniform":
            counts = {name: max(min(minimum, limits[name]), keep_count(limits[name], pruned)) for name in weights}
        else:
            assert minimum == 0
            keep = keep_count(sum(limits.values()), pruned)
            shapes = {name: weight.shape for name, weight in weights.items()}
            counts = whole(densities(shapes, sizes, keep, alloc, lambda n: weights[n].is_turned, limits), keep)
        for name, keys in by_name.items():
            if scope == "layer":
                kept |= set(best(keys, counts[name]))
                continue
            rows = {row: list(found) for row, found in itertools.groupby(sorted(keys), key=lambda key: key[1][0])}
            if alloc == "uniform":
                of_rows = {row: keep_count(len(found), pruned) for row, found in rows.items()}
            else:
                parts = {row: Fraction(counts[name] * len(found), len(keys)) for row, found in rows.items()}
                of_rows = whole(parts, counts[name])  # type: ignore[arg-type]
            if sum(of_rows.values()) < min(minimum, len(keys)):
                kept |= set(best(keys, min(minimum, len(keys))))
            else:
                for row, found in rows.items():
                    kept |= set(best(found, of_rows[row]))
    return {
        name: [
            (name, weight.unit(index, *unit)) in kept and (alive is None or alive[name][index])
            for index in range(len(weight.values))
        ]
        for name, weight in weights.items()
    }


def _pool(names: list[str], by_name: Mapping[str, list[Key]], pruned: Fraction, minimum: int,
          best: Callable[[list[Key], int], list[Key]]) -> list[Key]:  # fmt: skip
    keep = keep_count(sum(len(by_name[name]) for name in names), pruned)
    reserved: dict[str, int] = {}
    while True:
        free = [name for name in names if name not in reserved]
        chosen = best([key for name in free for key in by_name[name]], max(0, keep - sum(reserved.values())))
        least = {name: min(minimum, len(by_name[name])) for name in free}
        short = [name for name in free if sum(key[0] == name for key in chosen) < least[name]]
        if not short:
            break
        reserved |= {name: least[name] for name in short}
    return [*chosen, *(key for name, count in reserved.items() for key in best(by_name[name], count))]
