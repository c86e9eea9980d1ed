"""The executed prefix of a plan, written into a session's state and checked when it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dsd_lang.errors import DsdError
from dsd_lang.plan import Plan, meaning


def prefix_of(plan: Plan, index: int) -> list[dict[str, Any]]:
    """What the phases up to and including ``index`` do, as plain data."""
    position = {phase.id: place for place, phase in enumerate(plan.phases)}
    return [meaning(phase, position) for phase in plan.phases[: index + 1]]


def check_prefix(plan: Plan, state: Mapping[str, Any]) -> None:
    """Raises :class:`DsdError` at the first difference between the executed phases and the plan's."""
    if state.get("version") != 1:
        raise DsdError("the saved session is of another version", help="start afresh")
    executed: list[dict[str, Any]] = list(state["prefix"])
    present = prefix_of(plan, len(executed) - 1)
    for place, before in enumerate(executed):
        if place >= len(present):
            raise DsdError(
                f"the saved run has executed {len(executed)} phases, the schedule has {len(present)}",
                help="restore the schedule, or start afresh",
            )
        now = present[place]
        for key in sorted(set(before) | set(now)):
            if before.get(key) != now.get(key):
                raise DsdError(
                    f"phase {place} was already trained with `{key}` = {before.get(key)}, the schedule now says "
                    f"{now.get(key)}",
                    help="restore the schedule up to there, or start afresh",
                )
