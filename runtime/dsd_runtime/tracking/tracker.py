"""The interface of trackers, and the dispatch of a run's events to them.

A sink implements the methods it needs; :class:`Tracker` calls all sinks in turn, so that the runner knows only one
object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from dsd_lang.plan import Phase
from dsd_runtime.engine.events import Event
from dsd_runtime.engine.session import Session


@dataclass(frozen=True, slots=True)
class NodeInTraining:
    """The context of an event: the phase, its node's key, and the session."""

    phase: Phase
    key: str
    session: Session


class Sink:
    """A base that does nothing, for sinks that record or show."""

    def reused(self, phase: Phase, key: str, metrics: dict[str, float]) -> None:
        """A node was trained in an earlier run."""

    def skipped(self, phase: Phase, key: str) -> None:
        """A node is not trained because its loop has ended."""

    def resumed(self, node: NodeInTraining) -> None:
        """A node resumes from its progress checkpoint."""

    def before_boundary(self, node: NodeInTraining) -> None:
        """A phase is about to be entered; the model is still in the state in which the last phase ended."""

    def entered(self, node: NodeInTraining, events: Sequence[Event]) -> None:
        """A phase has been entered."""

    def advanced(self, node: NodeInTraining, *, update: int) -> None:
        """An update was applied; nothing was read from the device."""

    def evaluating(self, node: NodeInTraining) -> None:
        """An evaluation begins."""

    def updated(self, node: NodeInTraining, *, update: int, loss: float, rate: float, samples: int) -> None:
        """Updates were applied (see :class:`dsd_runtime.training.loop.Listener`)."""

    def evaluated(self, node: NodeInTraining, metrics: dict[str, float], *, epoch: float, update: int) -> None:
        """Metrics were measured."""

    def finished(self, node: NodeInTraining, metrics: dict[str, float], *, seconds: float) -> None:
        """A node has been trained to its end."""

    def saved(self, path: Path) -> None:
        """A checkpoint has been written."""

    def close(self) -> None:
        """The run has ended, successfully or not."""


@dataclass(frozen=True, slots=True)
class NodeListener:
    """Passes one node's updates (from the loop) and reports (from the session) to all sinks."""

    node: NodeInTraining
    sinks: tuple[Sink, ...]

    def advanced(self, *, update: int) -> None:
        for sink in self.sinks:
            sink.advanced(self.node, update=update)

    def evaluating(self) -> None:
        for sink in self.sinks:
            sink.evaluating(self.node)

    def updated(self, *, update: int, loss: float, rate: float, samples: int) -> None:
        for sink in self.sinks:
            sink.updated(self.node, update=update, loss=loss, rate=rate, samples=samples)

    def reported(self, metrics: Mapping[str, float]) -> None:
        """The session received a report: every sink gets it, with the session's clocks."""
        phase = self.node.session.phase
        epoch = phase.step / self.node.session.stage.updates_per_epoch
        for sink in self.sinks:
            sink.evaluated(self.node, dict(metrics), epoch=epoch, update=phase.step)


@dataclass(frozen=True, slots=True)
class Tracker:
    """All sinks of a run."""

    sinks: tuple[Sink, ...]

    def listener(self, node: NodeInTraining) -> NodeListener:
        return NodeListener(node, self.sinks)

    def reused(self, phase: Phase, key: str, metrics: dict[str, float]) -> None:
        for sink in self.sinks:
            sink.reused(phase, key, metrics)

    def skipped(self, phase: Phase, key: str) -> None:
        for sink in self.sinks:
            sink.skipped(phase, key)

    def resumed(self, node: NodeInTraining) -> None:
        for sink in self.sinks:
            sink.resumed(node)

    def before_boundary(self, node: NodeInTraining) -> None:
        for sink in self.sinks:
            sink.before_boundary(node)

    def entered(self, node: NodeInTraining, events: Sequence[Event]) -> None:
        for sink in self.sinks:
            sink.entered(node, events)

    def finished(self, node: NodeInTraining, metrics: dict[str, float], *, seconds: float) -> None:
        for sink in self.sinks:
            sink.finished(node, metrics, seconds=seconds)

    def saved(self, path: Path) -> None:
        for sink in self.sinks:
            sink.saved(path)

    def close(self) -> None:
        """Closes every sink, the last first, even if one of them fails."""
        with ExitStack() as stack:
            for sink in self.sinks:
                stack.callback(sink.close)
