"""The session's clocks, and the read-only view of the current phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from dsd_lang.plan import Target
from dsd_runtime.engine.stages import Stage


@dataclass(slots=True)
class Position:
    """The clocks of a session.

    The current ``rate``, ``index`` of the stage (-1: none entered), updates applied in it (``step``) and in all
    (``total``), whether `until` stopped it and whether its end was recorded, and the final rates of finished phases.
    """

    rate: float
    index: int = -1
    step: int = 0
    total: int = 0
    stopped: bool = False
    exited: bool = True
    last_rates: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Position:
        """The clocks in a session's saved state."""
        position = cls(**{field.name: state[field.name] for field in fields(cls)})
        position.last_rates = dict(position.last_rates)
        return position

    def enter(self, index: int) -> None:
        """Moves to the start of another stage."""
        self.index, self.step, self.stopped, self.exited = index, 0, False, False


@dataclass(frozen=True, slots=True)
class PhaseView:
    """The state of a session: the phase, the rate of the current update, epochs and updates done in the phase."""

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
        """The view of a stage after ``step`` updates."""
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
