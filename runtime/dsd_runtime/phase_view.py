"""A stage and the clocks in, what a user may ask about the current phase out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dsd_lang.plan import Target
from dsd_runtime.timeline import Stage


@dataclass(frozen=True, slots=True)
class PhaseView:
    """Where a session stands: the phase, the rate of its current update, epochs and updates done within it."""

    index: int
    id: str
    label: str | None
    mode: Literal["dense", "sparse"]
    target: Target | None
    lr: float
    epoch: int
    step: int
    length: int
    batch: int | None

    @classmethod
    def of(cls, stage: Stage, step: int, rate: float) -> PhaseView:
        """The view of a stage after ``step`` of its updates."""
        phase = stage.phase
        return cls(
            index=stage.index,
            id=phase.id,
            label=phase.label,
            mode=phase.mode,
            target=phase.target,
            lr=rate,
            epoch=step // stage.updates_per_epoch,
            step=step,
            length=stage.length,
            batch=phase.batch,
        )
