"""The learning rate of each phase as a function of the elapsed fraction of the phase.

The closed forms are those of `dsd_lang.plan.rates`. Rates that are known only at run time (the last rate of a phase
that may stop early, the clock of `@ref.best`) are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.units import exact, within_range
from dsd_lang.plan import Duration, Milestone, Phase, Plan
from dsd_lang.plan.rates import RateShape, decay_shape
from dsd_lang.views.timeline.clocks import Clocks

_ROUNDING = 1e-9  # tolerance for sums of floats, so that the end of an epoch is not missed


class Rate(NamedTuple):
    """The learning rate of a phase: its start, and its value at a fraction of the phase.

    ``levels`` are the values that it stays at, which determine the scale. ``is_multiple``: all values are multiples of
    the optimizer's own rate.
    """

    start: float
    at: Callable[[float], float]
    levels: tuple[float, ...]
    is_multiple: bool


class Rates:
    """The learning rates of a plan's phases by id.

    ``are_multiples``: all known rates are multiples of the optimizer's own. ``left_out`` says in words what could not
    be drawn.
    """

    def __init__(self, plan: Plan, clocks: Clocks) -> None:
        self._plan = plan
        self._clocks = clocks
        self._phases = {phase.id: phase for phase in plan.phases}
        self.left_out: dict[str, None] = {}
        self.of: dict[str, Rate | None] = {}
        for phase in plan.phases:
            self.of[phase.id] = self._rate(phase)
        known = [rate for rate in self.of.values() if rate is not None]
        self.are_multiples = bool(known) and all(rate.is_multiple for rate in known)
        if any(rate.is_multiple for rate in known) and not self.are_multiples:
            self.left_out["a rate that is the optimizer's own, beside rates that are numbers"] = None

    @property
    def levels(self) -> list[float]:
        """All values that the drawn rates stay at."""
        drawn = (rate for rate in self.of.values() if rate is not None and rate.is_multiple is self.are_multiples)
        return [level for rate in drawn for level in rate.levels]

    def _rate(self, phase: Phase) -> Rate | None:
        start = self._start(phase)
        clock = self._clock(phase)
        if start is None or clock is None:
            return None
        value, is_multiple = start
        offset, total = clock
        extent = self._extent(phase)
        shape, levels = self._shape(phase, value, total)
        warmup = self._warmup(phase)

        def at(share: float) -> float:
            clock_share = 1.0 if not total else min(1.0, (offset + share * extent) / total)
            rate = shape(clock_share)
            return rate * min(1.0, share / warmup) if warmup else rate

        return Rate(value, at, levels, is_multiple)

    def _start(self, phase: Phase) -> tuple[float, bool] | None:
        """The rate's start, and whether it is a multiple of the optimizer's own."""
        lr = phase.lr
        if lr.start is not None:
            return float(exact(lr.start)), False
        scale = float(exact(lr.scale or "1"))
        if lr.of == "optimizer":
            return scale, True
        source = self._phases[lr.phase or ""]
        rate = self.of[source.id]
        if rate is None or source.until is not None or source.cycles:
            self.left_out["a rate that depends on the final rate of a phase that may stop early"] = None
            return None
        return within_range(rate.at(1.0) * scale), rate.is_multiple

    def _extent(self, phase: Phase) -> float:
        return self._clocks.stretches[phase.id].length

    def _clock(self, phase: Phase) -> tuple[float, float] | None:
        """The reading of the shape's clock at the start of the phase, and its end."""
        if phase.clock.kind == "global":
            if self._clocks.unit == "phases":
                self._say_units("`clock=global`")
                return None
            return self._clocks.stretches[phase.id].start, self._clocks.line_ends[phase.path]
        if phase.clock.kind == "block" and phase.clock.start is not None and phase.clock.length is not None:
            length = exact(phase.duration.value)
            scale = self._extent(phase) / float(length) if length else 0.0
            start, whole = (float(exact(one.value)) * scale for one in (phase.clock.start, phase.clock.length))
            return start, whole
        reference = phase.clock.reference
        if phase.clock.kind == "phase" or reference is None:
            return 0.0, self._extent(phase)
        source = self._phases.get(reference.phase or "")
        if source is None or reference.moment not in ("start", "entered", "end", "at"):
            self.left_out["a rate whose clock is only known in the run"] = None
            return None
        if reference.moment != "at" or reference.offset is None:
            return (self._extent(source) if reference.moment == "end" else 0.0), self._extent(source)
        share = self._clocks.share(source, reference.offset)
        if share is None:
            self._say_units(f"the clock at {reference.offset.length} of another phase")
            share = 0.0
        return share * self._extent(source), self._extent(source)

    def _warmup(self, phase: Phase) -> float:
        """The fraction of the phase that is warm-up."""
        if phase.lr.warmup is None:
            return 0.0
        share = self._clocks.share(phase, phase.lr.warmup)
        if share is None:
            self._say_units(f"warmup={phase.lr.warmup.length}")
        return share or 0.0

    def _shape(self, phase: Phase, start: float, total: float) -> tuple[RateShape, tuple[float, ...]]:
        """The rate as a function of the fraction of the clock that is over, and the values it stays at."""
        decay = phase.lr.decay
        milestones = [self._milestone(phase, point) for point in decay.milestones]
        known = [milestone for milestone in milestones if milestone is not None]
        epochs = self._epochs(phase, total)
        shape = decay_shape(decay, Fraction(start), total=1, milestones=known, epoch=1 / epochs if epochs else math.inf)
        steps = (0.0, *(milestone for milestone in known if milestone < 1))
        rests = {"step": steps, "exp": (0.0, 1.0)}.get(decay.kind, (0.0,))

        def at(share: float) -> float:
            return within_range(shape(share + _ROUNDING))

        return at, tuple(at(share) for share in rests)

    def _epochs(self, phase: Phase, total: float) -> float | None:
        """The epochs that the shape's clock covers; None if nothing relates epochs and updates."""
        if phase.lr.decay.kind != "exp":
            return None
        epochs, extent = self._clocks.epochs(phase), self._extent(phase)
        if epochs is None:
            self._say_units("the epochs of `decay=exp`")
            return None
        return epochs * (total / extent if extent else 1.0)

    def _milestone(self, phase: Phase, point: Milestone) -> float | None:
        if point.unit == "ratio":
            return float(exact(point.value))
        share = self._clocks.share(phase, Duration(unit=point.unit, value=point.value))
        if share is None:
            self._say_units(f"the milestone {point.value}{point.unit}")
        return share

    def _say_units(self, what: str) -> None:
        self.left_out[f"{what} (`--steps-per-epoch N` relates `ep` and `it`)"] = None
