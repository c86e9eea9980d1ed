"""Trains in this process, one phase at a time."""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.plan import Plan
from dsd_runtime.experiment.executors.executor import Outcome
from dsd_runtime.experiment.node_training import NodeTrainer
from dsd_runtime.training.loop import Stopped


class Here:
    """The executor of a plain `dsd-run`: :meth:`wait` does the work."""

    name = ""
    is_here = True

    def __init__(self, plan: Plan, trainer: NodeTrainer) -> None:
        self._phases = {phase.id: phase for phase in plan.phases}
        self._trainer = trainer
        self._last: str | None = None
        self._submitted: str | None = None

    @property
    def idle(self) -> Sequence[str | None]:
        return () if self._submitted is not None else (self._last,)

    def submit(self, phase: str, after: str | None) -> None:
        self._submitted = phase

    def wait(self, seconds: float) -> list[Outcome]:
        if self._submitted is None:
            return []
        phase, self._submitted = self._submitted, None
        self._last = phase
        return [self._trained(phase)]

    def cancel(self) -> None:
        """The trainer looks for the stop request itself."""

    def close(self) -> None:
        """Nothing runs outside of :meth:`wait`."""

    def _trained(self, phase: str) -> Outcome:
        try:
            metrics = self._trainer.train(self._phases[phase])
        except Stopped:
            return Outcome(phase, "stopped")
        except Exception as error:  # noqa: BLE001  (the runner decides whether others go on)
            return Outcome(phase, "failed", error=error)
        return Outcome(phase, "elsewhere") if metrics is None else Outcome(phase, "trained", metrics)
