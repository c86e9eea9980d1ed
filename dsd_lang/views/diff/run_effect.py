"""The cost of a change in a run folder: which trained phases remain valid and which do not."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.plan import Phase, Plan


class NodeState(NamedTuple):
    """A phase in a run folder: `trained`, `unfinished (500it)`, `skipped` or `to train`, and its content key."""

    state: str
    key: str

    @property
    def has_trained(self) -> bool:
        return self.state not in ("to train", "skipped")


class RunEffect(NamedTuple):
    """The effect of a change on a run folder: phases by number; phases that are the same training count once.

    ``invalidated`` are trained phases of the old plan that the new plan does not use, ``kept`` the phases of the new
    plan that are already trained, and ``to_train`` those that it would train.
    """

    num_trained: int
    invalidated: tuple[int, ...]
    kept: tuple[int, ...]
    to_train: tuple[int, ...]
    lost: tuple[Fraction, Fraction]
    needed: tuple[Fraction, Fraction]


def run_effect(
    old: Plan, new: Plan, old_states: Mapping[str, NodeState], new_states: Mapping[str, NodeState]
) -> RunEffect:
    """Compares phases by their content keys; lengths are those of the plans, in epochs and in updates."""
    used = {state.key for state in new_states.values()}
    trained = _distinct(old, old_states, has_trained=True)
    invalidated = [number for number in trained if old_states[old.phases[number].id].key not in used]
    kept = _distinct(new, new_states, has_trained=True)
    to_train = _distinct(new, new_states, has_trained=False)
    return RunEffect(
        len(trained),
        tuple(invalidated),
        tuple(kept),
        tuple(to_train),
        _sum([old.phases[number] for number in invalidated]),
        _sum([new.phases[number] for number in to_train]),
    )


def _distinct(plan: Plan, states: Mapping[str, NodeState], *, has_trained: bool) -> list[int]:
    """The first phase of each training that is trained, or still to train."""
    first: dict[str, int] = {}
    for number, phase in enumerate(plan.phases):
        state = states[phase.id]
        if state.has_trained is has_trained and state.state != "skipped":
            first.setdefault(state.key, number)
    return list(first.values())


def _sum(phases: list[Phase]) -> tuple[Fraction, Fraction]:
    lengths = [phase.duration.length for phase in phases]
    epochs, updates = (sum((one.value for one in lengths if one.unit == unit), Fraction(0)) for unit in ("ep", "it"))
    return epochs, updates
