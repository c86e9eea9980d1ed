"""Events at phase boundaries as data, for the user, the log and the tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

EventKind = Literal["enter", "select", "move", "exit", "stop", "warning"]


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its update (counted from 0 over all phases), its phase, and details as plain data."""

    kind: EventKind
    update: int
    phase: str
    details: dict[str, Any] = field(default_factory=dict)


_BRIEF: dict[str, tuple[str, ...]] = {"select": (), "move": ("moved",)}
"""The kinds that come at intervals, and the details that all events of the kind keep."""


def record_event(events: list[Event], event: Event) -> None:
    """Appends an event; of the selections of a ramp, and of mask updates, only a phase's latest keeps all details."""
    if event.kind in _BRIEF:
        _shorten_last(events, event)
    events.append(event)


def _shorten_last(events: list[Event], event: Event) -> None:
    for index in range(len(events) - 1, -1, -1):
        last = events[index]
        if last.kind not in _BRIEF or last.phase != event.phase:
            return
        if last.kind == event.kind:
            kept = {name: last.details[name] for name in _BRIEF[event.kind]}
            events[index] = Event(last.kind, last.update, last.phase, kept)
            return


def packed(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Events as plain data; those of a kind at equal intervals become one entry with their number (``times``).

    What each of them keeps is a list of that length.
    """
    entries: list[dict[str, Any]] = []
    for event in events:
        last = entries[-1] if entries else {}
        details = {name: [event.details[name]] for name in _BRIEF[event.kind]} if _is_brief(event) else event.details
        if _is_brief(event) and _goes_on(last, event):
            last["every"], last["times"] = event.update - _last_update(last), last["times"] + 1
            for name, values in details.items():
                last["details"][name] += values
        else:
            entries.append({**asdict(event), "details": dict(details), "every": 0, "times": 1})
    return entries


def unpacked(entries: Iterable[Mapping[str, Any]]) -> list[Event]:
    """The inverse of :func:`packed`."""
    return [
        Event(entry["kind"], entry["update"] + index * entry["every"], entry["phase"], _details(entry, index))
        for entry in entries
        for index in range(entry["times"])
    ]


def _details(entry: Mapping[str, Any], index: int) -> dict[str, Any]:
    details: Mapping[str, Any] = entry["details"]
    if tuple(details) != _BRIEF.get(entry["kind"]):
        return dict(details)
    return {name: values[index] for name, values in details.items()}


def _is_brief(event: Event) -> bool:
    """Whether an event has only what all events of its kind keep."""
    return tuple(event.details) == _BRIEF.get(event.kind)


def _goes_on(last: Mapping[str, Any], event: Event) -> bool:
    kind = last.get("kind")
    if (kind, last.get("phase")) != (event.kind, event.phase) or tuple(last["details"]) != _BRIEF.get(event.kind):
        return False
    return bool(last["times"] == 1 or event.update - _last_update(last) == last["every"])


def _last_update(entry: Mapping[str, Any]) -> int:
    return int(entry["update"] + (entry["times"] - 1) * entry["every"])
