"""Trains in all processes that `torchrun` has started, one phase at a time: this one, the first, gives the orders."""

from __future__ import annotations

from dsd_lang.plan import Plan
from dsd_runtime.experiment.executors.executor import Outcome
from dsd_runtime.experiment.executors.here import Here
from dsd_runtime.experiment.node_training import NodeTrainer
from dsd_runtime.experiment.torchrun import Group
from dsd_runtime.training.loop import Stopped


class InRanks(Here):
    """As a plain `dsd-run`; a failure of some processes alone ends the run, as they are at different points of it."""

    def __init__(self, plan: Plan, trainer: NodeTrainer, group: Group) -> None:
        super().__init__(plan, trainer)
        self._group = group
        self._is_together = True

    def close(self) -> None:
        """Sends the other processes home, if they wait for an order."""
        if self._is_together:
            self._group.told({"end": True})

    def _trained(self, phase: str) -> Outcome:
        self._is_together = False
        try:
            metrics = self._trainer.train(self._phases[phase])
        except Stopped:
            return Outcome(phase, "stopped")
        except Exception as error:
            if not self._group.all_have_failed(error):
                raise
            self._is_together = True
            return Outcome(phase, "failed", error=error)
        self._is_together = True
        return Outcome(phase, "elsewhere") if metrics is None else Outcome(phase, "trained", metrics)
