"""The interface that every data set implements for the training loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from dsd_runtime.data.batch import Batch
from dsd_runtime.data.parts import Part, Share
from dsd_runtime.data.traits import DataTraits


class DataSource(Protocol):
    """Deterministic batches: order and augmentation are a function of (key, epoch), for any number of workers."""

    @property
    def name(self) -> str: ...

    @property
    def fingerprint(self) -> str:
        """Hex digest of everything that changes results: files, splits, features, augmentation."""
        ...

    @property
    def traits(self) -> DataTraits: ...

    @property
    def sizes(self) -> Mapping[str, int]:
        """The number of samples in `train`, `val` and `test`."""
        ...

    def updates_per_epoch(self, batch_size: int) -> int: ...

    def train_batches(
        self, *, batch_size: int, epoch: int, key: int, skip: int = 0, workers: int = 0
    ) -> Iterator[Batch]:
        """One epoch's batches in the order of (key, epoch); the first ``skip`` are skipped without being loaded."""
        ...

    def evaluation_batches(self, split: str, *, batch_size: int, workers: int = 0) -> Iterator[Batch]:
        """Every sample of `val` or `test` once, always in the same order, without augmentation."""
        ...


@runtime_checkable
class SourceOfParts(Protocol):
    """A data source of which one of several processes reads its own samples only."""

    def train_parts(
        self, *, batch_size: int, epoch: int, key: int, share: Share, skip: int = 0, workers: int = 0
    ) -> Iterator[Part[Any]]:
        """The rows of this process in each batch of `train_batches()`."""
        ...
