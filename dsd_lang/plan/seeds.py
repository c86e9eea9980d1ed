"""Groups the branches that a `fork seeds=N` makes: `dsd.seed0`, `dsd.seed1`, ... are the seeds of the arm `dsd`."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from dsd_lang.plan.parts import Phase

_SEED = r"\.seed\d+(?!\w)"

Item = TypeVar("Item")


def arm_of(path: str) -> str:
    """The path of a branch without its seeds.

    >>> arm_of("dsd.seed0"), arm_of("grid[25%].seed3.late"), arm_of("")
    ('dsd', 'grid[25%].late', '')
    """
    return re.sub(_SEED, "", path)


def phases_by_arm(phases: Iterable[Phase]) -> dict[str, dict[str, list[Phase]]]:
    """The own phases of every arm that has some, in order, by the path of each of its seeds."""
    arms: dict[str, dict[str, list[Phase]]] = {}
    for phase in phases:
        arms.setdefault(arm_of(phase.path), {}).setdefault(phase.path, []).append(phase)
    return arms


def grouped_by_seed(items: Iterable[Item], path_of: Callable[[Item], str]) -> list[list[Item]]:
    """One item a phase: those of phases that differ in their seed only, together, in order.

    >>> grouped_by_seed(["a.seed0", "a.seed0", "a.seed1", "a.seed1", "b"], str)
    [['a.seed0', 'a.seed1'], ['a.seed0', 'a.seed1'], ['b']]
    """
    groups: dict[tuple[str, int], list[Item]] = {}
    numbers: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)
    for item in items:
        path = path_of(item)
        groups.setdefault((arm_of(path), next(numbers[path])), []).append(item)
    return list(groups.values())
