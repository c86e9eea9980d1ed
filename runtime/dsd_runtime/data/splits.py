"""Helpers of data sources: sizes of splits, lookup by name, and the fingerprint of everything that changes results."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sized
from types import MappingProxyType
from typing import TypeVar

Split = TypeVar("Split")


def sizes_of(splits: Mapping[str, Sized]) -> Mapping[str, int]:
    """The number of samples of each split."""
    return MappingProxyType({name: len(split) for name, split in splits.items()})


def split_named(splits: Mapping[str, Split], name: str) -> Split:
    """The split with that name; raises ``ValueError`` with the existing names."""
    if name not in splits:
        raise ValueError(f"unknown split `{name}`; expected one of {', '.join(splits)}")
    return splits[name]


def fingerprint_of(*parts: object) -> str:
    """A hex digest of the parts, by their `repr`."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def num_batches(size: int, batch_size: int) -> int:
    """The number of batches for ``size`` samples; the last may be smaller."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    return -(-size // batch_size)
