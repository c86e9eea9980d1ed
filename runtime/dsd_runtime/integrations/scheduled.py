"""What the callbacks of all trainers have in common: how they are made, and their session."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from torch import nn

from dsd_lang.plan import Plan
from dsd_runtime.engine.metric_table import Better
from dsd_runtime.engine.scoring import Batches
from dsd_runtime.engine.session import Session
from dsd_runtime.integrations.trainer_session import ScheduleOptions, TrainerSession
from dsd_runtime.masks.measuring import LossOf


class ScheduledTraining:
    """A callback that trains by a schedule; a subclass connects it with its trainer's hooks."""

    def __init__(
        self,
        plan: Plan | str | Path,
        *,
        seed: int = 0,
        factory: Callable[[], nn.Module] | None = None,
        best_metric: str = "val.loss",
        percent_metrics: Iterable[str] = (),
        metrics: Mapping[str, Better] | None = None,
        steps_per_epoch: int | None = None,
        events: str | Path | None = None,
        score: tuple[LossOf, Batches] | None = None,
    ) -> None:
        """``events`` is a folder for TensorBoard, ``score`` the arguments of :meth:`dsd_runtime.Session.score`.

        The other options are those of :func:`dsd_runtime.attach`.
        """
        super().__init__()
        folder = Path(events) if events is not None else None
        options = ScheduleOptions(
            seed, factory, best_metric, tuple(percent_metrics), metrics, steps_per_epoch, folder, score
        )
        self._driven = TrainerSession(plan, options)
        self._set_up()

    def _set_up(self) -> None:
        """What a subclass keeps besides the session."""

    @property
    def session(self) -> Session:
        """The session; ``ValueError`` before the training starts."""
        return self._driven.session
