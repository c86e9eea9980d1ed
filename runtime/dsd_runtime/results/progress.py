"""How far a run is: what is trained, what is in training, what is waiting, and how long that takes at its pace."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dsd_runtime.results.parts import PhaseResult
from dsd_runtime.results.results import Results
from dsd_runtime.tracking.durations import format_left

DONE = ("trained", "skipped")
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)(ep|it)")


class Pace(NamedTuple):
    """What the trained nodes took: seconds for an update, and updates for an epoch."""

    seconds_per_update: float
    updates_per_epoch: float


def progress_text(results: Results, *, is_running: bool) -> str:
    """`finished, 3 phases`, or what is done and what is left; each node of shared phases counts once."""
    if results.finished:
        return f"finished, {len(results.phases)} phases"
    done = sum(phase.state in DONE for phase in results.phases)
    left = _nodes(phase for phase in results.phases if phase.state not in DONE)
    parts = [f"not finished: {done} of {len(results.phases)} phases are trained", *_begun(left, is_running)]
    seconds = _seconds_left(results, left)
    if seconds is not None and left:
        parts.append(f"about {format_left(seconds)} of training left at its pace")
    return "; ".join([*parts, "reload to see more" if is_running else "the same command continues it"])


def _nodes(phases: Iterator[PhaseResult]) -> list[PhaseResult]:
    """One phase for each node."""
    return list({phase.node or phase.id: phase for phase in phases}.values())


def _begun(left: Sequence[PhaseResult], is_running: bool) -> Iterator[str]:
    begun = [phase for phase in left if phase.updates is not None]
    if begun:
        told = ", ".join(f"`{_name(phase)}` ({_done(phase)} of {phase.length})" for phase in begun)
        yield f"in training: {told}" if is_running else f"begun: {told}"
    waiting = len(left) - len(begun)
    if waiting:
        first = next(phase for phase in left if phase.updates is None)
        yield f"{waiting} waiting, from `{_name(first)}` on"


def _name(phase: PhaseResult) -> str:
    name = phase.label or phase.id
    return f"{phase.path}/{name}" if phase.path else name


def _done(phase: PhaseResult) -> str:
    done = phase.updates if phase.length.endswith("it") else phase.epochs
    return f"{done or 0:.4g}"


def _seconds_left(results: Results, left: Sequence[PhaseResult]) -> float | None:
    """None where nothing was timed yet, or a length is of an unknown kind."""
    pace = _pace(results)
    if pace is None:
        return None
    updates = [_updates_left(phase, pace) for phase in left]
    return None if None in updates else pace.seconds_per_update * sum(one or 0.0 for one in updates)


def _pace(results: Results) -> Pace | None:
    trained = _nodes(phase for phase in results.phases if phase.state == "trained" and phase.seconds)
    seconds = sum(phase.seconds or 0.0 for phase in trained)
    updates, epochs = sum(phase.updates or 0 for phase in trained), sum(phase.epochs or 0.0 for phase in trained)
    return Pace(seconds / updates, updates / epochs) if updates and epochs else None


def _updates_left(phase: PhaseResult, pace: Pace) -> float | None:
    length = _LENGTH.fullmatch(phase.length)
    if length is None:
        return None
    updates = float(length[1]) * (pace.updates_per_epoch if length[2] == "ep" else 1.0)
    return max(0.0, updates - (phase.updates or 0))
