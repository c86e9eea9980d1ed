"""What each column of a timeline shows of a line of phases.

A column belongs to one phase if phases are wide enough. If many phases are narrower than a column, the columns show the
mean over the phases in them.
"""

from __future__ import annotations

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.plan import Phase
from dsd_lang.views.timeline.clocks import Clocks
from dsd_lang.views.timeline.lines import Lane
from dsd_lang.views.timeline.rates import Rates
from dsd_lang.views.timeline.shares import PrunedShares

_MARKS_PER_COLUMN = 1 / 8


class Column(NamedTuple):
    """The content of a column; ``pruned`` and ``rate`` are None if unknown."""

    is_dense: bool
    pruned: float | None
    rate: float | None


class Run(NamedTuple):
    """The columns [start, end) of one phase."""

    number: int
    phase: Phase
    start: int
    end: int


class LineColumns(NamedTuple):
    """The layout of a line: its columns (None: nothing trains), its wide phases, and where the narrow ones are."""

    columns: list[Column | None]
    runs: tuple[Run, ...]
    narrow: tuple[Run, ...]
    is_crowded: bool


class Layout:
    """The inputs for the columns of all lines of a plan."""

    def __init__(self, clocks: Clocks, rates: Rates, shares: PrunedShares, width: int) -> None:
        self._clocks = clocks
        self._rates = rates
        self._shares = shares
        self._width = width

    def line(self, line: Lane) -> LineColumns:
        """The columns of a line."""
        runs = [self._run(number, phase) for number, phase in line.phases]
        narrow = tuple(run for run in runs if run.start == run.end)
        is_crowded = len(narrow) > max(3, self._width * _MARKS_PER_COLUMN)
        if is_crowded:
            return LineColumns(self._means(line), (), narrow, True)
        columns: list[Column | None] = [None] * self._width
        for run in runs:
            for column in range(run.start, run.end):
                columns[column] = self._column(run.phase, self._share(run.phase, column))
        return LineColumns(columns, tuple(run for run in runs if run.end > run.start), narrow, False)

    def _run(self, number: int, phase: Phase) -> Run:
        stretch = self._clocks.stretches[phase.id]
        return Run(number, phase, self._column_at(stretch.start), self._column_at(stretch.end))

    def _column_at(self, time: float) -> int:
        return round(time / self._clocks.total * self._width) if self._clocks.total else 0

    def _share(self, phase: Phase, column: int) -> float:
        """The share of the phase that is over in the middle of a column."""
        stretch = self._clocks.stretches[phase.id]
        time = (column + 0.5) / self._width * self._clocks.total
        return min(1.0, max(0.0, (time - stretch.start) / stretch.length)) if stretch.length else 0.0

    def _column(self, phase: Phase, share: float) -> Column:
        rate = self._rates.of[phase.id]
        shown = rate.at(share) if rate is not None and rate.is_multiple is self._rates.are_multiples else None
        return Column(phase.mode == "dense", self._shares.at(phase, share), shown)

    def _means(self, line: Lane) -> list[Column | None]:
        """The mean of every column over the phases in it, weighted by time."""
        sums = [_Sum() for _ in range(self._width)]
        for _, phase in line.phases:
            stretch = self._clocks.stretches[phase.id]
            if not stretch.length:
                continue
            scale = self._width / self._clocks.total
            first, last = stretch.start * scale, stretch.end * scale
            for column in range(int(first), min(self._width, int(last) + 1)):
                overlap = min(last, column + 1) - max(first, column)
                if overlap > 1e-9:
                    sums[column].add(self._column(phase, self._share(phase, column)), overlap)
        return [total.column() for total in sums]


class _Sum:
    """An accumulator for a weighted mean."""

    __slots__ = ("dense", "is_rate_known", "is_share_known", "pruned", "rate", "weight")

    def __init__(self) -> None:
        self.weight = self.dense = self.pruned = self.rate = 0.0
        self.is_share_known = self.is_rate_known = True

    def add(self, column: Column, weight: float) -> None:
        self.weight += weight
        self.dense += weight if column.is_dense else 0.0
        self.pruned += weight * (column.pruned or 0.0)
        self.rate += weight * (column.rate or 0.0)
        self.is_share_known &= column.pruned is not None
        self.is_rate_known &= column.rate is not None

    def column(self) -> Column | None:
        if not self.weight:
            return None
        return Column(
            self.dense >= self.weight * (1 - 1e-9),
            self.pruned / self.weight if self.is_share_known else None,
            self.rate / self.weight if self.is_rate_known else None,
        )
