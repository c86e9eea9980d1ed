"""What the runner asks of an executor, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from dsd_runtime.experiment.failures import failure_from_data

Kind = Literal["trained", "elsewhere", "stopped", "failed"]

MOST_TRIES = 3
"""How often a phase is begun whose workers are killed; its progress is kept."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a phase: trained (with its last metrics), in training by somebody else, stopped, or failed."""

    phase: str
    kind: Kind
    metrics: dict[str, float] = field(default_factory=dict)
    error: Exception | None = None

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Outcome:
        """The outcome that another process describes."""
        error = failure_from_data(data["error"]) if "error" in data else None
        return cls(data["phase"], data["kind"], data.get("metrics", {}), error)


class Executor(Protocol):
    """Trains phases, some at a time."""

    name: str
    """Who is said to have trained a phase; empty if the training itself tells what it does."""

    is_here: bool
    """Whether :meth:`wait` does the work in this process, and looks for the request to stop itself."""

    @property
    def idle(self) -> Sequence[str | None]:
        """For each worker that can begin now the phase that it trained last; None: none yet."""

    def submit(self, phase: str, after: str | None) -> None:
        """Begins to train a phase, on the worker that trained ``after`` last."""

    def wait(self, seconds: float) -> list[Outcome]:
        """What has ended; waits for it, at most so many seconds if the work is done elsewhere."""

    def cancel(self) -> None:
        """Stops all work at the next update, with its progress saved; :meth:`wait` tells when it has stopped."""

    def close(self) -> None:
        """Ends all workers at once."""
