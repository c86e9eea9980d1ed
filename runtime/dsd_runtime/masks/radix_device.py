"""Radix selection with torch operators, for accelerators.

Integer counts do not depend on the order of threads, so the masks are the same on every device.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from dsd_runtime.masks.radix import BIN_OF_ZERO, EXCLUDED_BIN, MAGNITUDE_BITS, NUM_BINS, Counts, Ranking

PIECE_ELEMENTS = 1 << 25
"""Elements worked on at once."""


class DeviceKeys:
    """The keys of one flat tensor, computed piece by piece in reused buffers on its device."""

    def __init__(self, scores: Tensor, among: Tensor | None, mask: Tensor, ranking: Ranking) -> None:
        self._scores, self._among, self._mask, self._ranking = scores, among, mask, ranking
        self._piece = PIECE_ELEMENTS
        length = min(self._piece, scores.numel())
        self._keys = torch.empty(length, dtype=torch.int32, device=scores.device)
        self._floats = torch.empty(length, dtype=torch.float32, device=scores.device)

    def high_histogram(self) -> Counts:
        """One pass; see :class:`RadixKeys`."""
        counts = self._no_counts()
        for _, keys in self._pieces():
            counts += torch.bincount(keys.bitwise_right_shift_(16).add_(BIN_OF_ZERO), minlength=NUM_BINS)
        counts[EXCLUDED_BIN] -= self._num_excluded()
        return counts.cpu().numpy()

    def low_histogram(self, high_bin: int) -> Counts:
        """One pass; see :class:`RadixKeys`."""
        counts = self._no_counts()
        for _, keys in self._pieces():
            members = keys[(keys >> 16) == high_bin - BIN_OF_ZERO]
            if members.numel():
                counts += torch.bincount(members.bitwise_and_(NUM_BINS - 1), minlength=NUM_BINS)
        if high_bin == EXCLUDED_BIN:
            counts[-1] -= self._num_excluded()
        return counts.cpu().numpy()

    def write_mask(self, threshold: int, num_ties: int) -> int:
        """One pass; see :class:`RadixKeys`."""
        for piece, keys in self._pieces():
            kept = self._mask[piece]
            torch.gt(keys, threshold, out=kept) if num_ties == 0 else torch.ge(keys, threshold, out=kept)
            if num_ties > 0:
                ties = keys == threshold
                if self._among is not None:
                    ties &= self._among[piece]
                indices = ties.nonzero().view(-1)
                kept[indices[num_ties:]] = False
                num_ties -= min(num_ties, indices.numel())
            if self._among is not None:
                kept &= self._among[piece]
        return num_ties

    def _pieces(self) -> Iterator[tuple[slice, Tensor]]:
        """The slice and the keys of each piece, valid until the next piece."""
        for start in range(0, self._scores.numel(), self._piece):
            piece = slice(start, min(start + self._piece, self._scores.numel()))
            keys = self._keys_of(self._scores[piece])
            if self._among is not None:
                keys.bitwise_or_(self._among[piece].view(torch.int8) - 1)  # all ones, the key -1, where excluded
            yield piece, keys

    def _keys_of(self, scores: Tensor) -> Tensor:
        keys = self._keys[: scores.numel()]
        if self._ranking != "value" and scores.dtype == torch.float32:
            bits = scores.view(torch.int32)
        else:
            bits = self._floats[: scores.numel()].copy_(scores).add_(0.0).view(torch.int32)  # -0.0 becomes +0.0
        if self._ranking == "value":
            torch.bitwise_right_shift(bits, 31, out=keys)
            return keys.bitwise_and_(MAGNITUDE_BITS).bitwise_xor_(bits)
        torch.bitwise_and(bits, MAGNITUDE_BITS, out=keys)
        return keys if self._ranking == "magnitude" else keys.bitwise_xor_(MAGNITUDE_BITS)

    def _no_counts(self) -> Tensor:
        return torch.zeros(NUM_BINS, dtype=torch.int64, device=self._scores.device)

    def _num_excluded(self) -> int:
        return 0 if self._among is None else self._among.numel() - int(torch.count_nonzero(self._among))
