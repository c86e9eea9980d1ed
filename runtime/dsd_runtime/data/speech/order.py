"""Groups utterances into batches by duration; the training order is a pure function of (key, epoch).

Padding costs time, so utterances of similar length share a batch. SortaGrad (Deep Speech 2, arXiv:1512.02595, 3.3): the
first epoch goes from short to long, which keeps the first and largest CTC gradients small.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

Indices = tuple[int, ...]

_SEED_MASK = (1 << 64) - 1
POOL_BATCHES = 8
"""Batches whose utterances are drawn together and then sorted: more gives less padding, fewer gives more chance."""


def sorted_batches(durations: Sequence[float], batch_size: int) -> list[Indices]:
    """All utterances once, from short to long; equal durations keep their order."""
    return _cut(sorted(range(len(durations)), key=lambda index: durations[index]), batch_size)


def bucketed_batches(durations: Sequence[float], batch_size: int, *, key: int, epoch: int) -> list[Indices]:
    """All utterances once, in batches of similar length; members and order of batches change with (key, epoch)."""
    random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([key & _SEED_MASK, epoch])))
    shuffled = random.permutation(len(durations)).tolist()
    pools = _cut(shuffled, batch_size * POOL_BATCHES)
    by_length = [sorted(pool, key=lambda index: (durations[index], index)) for pool in pools]
    batches = _cut(list(chain.from_iterable(by_length)), batch_size)
    return [batches[position] for position in random.permutation(len(batches)).tolist()]


def training_batches(
    durations: Sequence[float], batch_size: int, *, key: int, epoch: int, sorta_grad: bool
) -> list[Indices]:
    """The batches of one training epoch: sorted in epoch 0 with SortaGrad, else bucketed."""
    if sorta_grad and epoch == 0:
        return sorted_batches(durations, batch_size)
    return bucketed_batches(durations, batch_size, key=key, epoch=epoch)


def _cut(indices: Sequence[int], size: int) -> list[Indices]:
    return [tuple(indices[start : start + size]) for start in range(0, len(indices), size)]
