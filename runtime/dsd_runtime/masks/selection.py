"""Selects exactly k weights by their scores.

The threshold is found by an exact radix histogram. Scores become int32 keys of the same order; one pass counts their
high halves, a second the low halves in the bin of the threshold, and a third writes the mask. Of ties at the threshold,
those with the lowest flat index are kept. All passes work in pieces that fit the cache, so only the mask is allocated.
Several tensors can compete without being concatenated.

Of sharded weights each process counts its own rows, and the histograms are summed over the processes: every process
finds the same threshold, and no weight is sent. Ties at the threshold are counted by tensor and process, so that those
with the lowest index of the whole tensor are kept, as by one process.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dsd_runtime.masks.processes import ONE, Processes
from dsd_runtime.masks.radix import BIN_OF_ZERO, FINITE_BINS, NUM_BINS, Counts, RadixKeys, Ranking
from dsd_runtime.masks.radix_cpu import CpuKeys
from dsd_runtime.masks.radix_device import DeviceKeys

_CPU_DTYPES = frozenset({torch.float32, torch.bfloat16, torch.float16, torch.float64})


class NonFiniteScore(ArithmeticError):
    """A competing score is NaN or infinite: the index of the tensor, and its first flat index there."""

    def __init__(self, tensor: int, index: int) -> None:
        super().__init__(f"score {index} of tensor {tensor} is not finite")
        self.tensor = tensor
        self.index = index


def select_exactly(scores: Tensor, keep: int, *, among: Tensor | None = None, ranking: Ranking = "value") -> Tensor:
    """The bool mask, shaped like `scores`, of exactly the `keep` highest; of ties, those with the lowest flat index.

    Scores of any floating dtype are compared in float32. Only weights where `among` is true compete (by default all).
    Raises :class:`NonFiniteScore` if a competing score is NaN or infinite, ``ValueError`` if `keep` is not between 0
    and the number of competitors. With ``ranking="magnitude"`` the weights are their own scores.

    >>> select_exactly(torch.tensor([1.0, 3.0, 3.0, 3.0]), 2).tolist()
    [False, True, True, False]
    """
    candidates = None if among is None else [among]
    return select_exactly_global([scores], keep, among=candidates, ranking=ranking)[0]


def select_exactly_global(
    scores: Sequence[Tensor],
    keep: int,
    *,
    among: Sequence[Tensor] | None = None,
    ranking: Ranking = "value",
    starts: Sequence[int] | None = None,
    processes: Processes = ONE,
) -> list[Tensor]:
    """As :func:`select_exactly`, in one competition over all tensors; the flat order is the order of the list.

    Tensors may have different shapes, dtypes and devices, and are not concatenated. With several ``processes`` each
    passes its own part of every tensor, and ``starts`` has the index of its first element in the whole tensor.
    """
    flat = [score.detach().reshape(-1) for score in scores]
    candidates = None if among is None else [mask.reshape(-1) for mask in among]
    num_competing = int(processes.sum(np.array([_num_competing(flat, candidates)]))[0])
    if not 0 <= keep <= num_competing:
        raise ValueError(f"cannot keep {keep} of {num_competing} weights")
    masks = [torch.zeros(score.shape, dtype=torch.bool, device=score.device) for score in scores]
    tensors = [
        _keys(score, None if candidates is None else candidates[i], masks[i].view(-1), ranking)
        for i, score in enumerate(flat)
    ]
    high = processes.sum(_sum([keys.high_histogram() for keys in tensors]))
    if _has_non_finite(high, ranking):
        raise NonFiniteScore(*first_of_all(first_non_finite(flat, candidates), starts, processes))
    if keep == 0:
        return masks
    high_bin, above = _bin_of_rank(high, keep)
    low = processes.sum(_sum([keys.low_histogram(high_bin) for keys in tensors]))
    low_bin, above_in_bin = _bin_of_rank(low, keep - above)
    num_ties = keep - above - above_in_bin
    if num_ties == low[low_bin]:
        num_ties = -1
    threshold = ((high_bin - BIN_OF_ZERO) << 16) + low_bin
    if processes.count > 1 and num_ties > 0:
        of_tensors = np.array([keys.low_histogram(high_bin)[low_bin] for keys in tensors])
        for keys, ties in zip(tensors, _own_ties(of_tensors, num_ties, processes), strict=True):
            keys.write_mask(threshold, ties)
        return masks
    for keys in tensors:
        num_ties = keys.write_mask(threshold, num_ties)
    return masks


def _own_ties(of_tensors: Counts, num_ties: int, processes: Processes) -> list[int]:
    """How many ties of each tensor this process keeps, if the first ``num_ties`` of all processes' are kept."""
    everywhere = processes.gathered(torch.from_numpy(of_tensors)).numpy()
    ends = everywhere.T.reshape(-1).cumsum().reshape(everywhere.T.shape)  # tensor by tensor, process by process
    before = ends[:, processes.index] - of_tensors
    return [int(count) for count in np.clip(num_ties - before, 0, of_tensors)]


_NOWHERE = (1 << 62, 1 << 62)


def first_of_all(
    found: tuple[int, int] | None, starts: Sequence[int] | None, processes: Processes = ONE
) -> tuple[int, int]:
    """The first of the processes' (tensor, index) in the order of tensors; ``starts`` are this process's offsets."""
    own = _NOWHERE if found is None else (found[0], found[1] + (starts[found[0]] if starts is not None else 0))
    tensor, index = min(tuple(row) for row in processes.gathered(torch.tensor(own)).tolist())
    return tensor, index


def _keys(scores: Tensor, among: Tensor | None, mask: Tensor, ranking: Ranking) -> RadixKeys:
    if not scores.is_floating_point():
        raise ValueError(f"scores must be floating-point, not {scores.dtype}")
    kind = CpuKeys if scores.device.type == "cpu" and scores.dtype in _CPU_DTYPES else DeviceKeys
    return kind(scores, among, mask, ranking)


def _sum(histograms: Sequence[Counts]) -> Counts:
    total = np.zeros(NUM_BINS, np.int64)
    for histogram in histograms:
        total += histogram
    return total


def _bin_of_rank(counts: Counts, rank: int) -> tuple[int, int]:
    """The bin of the `rank`-th largest element (from 1), and the number of elements in the bins above it."""
    from_above = counts[::-1].cumsum()
    position = int(from_above.searchsorted(rank))
    return counts.size - 1 - position, int(from_above[position - 1]) if position else 0


def _has_non_finite(high: Counts, ranking: Ranking) -> bool:
    first, end = FINITE_BINS[ranking]
    return int(high[first:end].sum()) != int(high.sum())


def _num_competing(scores: Sequence[Tensor], among: Sequence[Tensor] | None) -> int:
    if among is None:
        return sum(score.numel() for score in scores)
    if [mask.numel() for mask in among] != [score.numel() for score in scores]:
        raise ValueError("`among` must have one bool mask for each tensor, of its size")
    if any(mask.dtype != torch.bool for mask in among):
        raise ValueError("`among` must be bool masks")
    return sum(int(torch.count_nonzero(mask)) for mask in among)


def first_non_finite(scores: Sequence[Tensor], among: Sequence[Tensor] | None) -> tuple[int, int] | None:
    """The first tensor with a competing score that is not finite, and its first flat index there."""
    for i, score in enumerate(scores):
        bad = ~torch.isfinite(score.reshape(-1).float())
        if among is not None:
            bad &= among[i]
        if bool(bad.any()):
            return i, int(bad.nonzero()[0])
    return None
