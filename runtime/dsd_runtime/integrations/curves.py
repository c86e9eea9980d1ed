"""TensorBoard events of a session in a trainer, with the names that `dsd-run` gives them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dsd_runtime.engine.session import Session
from dsd_runtime.tracking.tensorboard import TensorBoard
from dsd_runtime.tracking.tracker import NodeInTraining


class Curves:
    """Passes a session's events to the TensorBoard writer of `dsd-run`."""

    def __init__(self, folder: Path, session: Session, best_metric: str) -> None:
        self._session = session
        self._writer = TensorBoard(folder, session.plan, {}, best_metric)
        self._metrics: dict[str, float] = {}

    @property
    def _node(self) -> NodeInTraining:
        return NodeInTraining(self._session.stage.phase, "", self._session)

    def started(self) -> None:
        """Training starts: with the first phase, or where a saved run was."""
        if self._session.total_updates:
            self._writer.resumed(self._node)
        else:
            self._writer.entered(self._node, self._session.events)

    def begin_step(self) -> None:
        """Begins an update of the session, with both sides of a boundary drawn."""
        index = self._session.stage.index
        if self._session.is_phase_over and not self._session.is_over:
            self._writer.before_boundary(self._node)
        self._session.begin_step()
        if self._session.stage.index != index:
            self._writer.entered(self._node, self._session.events)
        self._writer.advanced(self._node, update=self._session.phase.step)

    def lost(self, loss: float, rate: float) -> None:
        """The mean training loss of the last updates, and the rate of the last one."""
        self._writer.updated(self._node, update=self._session.phase.step, loss=loss, rate=rate, samples=0)

    def reported(self, metrics: Mapping[str, float]) -> None:
        """The session received a report."""
        self._metrics = dict(metrics)
        phase = self._session.phase
        epoch = phase.step / self._session.stage.updates_per_epoch
        self._writer.evaluated(self._node, dict(metrics), epoch=epoch, update=phase.step)

    def close(self) -> None:
        """Ends the files; at the end of the schedule with the last weights."""
        if self._session.is_over:
            self._writer.finished(self._node, self._metrics, seconds=0.0)
        self._writer.close()
