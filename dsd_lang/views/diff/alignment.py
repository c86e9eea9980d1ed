"""Aligns two sequences of phases: which phase of one corresponds to which of the other.

Equal phases at both ends are set aside; the rest is aligned so that the sum of similarities is largest. Only phases of
the same mode can correspond.
"""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.views.diff.attributes import Attributes

Pair = tuple[int | None, int | None]

_MOST_COMPARED = 90_000


def align(old: Sequence[Attributes], new: Sequence[Attributes]) -> list[Pair]:
    """Pairs of indexes in order; None where there is no counterpart."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    pairs: list[Pair] = [(index, index) for index in range(head)]
    middle = _aligned(old[head : len(old) - tail], new[head : len(new) - tail])
    pairs += [(None if a is None else a + head, None if b is None else b + head) for a, b in middle]
    pairs += [(len(old) - index, len(new) - index) for index in range(tail, 0, -1)]
    return pairs


def _aligned(old: Sequence[Attributes], new: Sequence[Attributes]) -> list[Pair]:
    if len(old) * len(new) > _MOST_COMPARED:
        return _by_position(old, new)
    best = [[0.0] * (len(new) + 1) for _ in range(len(old) + 1)]
    for a in reversed(range(len(old))):
        for b in reversed(range(len(new))):
            paired = best[a + 1][b + 1] + likeness(old[a], new[b])
            best[a][b] = max(paired, best[a + 1][b], best[a][b + 1])
    return _path(best, old, new)


def _path(best: list[list[float]], old: Sequence[Attributes], new: Sequence[Attributes]) -> list[Pair]:
    pairs: list[Pair] = []
    a = b = 0
    while a < len(old) and b < len(new):
        like = likeness(old[a], new[b])
        if like > 0 and best[a][b] == best[a + 1][b + 1] + like:
            pairs.append((a, b))
            a, b = a + 1, b + 1
        elif best[a][b] == best[a + 1][b]:
            pairs.append((a, None))
            a += 1
        else:
            pairs.append((None, b))
            b += 1
    pairs += [(index, None) for index in range(a, len(old))]
    return pairs + [(None, index) for index in range(b, len(new))]


def _by_position(old: Sequence[Attributes], new: Sequence[Attributes]) -> list[Pair]:
    """For too many phases to compare all pairs: pairs them by index, if their modes agree."""
    pairs: list[Pair] = []
    for index in range(max(len(old), len(new))):
        a, b = (index if index < len(side) else None for side in (old, new))
        if a is not None and b is not None and old[a]["mode"] == new[b]["mode"]:
            pairs.append((a, b))
            continue
        pairs += [(a, None)] if a is not None else []
        pairs += [(None, b)] if b is not None else []
    return pairs


def likeness(old: Attributes, new: Attributes) -> float:
    """0 for phases that cannot correspond, 8 for equal ones."""
    if old == new:
        return 8.0
    if old["mode"] != new["mode"]:
        return 0.0
    names = old.keys() | new.keys()
    equal = sum(old.get(name) == new.get(name) for name in names)
    return 1.0 + 6.0 * equal / len(names)
