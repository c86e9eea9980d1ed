"""Radix selection: scores as int32 keys in ranking order, counted in two 16-bit halves.

The bits of a float32 score, read as an integer, already have the order of its magnitude. So `magnitude` clears the sign
bit, `smallest_magnitude` inverts the others, and `value` flips the bits below the sign for negative numbers (after
turning -0.0 into +0.0, which is the same score). Weights that do not compete get the key -1, which no other weight has.
"""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Ranking = Literal["value", "magnitude", "smallest_magnitude"]
"""What is kept first: the largest value, the largest absolute value, the smallest absolute value."""

Counts = NDArray[np.int64]

NUM_BINS = 1 << 16
BIN_OF_ZERO = 1 << 15
EXCLUDED_BIN = BIN_OF_ZERO - 1
MAGNITUDE_BITS = 0x7FFFFFFF
_INFINITY_HIGH = 0x7F80  # the high half of the bits of +inf; NaN is above it

FINITE_BINS: dict[Ranking, tuple[int, int]] = {
    "value": (BIN_OF_ZERO - _INFINITY_HIGH, BIN_OF_ZERO + _INFINITY_HIGH),
    "magnitude": (BIN_OF_ZERO, BIN_OF_ZERO + _INFINITY_HIGH),
    "smallest_magnitude": (NUM_BINS - _INFINITY_HIGH, NUM_BINS),
}
"""The first and the end of the bins that finite scores fall into."""


class RadixKeys(Protocol):
    """The keys of one tensor; each method is one pass over them."""

    def high_histogram(self) -> Counts:
        """Counts competitors by the high half of their key (bin 32,768 holds key 0): 65,536 counts."""
        ...

    def low_histogram(self, high_bin: int) -> Counts:
        """Counts competitors in one bin by the low half of their key: 65,536 counts."""
        ...

    def write_mask(self, threshold: int, num_ties: int) -> int:
        """Keeps the keys above `threshold` and the first `num_ties` equal to it (all of them if negative).

        Returns how many ties remain for the following tensors.
        """
        ...
