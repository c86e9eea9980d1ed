"""Events at phase boundaries as data, for the user, the log and the tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

EventKind = Literal["enter", "select", "exit", "stop", "warning"]


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its update (counted from 0 over all phases), its phase, and details as plain data."""

    kind: EventKind
    update: int
    phase: str
    details: dict[str, Any] = field(default_factory=dict)


def record_event(events: list[Event], event: Event) -> None:
    """Appends an event; of the selections of a ramp, only the latest of a phase keeps its details."""
    if event.kind == "select" and events and events[-1].kind == "select" and events[-1].phase == event.phase:
        events[-1] = Event("select", events[-1].update, event.phase)
    events.append(event)


def packed(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Events as plain data; selections of a ramp at equal intervals become one entry with their number (``times``)."""
    entries: list[dict[str, Any]] = []
    for event in events:
        last = entries[-1] if entries else {}
        if not event.details and _goes_on(last, event):
            last["every"], last["times"] = event.update - _last_update(last), last["times"] + 1
        else:
            entries.append({**asdict(event), "every": 0, "times": 1})
    return entries


def unpacked(entries: Iterable[Mapping[str, Any]]) -> list[Event]:
    """The inverse of :func:`packed`."""
    return [
        Event(entry["kind"], entry["update"] + index * entry["every"], entry["phase"], dict(entry["details"]))
        for entry in entries
        for index in range(entry["times"])
    ]


def _goes_on(last: Mapping[str, Any], event: Event) -> bool:
    if event.kind != "select" or last.get("kind") != "select" or last["phase"] != event.phase or last["details"]:
        return False
    return bool(last["times"] == 1 or event.update - _last_update(last) == last["every"])


def _last_update(entry: Mapping[str, Any]) -> int:
    return int(entry["update"] + (entry["times"] - 1) * entry["every"])
