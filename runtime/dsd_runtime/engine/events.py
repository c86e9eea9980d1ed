"""What happened at boundaries, as data: for the user, the log and the tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

EventKind = Literal["enter", "select", "exit", "stop", "warning"]


@dataclass(frozen=True, slots=True)
class Event:
    """One happening: at which update (counted from 0 over the line), in which phase, with plain-data details."""

    kind: EventKind
    update: int
    phase: str
    details: dict[str, Any] = field(default_factory=dict)
