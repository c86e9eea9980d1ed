"""The queue of phases that can be trained now: everything they need is there."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping

import networkx as nx

from dsd_lang.plan import Plan
from dsd_lang.plan.dependencies import dependency_graph


class ReadyQueue:
    """Hands out every phase once, after all it needs.

    For one process in the order of the schedule. For several at a time the main line goes first, as branches wait for
    it, then what the most updates depend on (``updates`` by phase id); a worker goes on with the line that it has.
    """

    def __init__(self, plan: Plan, updates: Mapping[str, int] | None = None) -> None:
        self._graph: nx.DiGraph = dependency_graph(plan)
        self._phases = {phase.id: phase for phase in plan.phases}
        position = {identifier: index for index, identifier in enumerate(self._phases)}
        behind = _longest_paths(self._graph, updates) if updates is not None else dict.fromkeys(position, 0)
        branches = {phase.id: updates is not None and bool(phase.path) for phase in plan.phases}
        self._rank = {one: (branches[one], -behind[one], position[one]) for one in position}
        self._missing = {one: int(self._graph.in_degree(one)) for one in position}
        self._waiting = set(position)
        self._ready: set[str] = set()
        self._heap: list[tuple[bool, int, int, str]] = []
        for one, count in self._missing.items():
            if not count:
                self._add(one)

    @property
    def has_ready(self) -> bool:
        return bool(self._ready)

    @property
    def unfinished(self) -> int:
        """How many phases have neither ended nor been given up."""
        return len(self._waiting)

    def take(self, after: str | None = None) -> str | None:
        """The next phase to train, None if there is none now; ``after`` is what the worker has trained last."""
        self._drop_taken()
        if not self._ready:
            return None
        first = self._heap[0][-1]
        chosen = next(self._continuations(after), first) if self._rank[first][0] else first
        self._ready.discard(chosen)
        return chosen

    def done(self, phase: str) -> None:
        """A phase has a result, or is skipped: what waited only for it is ready."""
        self._waiting.discard(phase)
        for after in self._graph.successors(phase):
            self._missing[after] -= 1
            if not self._missing[after] and after in self._waiting:
                self._add(after)

    def put_back(self, phase: str) -> None:
        """A phase that was taken is not trained after all, and can be taken again."""
        self._add(phase)

    def failed(self, phase: str) -> list[str]:
        """Gives up a phase and everything that needs it; returns these others in the order of the plan."""
        lost = nx.descendants(self._graph, phase) & self._waiting
        self._waiting -= {phase, *lost}
        return sorted(lost, key=lambda one: self._rank[one][-1])

    def _continuations(self, after: str | None) -> Iterator[str]:
        """The ready phases that go on with the line of ``after``."""
        if after is not None:
            yield from (
                one for one in self._graph.successors(after) if one in self._ready and self._goes_on(after, one)
            )

    def _drop_taken(self) -> None:
        while self._heap and self._heap[0][-1] not in self._ready:
            heapq.heappop(self._heap)

    def _goes_on(self, before: str, phase: str) -> bool:
        now = self._phases[phase]
        return now.parent == before and now.path == self._phases[before].path

    def _add(self, phase: str) -> None:
        self._ready.add(phase)
        heapq.heappush(self._heap, (*self._rank[phase], phase))


def _longest_paths(graph: nx.DiGraph, updates: Mapping[str, int]) -> dict[str, int]:
    """The updates on the longest way from the begin of each phase to an end of the plan."""
    longest: dict[str, int] = {}
    for one in reversed(list(nx.topological_sort(graph))):
        longest[one] = updates[one] + max((longest[after] for after in graph.successors(one)), default=0)
    return longest
