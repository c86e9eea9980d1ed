"""How many weights the mask updates of a phase with `update=` have moved, from a session's events."""

from __future__ import annotations

from collections.abc import Sequence

from dsd_runtime.engine.events import Event


def moved_since(events: Sequence[Event], known: int) -> int | None:
    """The weights that moved at the latest mask update after the first ``known`` events; None if there was none."""
    return next((event.details["moved"] for event in reversed(events[known:]) if event.kind == "move"), None)
