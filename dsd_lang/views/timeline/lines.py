"""The lines of a timeline: the main line, then each branch starting at its fork; equal seeds are drawn as one."""

from __future__ import annotations

from collections.abc import Hashable

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.plan import Phase, Plan
from dsd_lang.plan.seeds import arm_of
from dsd_lang.views.timeline.clocks import Clocks


class Lane(NamedTuple):
    """The phases of one path, each with its number in the plan; it stands for ``num_seeds`` equal seeds."""

    name: str
    phases: tuple[tuple[int, Phase], ...]
    num_seeds: int

    @property
    def title(self) -> str:
        return f"{self.name} x{self.num_seeds}" if self.num_seeds > 1 else self.name


def lanes_of(plan: Plan, clocks: Clocks) -> tuple[Lane, ...]:
    """The lines in order of their first phase; the main line is called `main` if there are others."""
    by_path: dict[str, list[tuple[int, Phase]]] = {}
    for index, phase in enumerate(plan.phases):
        by_path.setdefault(phase.path, []).append((index, phase))
    alike: dict[Hashable, list[str]] = {}
    for path, members in by_path.items():
        alike.setdefault(_look(path, members, clocks), []).append(path)
    lines = []
    for paths in alike.values():
        name = paths[0] if len(paths) == 1 else arm_of(paths[0])
        lines.append(Lane(name or ("main" if len(by_path) > 1 else ""), tuple(by_path[paths[0]]), len(paths)))
    return tuple(lines)


def _look(path: str, members: list[tuple[int, Phase]], clocks: Clocks) -> Hashable:
    """A key that is equal for seeds of one branch that are drawn alike."""
    name = arm_of(path)
    if name == path:
        return path
    looks = tuple(
        (clocks.stretches[phase.id], phase.mode, phase.target, phase.lr.model_copy(update={"phase": None}))
        for _, phase in members
    )
    return name, looks
