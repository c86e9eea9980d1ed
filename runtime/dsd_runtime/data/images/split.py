"""A fixed stratified hold-out: which samples are held out depends only on their names."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence


def held_out(names: Sequence[str], labels: Sequence[int], share: float) -> list[int]:
    """Ascending indices of ``share`` of each class (rounded), chosen by a hash of the file names.

    The choice does not depend on the order of the files or the machine, and a new file changes it for few others.

    >>> held_out(["a", "b", "c", "d"], [0, 0, 1, 1], 0.5) == held_out(["a", "b", "c", "d"], [0, 0, 1, 1], 0.5)
    True
    """
    if not 0 <= share < 1:
        raise ValueError(f"share must be at least 0 and below 1, not {share}")
    members: defaultdict[int, list[int]] = defaultdict(list)
    for index, label in enumerate(labels):
        members[label].append(index)
    chosen: list[int] = []
    for indices in members.values():
        ranked = sorted(indices, key=lambda index: _rank(names[index]))
        chosen.extend(ranked[: round(share * len(ranked))])
    return sorted(chosen)


def _rank(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=16).digest()
