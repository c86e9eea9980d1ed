"""Estimates the remaining time, first from a measured update, then refined with each update.

Evaluations are included: the validation split after each pass over the training data, the test split also at the end of
a phase. Other work (checkpoints, boundaries) is estimated by its share so far.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_MEMORY = 0.99
"""How much of what was measured is still believed an update later: a machine that gets busier is noticed."""


@dataclass(frozen=True, slots=True)
class NodeWork:
    """The remaining work of one node: updates, and the samples evaluated after each pass and at the end."""

    updates: int
    updates_per_epoch: int
    per_pass: int
    at_end: int

    @property
    def samples(self) -> int:
        """The number of samples still to be evaluated."""
        return -(-self.updates // self.updates_per_epoch) * self.per_pass + self.at_end


@dataclass(slots=True)
class Mean:
    """Mean seconds per item: a first guess that counts as ``weight`` items, then measurements."""

    seconds: float
    weight: float

    @property
    def value(self) -> float:
        return self.seconds / self.weight if self.weight else 0.0

    @classmethod
    def guessed(cls, value: float, weight: float) -> Mean:
        return cls(value * weight, weight)

    def measured(self, seconds: float, count: int) -> None:
        keep = _MEMORY ** min(count, 100)
        self.seconds, self.weight = self.seconds * keep + seconds, self.weight * keep + count


@dataclass(slots=True)
class Forecast:
    """The nodes to train by key, the seconds for an update and for an evaluated sample, and the clock."""

    work: dict[str, NodeWork]
    update: Mean
    sample: Mean
    now: Callable[[], float] = time.monotonic
    _began: float | None = None
    _stamp: float = 0.0
    _known: float = 0.0
    _at: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, work: Mapping[str, NodeWork], *, seconds_per_update: float, seconds_per_sample: float) -> Forecast:
        """A forecast whose first guesses count as half a pass over the data."""
        passes = [node.updates_per_epoch for node in work.values()] or [1]
        samples = max((node.per_pass + node.at_end for node in work.values()), default=1)
        return cls(
            dict(work),
            Mean.guessed(seconds_per_update, max(5.0, passes[0] / 2)),
            Mean.guessed(seconds_per_sample, max(1.0, samples / 2)),
        )

    def begin(self, key: str, updates_done: int) -> None:
        """A node was entered or resumed."""
        self._stamp = self.now()
        if self._began is None:
            self._began = self._stamp
        self._at[key] = updates_done

    def begin_elsewhere(self, key: str, updates_done: int) -> None:
        """Another process trains a node and is so far; the clock goes on, so that the mean is that of all together."""
        if self._began is None:
            self._began = self._stamp = self.now()
        self._at.setdefault(key, updates_done)

    def advance(self, key: str, updates_done: int) -> None:
        """Updates were applied since :meth:`begin`, :meth:`advance` or :meth:`resume_clock`."""
        count = updates_done - self._at.get(key, 0)
        seconds = self._lap()
        if count <= 0:
            return
        self.update.measured(seconds, count)
        self._at[key] = updates_done
        node = self.work.get(key)
        if node is not None:
            left = max(0, node.updates - count)
            self.work[key] = NodeWork(left, node.updates_per_epoch, node.per_pass, node.at_end)

    def resume_clock(self) -> None:
        """The time since the last call was neither an update nor an evaluation."""
        self._stamp = self.now()

    def evaluated(self, samples: int) -> None:
        """That many samples have been evaluated since the last update."""
        seconds = self._lap()
        if samples > 0:
            self.sample.measured(seconds, samples)

    def end(self, key: str) -> None:
        """A node is finished, or needs no training."""
        self.work.pop(key, None)

    @property
    def updates_left(self) -> int:
        return sum(node.updates for node in self.work.values())

    def seconds_left(self) -> float:
        """The time left, counted down since the last update."""
        ahead = self.updates_left * self.update.value + sum(
            node.samples * self.sample.value for node in self.work.values()
        )
        if self._began is None:
            return ahead
        now = self.now()
        behind = max(1e-9, self._known)
        other = max(0.0, (self._stamp - self._began) - self._known)
        return max(0.0, ahead * (1 + min(1.0, other / behind)) - (now - self._stamp))

    def _lap(self) -> float:
        now = self.now()
        seconds, self._stamp = now - self._stamp, now
        self._known += seconds
        return seconds
