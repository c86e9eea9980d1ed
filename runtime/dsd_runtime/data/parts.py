"""The samples of each batch that one of several processes trains on: a process reads those, and no others.

Which samples are in a batch, their order and their augmentation are those of one process. A source has `train_parts()`
for this; of any other source every process reads the whole batch and keeps its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from dsd_runtime.data.batch import Batch
from dsd_runtime.data.prefetch import ordered_map

Sample = TypeVar("Sample")
Kind = TypeVar("Kind", bound=Batch)
Made = TypeVar("Made", bound=Batch, covariant=True)
_BROKEN, _NONE = -1, -2


@dataclass(frozen=True, slots=True)
class Part(Generic[Kind]):
    """Rows ``start`` to ``end`` of a batch of ``total`` samples; ``lengths`` are those of all of them, if any.

    If there are fewer samples than processes, some get one that counts nothing: all must compute. The mean over the
    processes of ``weight`` x the mean over the part is the mean over the batch.
    """

    batch: Kind
    start: int
    end: int
    total: int
    weight: float
    lengths: Tensor | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.batch)

    def to(self, device: torch.device | str) -> Part[Batch]:
        """The same on a device."""
        return Part(self.batch.to(device), self.start, self.end, self.total, self.weight, self.lengths)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a batch of ``total`` samples, and what they weigh."""

    start: int
    end: int
    total: int
    weight: float

    def part(self, batch: Kind, lengths: Tensor | None = None) -> Part[Kind]:
        """The part with these rows."""
        return Part(batch, self.start, self.end, self.total, self.weight, lengths)


@dataclass(frozen=True, slots=True)
class Share:
    """Process ``index`` of ``count``; ``exchange`` gives the rows of numbers of all of them."""

    index: int
    count: int
    exchange: Callable[[Tensor], Tensor]

    def without_exchange(self) -> Share:
        """The same for worker processes, which know no other process."""
        return replace(self, exchange=_refused)

    def planned(self, total: int) -> range:
        """This process's indices in a batch; the processes' differ in number by one at most, and may be none."""
        return range(total * self.index // self.count, total * (self.index + 1) // self.count)

    def rows(self, total: int) -> Rows:
        """This process's rows, at least one."""
        own = self.planned(total)
        return self._weighed(own.start, own.stop, total)

    def _weighed(self, start: int, end: int, total: int) -> Rows:
        weight = (end - start) * self.count / total
        if start == end:
            start, end = (start, start + 1) if start < total else (total - 1, total)
        return Rows(start, end, total, weight)

    def sizes(self, own: Sequence[int], total: int) -> Tensor:
        """The sizes of all samples of a batch, each from the process that has read it. A collective operation."""
        most = -(-total // self.count)
        row = torch.tensor([*own, *[_NONE] * (most - len(own))], dtype=torch.int64)
        rows = self.exchange(row).flatten()
        return rows[rows != _NONE]

    def of_good(self, sizes: Tensor) -> Rows:
        """This process's rows of the batch without broken samples."""
        own, is_good = self.planned(len(sizes)), sizes != _BROKEN
        start = int(is_good[: own.start].sum())
        return self._weighed(start, start + int(is_good[own.start : own.stop].sum()), int(is_good.sum()))


def _refused(row: Tensor) -> Tensor:
    raise RuntimeError("a worker process exchanges nothing")


class Samples(Protocol[Sample, Made]):
    """Samples that are read one by one, some of which may be broken, by their position in the pass."""

    def read(self, position: int) -> Sample | None:
        """A sample; None if it is broken, which has been reported."""

    def size(self, sample: Sample) -> int:
        """A number that all processes learn, not negative: how long it is."""

    def report_broken(self, position: int) -> None:
        """Another process has found that a sample is broken."""

    def batch(self, positions: Sequence[int], samples: Sequence[Sample], sizes: Tensor) -> Made:
        """Samples as a batch; ``sizes`` are those of the whole one."""


def read_parts(
    samples: Samples[Sample, Kind], batches: Iterable[range], share: Share, *, workers: int, ahead: int = 2
) -> Iterator[Part[Kind] | None]:
    """The parts of batches, given by their positions; None for a batch of which every sample is broken."""
    planned = list(batches)
    own = [positions[share.planned(len(positions)).start : share.planned(len(positions)).stop] for positions in planned]
    flat = (position for positions in own for position in positions)
    found = ordered_map(samples.read, flat, workers=workers, ahead=ahead)
    for positions, mine in zip(planned, own, strict=True):
        yield _part(samples, positions, mine, list(islice(found, len(mine))), share)


def _part(
    samples: Samples[Sample, Kind], positions: range, mine: range, found: Sequence[Sample | None], share: Share
) -> Part[Kind] | None:
    own = [_BROKEN if sample is None else samples.size(sample) for sample in found]
    sizes = share.sizes(own, len(positions))
    for position, size in zip(positions, sizes.tolist(), strict=True):
        if size == _BROKEN and position not in mine:
            samples.report_broken(position)
    good = [position for position, size in zip(positions, sizes.tolist(), strict=True) if size != _BROKEN]
    if not good:
        return None
    rows, lengths = share.of_good(sizes), sizes[sizes != _BROKEN]
    read = {position: sample for position, sample in zip(mine, found, strict=True) if sample is not None}
    chosen = good[rows.start : rows.end]
    own_samples = [read[position] if position in read else _of_another(samples, position) for position in chosen]
    return rows.part(samples.batch(chosen, own_samples, lengths), lengths)


def _of_another(samples: Samples[Sample, Kind], position: int) -> Sample:
    """A sample that counts nothing here, as there are too few; another process has read it."""
    sample = samples.read(position)
    if sample is None:
        raise OSError(f"sample {position} could be read by another process only")
    return sample
