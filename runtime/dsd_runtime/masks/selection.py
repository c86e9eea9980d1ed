"""Scores and a number in, the mask of exactly that many kept weights out.

The threshold is found by an exact radix histogram: scores become int32 keys of the same order, one pass counts their
high halves, a second the low halves of the one bin the threshold lies in, a third writes the mask. Ties at the
threshold go to the lowest flat index. Everything works in chunks that stay in the cache, so nothing the size of the
weights is allocated but the mask; many tensors compete as one without being concatenated.

Measured on two cores (25M float32 weights, `benchmarks/selection.py`): about a tenth of `torch.kthvalue` and a
fortieth of `torch.sort`. Torch's `bincount` on int32 beats numpy's on a uint16 view (18 against 39 ms a pass); picking
the members of one bin is quicker in numpy (12 against 29 ms), so that is what the CPU does. Chunks under 2^17 lose to
the 65,536-bin histogram itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Literal

import torch
from torch import Tensor

Ranking = Literal["value", "magnitude", "smallest_magnitude"]
"""What is kept first: the largest value, the largest absolute value, the smallest absolute value."""

_MAGNITUDE_BITS = 0x7FFFFFFF
_INFINITY_HIGH = 0x7F80  # the high half of the bits of +inf; NaN lies above
_NUM_BINS = 1 << 16
_BIN_OF_ZERO = 1 << 15
_EXCLUDED_BIN = _BIN_OF_ZERO - 1  # weights that do not compete get the key -1, which no finite score has at its float
_CHUNK_CPU = 1 << 20
_CHUNK_ACCELERATOR = 1 << 25
_FINITE_BINS: dict[Ranking, tuple[int, int]] = {
    "value": (_BIN_OF_ZERO - _INFINITY_HIGH, _BIN_OF_ZERO + _INFINITY_HIGH),
    "magnitude": (_BIN_OF_ZERO, _BIN_OF_ZERO + _INFINITY_HIGH),
    "smallest_magnitude": (_BIN_OF_ZERO + 0x8000 - _INFINITY_HIGH, _NUM_BINS),
}


class NonFiniteScore(ArithmeticError):  # noqa: N818
    """A competing score is NaN or infinite: which tensor of the list, and its first flat index there."""

    def __init__(self, tensor: int, index: int) -> None:
        super().__init__(f"score {index} of tensor {tensor} is not finite")
        self.tensor = tensor
        self.index = index


def keep_count(size: int, pruned: Fraction, *, minimum: int = 1) -> int:
    """How many of `size` weights stay when the exact ratio `pruned` goes: N - round_half_even(s N), at least `minimum`.

    >>> keep_count(1000, Fraction(3, 10)), keep_count(5, Fraction(1, 2)), keep_count(3, Fraction(1))
    (700, 3, 1)
    """
    if not 0 <= pruned <= 1:
        raise ValueError(f"the pruned ratio must lie in 0..1, not {pruned}")
    return max(min(minimum, size), size - round(pruned * size))


def select_exactly(
    scores: Tensor, keep: int, *, among: Tensor | None = None, ranking: Ranking = "value", chunk: int | None = None
) -> Tensor:
    """The bool mask, shaped like `scores`, of exactly the `keep` highest-ranked; ties go to the lowest flat index.

    Scores of any floating dtype are compared in float32. Only weights where `among` is true compete (all without it).
    Raises :class:`NonFiniteScore` when a competing score is NaN or infinite, ``ValueError`` when `keep` is not
    between 0 and the number of competitors. With ``ranking="magnitude"`` weights are their own scores.

    >>> select_exactly(torch.tensor([1.0, 3.0, 3.0, 3.0]), 2).tolist()
    [False, True, True, False]
    """
    candidates = None if among is None else [among]
    return select_exactly_global([scores], keep, among=candidates, ranking=ranking, chunk=chunk)[0]


def select_exactly_global(
    scores: Sequence[Tensor],
    keep: int,
    *,
    among: Sequence[Tensor] | None = None,
    ranking: Ranking = "value",
    chunk: int | None = None,
) -> list[Tensor]:
    """As :func:`select_exactly`, in one competition over all tensors; the flat order is the order of the list.

    Tensors may have different shapes, dtypes and devices; none is concatenated. `chunk` (elements worked on at once)
    is for tests.
    """
    flat = [score.detach().reshape(-1) for score in scores]
    candidates = None if among is None else [mask.reshape(-1) for mask in among]
    num_competing = _num_competing(flat, candidates)
    if not 0 <= keep <= num_competing:
        raise ValueError(f"cannot keep {keep} of {num_competing} weights")
    competition = [_Keys(score, _candidates(candidates, i), ranking, chunk) for i, score in enumerate(flat)]
    masks = [torch.empty(score.shape, dtype=torch.bool, device=score.device) for score in scores]
    high = sum((keys.high_histogram() for keys in competition), torch.zeros(_NUM_BINS, dtype=torch.int64))
    if _has_non_finite(high, ranking):
        raise _first_non_finite(flat, candidates)
    if keep in (0, num_competing):
        for i, mask in enumerate(masks):
            mask.fill_(keep > 0)
            if candidates is not None and keep > 0:
                mask.view(-1).copy_(candidates[i])
        return masks
    high_bin, above = _bin_of_rank(high, keep)
    low = sum((keys.low_histogram(high_bin) for keys in competition), torch.zeros(_NUM_BINS, dtype=torch.int64))
    low_bin, above_in_bin = _bin_of_rank(low, keep - above)
    threshold = ((high_bin - _BIN_OF_ZERO) << 16) + low_bin
    num_ties = keep - above - above_in_bin
    if num_ties == int(low[low_bin]):
        num_ties = -1
    for keys, mask in zip(competition, masks, strict=True):
        num_ties = keys.write_mask(mask.view(-1), threshold, num_ties)
    return masks


class _Keys:
    """One tensor's scores as int32 keys in ranking order, made chunk by chunk in reused buffers."""

    def __init__(self, scores: Tensor, among: Tensor | None, ranking: Ranking, chunk: int | None) -> None:
        self.scores, self.among, self.ranking = scores, among, ranking
        on_cpu = scores.device.type == "cpu"
        self.chunk = chunk or (_CHUNK_CPU if on_cpu else _CHUNK_ACCELERATOR)
        length = min(self.chunk, scores.numel())
        self.keys = torch.empty(length, dtype=torch.int32, device=scores.device)
        needs_copy = ranking == "value" or scores.dtype != torch.float32
        self.floats = torch.empty(length if needs_copy else 0, dtype=torch.float32, device=scores.device)

    def chunks(self) -> Iterator[tuple[slice, Tensor]]:
        """Each chunk's place and its keys (valid until the next chunk)."""
        for start in range(0, self.scores.numel(), self.chunk):
            place = slice(start, min(start + self.chunk, self.scores.numel()))
            keys = self._keys_of(self.scores[place])
            if self.among is not None:
                keys.bitwise_or_(self.among[place].view(torch.int8) - 1)  # all ones, the key -1, where excluded
            yield place, keys

    def _keys_of(self, scores: Tensor) -> Tensor:
        keys = self.keys[: scores.numel()]
        if self.ranking == "value":
            floats = self.floats[: scores.numel()].copy_(scores).add_(0.0)  # -0.0 becomes +0.0: they are equal scores
            bits = floats.view(torch.int32)
            torch.bitwise_right_shift(bits, 31, out=keys)
            return keys.bitwise_and_(_MAGNITUDE_BITS).bitwise_xor_(bits)
        if scores.dtype != torch.float32:
            scores = self.floats[: scores.numel()].copy_(scores)
        torch.bitwise_and(scores.view(torch.int32), _MAGNITUDE_BITS, out=keys)
        return keys if self.ranking == "magnitude" else keys.bitwise_xor_(_MAGNITUDE_BITS)

    def num_excluded(self) -> int:
        """How many weights do not compete."""
        return 0 if self.among is None else self.among.numel() - int(torch.count_nonzero(self.among))

    def high_histogram(self) -> Tensor:
        """Competitors by the high half of their key: 65,536 counts on the CPU."""
        counts = torch.zeros(_NUM_BINS, dtype=torch.int64, device=self.scores.device)
        for _, keys in self.chunks():
            bins = keys.bitwise_right_shift_(16).add_(_BIN_OF_ZERO)
            counts += torch.bincount(bins, minlength=_NUM_BINS)
        counts[_EXCLUDED_BIN] -= self.num_excluded()
        return counts.cpu()

    def low_histogram(self, high_bin: int) -> Tensor:
        """Competitors within one bin by the low half of their key: 65,536 counts on the CPU."""
        counts = torch.zeros(_NUM_BINS, dtype=torch.int64, device=self.scores.device)
        for _, keys in self.chunks():
            members = _members(keys, high_bin - _BIN_OF_ZERO)
            if members.numel():
                counts += torch.bincount(members.bitwise_and_(_NUM_BINS - 1), minlength=_NUM_BINS)
        if high_bin == _EXCLUDED_BIN:
            counts[-1] -= self.num_excluded()
        return counts.cpu()

    def write_mask(self, mask: Tensor, threshold: int, num_ties: int) -> int:
        """Fills `mask`: keys above the threshold and the first `num_ties` equal to it; how many ties are left over.

        A negative `num_ties` keeps all of them.
        """
        for place, keys in self.chunks():
            kept = mask[place]
            torch.gt(keys, threshold, out=kept) if num_ties == 0 else torch.ge(keys, threshold, out=kept)
            if num_ties > 0:
                ties = keys == threshold
                if self.among is not None:
                    ties &= self.among[place]
                indices = ties.nonzero().view(-1)
                kept[indices[num_ties:]] = False
                num_ties -= min(num_ties, indices.numel())
            if self.among is not None:
                kept &= self.among[place]
        return num_ties


def _members(keys: Tensor, high: int) -> Tensor:
    """The keys whose high half is `high`, as a new tensor."""
    if keys.device.type != "cpu":
        return _members_on_device(keys, high)
    array = keys.numpy()
    return torch.from_numpy(array[(array >> 16) == high])


def _members_on_device(keys: Tensor, high: int) -> Tensor:
    return keys[(keys >> 16) == high]


def _bin_of_rank(counts: Tensor, rank: int) -> tuple[int, int]:
    """The bin that holds the `rank`-th largest (from 1), and how many lie in the bins above it."""
    from_above = counts.flip(0).cumsum(0)
    position = int(torch.searchsorted(from_above, rank))
    above = int(from_above[position - 1]) if position else 0
    return counts.numel() - 1 - position, above


def _has_non_finite(high: Tensor, ranking: Ranking) -> bool:
    first, end = _FINITE_BINS[ranking]
    return int(high[first:end].sum()) != int(high.sum())


def _candidates(among: Sequence[Tensor] | None, index: int) -> Tensor | None:
    return None if among is None else among[index]


def _num_competing(scores: Sequence[Tensor], among: Sequence[Tensor] | None) -> int:
    if among is None:
        return sum(score.numel() for score in scores)
    if [mask.numel() for mask in among] != [score.numel() for score in scores]:
        raise ValueError("`among` must have one bool mask for each tensor, of its size")
    if any(mask.dtype != torch.bool for mask in among):
        raise ValueError("`among` must be bool masks")
    return sum(int(torch.count_nonzero(mask)) for mask in among)


def _first_non_finite(scores: Sequence[Tensor], among: Sequence[Tensor] | None) -> NonFiniteScore:
    for i, score in enumerate(scores):
        bad = ~torch.isfinite(score.float())
        if among is not None:
            bad &= among[i]
        if bool(bad.any()):
            return NonFiniteScore(i, int(bad.nonzero()[0]))
    raise AssertionError("the histogram counted a score that is not finite, but none was found")
