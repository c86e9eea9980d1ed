"""Builds the learning-rate schedule of a stage: exact start, clock of its shape, warm-up."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from dsd_lang.base.errors import DsdError
from dsd_lang.base.units import exact
from dsd_runtime.engine.learning_rate import RateSchedule, ShapeClock
from dsd_runtime.engine.references import ClockReading, ReferenceStore, reference_key
from dsd_runtime.engine.stages import Stage, Timeline


def phase_rate(
    stage: Stage, timeline: Timeline, last_rates: Mapping[str, float], own_rate: float, reading: ClockReading | None
) -> RateSchedule:
    """The schedule of a phase; ``last_rates`` are the final rates of finished phases, ``own_rate`` the optimizer's."""
    lr = stage.phase.lr
    return RateSchedule(
        _start(stage, timeline, last_rates, own_rate),
        lr.decay,
        _clock(stage, timeline, reading),
        stage.updates_per_epoch,
        lr.warmup.length.updates(stage.updates_per_epoch) if lr.warmup is not None else 0,
    )


def reading_of(stage: Stage, references: ReferenceStore) -> ClockReading | None:
    """The clocks at the moment named by `clock=@ref`; None for the phase's own or the global clock."""
    clock = stage.phase.clock
    if clock.kind != "reference" or clock.reference is None:
        return None
    return references.load(reference_key(clock.reference)).reading


def _start(stage: Stage, timeline: Timeline, last_rates: Mapping[str, float], own_rate: float) -> Fraction:
    lr = stage.phase.lr
    if lr.start is not None:
        return exact(lr.start)
    scale = exact(lr.scale or "1")
    if lr.of == "last":
        last = _last_rate(lr.phase, timeline, last_rates)
        if last is None:
            raise DsdError(
                f"the learning rate depends on the final rate of phase `{lr.phase}`, which has not been trained"
            )
        if not last:
            raise DsdError(
                f"the learning rate depends on the final rate of phase `{lr.phase}`, which is 0",
                help="give that phase's decay a `floor=`, or write a number",
            )
        return Fraction(str(last)) * scale
    return Fraction(str(own_rate)) * scale


def _last_rate(identifier: str | None, timeline: Timeline, last_rates: Mapping[str, float]) -> float | None:
    """The final rate of that phase; if an ended loop skipped it, of the last phase trained before it."""
    indexes = [stage.index for stage in timeline.stages if stage.phase.id == identifier]
    before = reversed(timeline.stages[: indexes[0] + 1]) if indexes else iter(())
    return next((last_rates[stage.phase.id] for stage in before if stage.phase.id in last_rates), None)


def _clock(stage: Stage, timeline: Timeline, reading: ClockReading | None) -> ShapeClock:
    clock = stage.phase.clock
    if clock.kind == "global":
        return ShapeClock(stage.start, timeline.total_updates)
    if clock.kind == "block":
        assert clock.start is not None, "a block's clock says where the phase begins"
        assert clock.length is not None, "a block's clock says how long it is"
        start, total = (one.length.updates(stage.updates_per_epoch) for one in (clock.start, clock.length))
        return ShapeClock(start, total)
    if clock.kind == "reference":
        assert reading is not None
        assert clock.reference is not None
        lengths = {other.phase.id: other.length for other in timeline.stages}
        total = lengths.get(clock.reference.phase or "", stage.length)
        return ShapeClock(reading.phase_updates, total)
    return ShapeClock(0, stage.length)
