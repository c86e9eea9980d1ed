"""Checks that a saved session fits: its version, and the executed part of its plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Plan, meaning
from dsd_runtime.engine.stages import Timeline

STATE_VERSION = 2
"""Raised whenever what a session saves changes; a state of another version is refused."""


def of_another_version(why: str) -> DsdError:
    """The error for a saved state of another version."""
    return DsdError(
        f"the checkpoint was written by a different version of the program: {why}",
        help="use that version, or start again (`dsd-run --fresh`)",
    )


@contextmanager
def reading_state() -> Iterator[None]:
    """Turns a missing or unknown part of a saved state into an error that names its origin."""
    try:
        yield
    except KeyError as error:
        raise of_another_version(f"it has no {error}") from error
    except TypeError as error:
        raise of_another_version(str(error)) from error


def require_same_seed(state: Mapping[str, Any], seed: int) -> None:
    """Raises :class:`DsdError` if a saved state belongs to a session with another seed."""
    if state["seed"] != seed:
        raise DsdError(
            f"the saved run was trained with seed {state['seed']}, this session has seed {seed}",
            help=f"continue with `attach(..., seed={state['seed']})`, or start again",
        )


class Prefix:
    """What the phases of a plan do, as plain data; computed once for each phase."""

    def __init__(self, plan: Plan, timeline: Timeline) -> None:
        self._stages = timeline.stages
        self._position = {phase.id: number for number, phase in enumerate(plan.phases)}
        self._meanings: list[dict[str, Any]] = []

    def up_to(self, index: int) -> list[dict[str, Any]]:
        """The phases up to and including that one, with their lengths in updates."""
        for stage in self._stages[len(self._meanings) : index + 1]:
            length = {"updates": stage.length, "updates_per_epoch": stage.updates_per_epoch}
            executed = {**meaning(stage.phase, self._position), **length}
            executed.pop("cycles", None)  # a loop's condition does not change a trained phase
            self._meanings.append(executed)
        return self._meanings[: index + 1]

    def check(self, state: Mapping[str, Any]) -> None:
        """Raises :class:`DsdError` at the first difference between the executed phases and the plan's."""
        if state.get("version") != STATE_VERSION:
            raise of_another_version(f"its version is {state.get('version')}, this program's is {STATE_VERSION}")
        executed: list[dict[str, Any]] = list(state["prefix"])
        if len(executed) > len(self._stages):
            raise DsdError(
                f"the saved run has executed {len(executed)} phases, the schedule has {len(self._stages)}",
                help="restore the schedule, or start again",
            )
        for number, (before, now) in enumerate(zip(executed, self.up_to(len(executed) - 1), strict=True)):
            if before != now:
                raise _difference(number, before, now)

    def reopened(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The state at the end of a phase as a state inside a longer one, whose end is not recorded yet."""
        index, executed = int(state["index"]), list(state["prefix"])
        now, own = self.up_to(index)[index], self._stages[index].phase.id
        events = [event for event in state["events"] if (event["phase"], event["kind"]) != (own, "exit")]
        rates = {phase: rate for phase, rate in state["last_rates"].items() if phase != own}
        return {
            **state,
            "prefix": [*executed[:index], now],
            "stopped": False,
            "exited": False,
            "last_rates": rates,
            "events": events,
        }


def _difference(number: int, before: Mapping[str, Any], now: Mapping[str, Any]) -> DsdError:
    key = next(key for key in (*before, *now) if before.get(key) != now.get(key))
    return DsdError(
        f"phase {number} was trained with `{key}` = {_shown(before.get(key))}, now it has {_shown(now.get(key))}",
        help="restore the schedule (and the batch size) up to there, or start again",
    )


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{key}={_shown(part)}" for key, part in value.items()) + ")"
    return "nothing" if value is None else str(value)
