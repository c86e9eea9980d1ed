"""Compares two plans: phases, settings, comparisons, totals.

Branches are matched by path, or as renamed if they train the same. Within a branch phases are aligned, so an inserted
phase is one addition and does not change all the phases after it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import Literal

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.plan import Plan
from dsd_lang.plan.setting_text import setting_text
from dsd_lang.views.diff.alignment import Pair, align, likeness
from dsd_lang.views.diff.attributes import Attributes, attributes, is_derived, without_numbers

__all__ = ["AttributeChange", "PhaseChange", "PlanDiff", "ValueChange", "diff_plans"]


_MOST_LINES_COMPARED = 10_000
_LIKE_ENOUGH = 5.0


class AttributeChange(NamedTuple):
    """One attribute of a phase; ``is_derived``: the new value follows from another phase or setting."""

    name: str
    old: str | None
    new: str | None
    is_derived: bool


class PhaseChange(NamedTuple):
    """The change of a phase: its numbers in the two plans, and the attributes that differ."""

    kind: Literal["same", "changed", "added", "removed", "moved"]
    old: int | None
    new: int | None
    attributes: tuple[AttributeChange, ...]


class ValueChange(NamedTuple):
    """A setting, comparison or expectation that differs; None in a plan that does not have it."""

    name: str
    old: str | None
    new: str | None


class PlanDiff(NamedTuple):
    """All differences; ``phases`` also has the unchanged phases, in the new plan's order."""

    old: Plan
    new: Plan
    phases: tuple[PhaseChange, ...]
    renamed: tuple[tuple[str, str], ...]
    labels: tuple[ValueChange, ...]
    settings: tuple[ValueChange, ...]
    comparisons: tuple[ValueChange, ...]
    expectations: tuple[ValueChange, ...]

    @property
    def is_same(self) -> bool:
        """Whether the plans have the same training, settings and comparisons; names may differ."""
        claims = self.settings or self.comparisons or self.expectations
        return not claims and all(change.kind == "same" for change in self.phases)


def diff_plans(old: Plan, new: Plan) -> PlanDiff:
    """What changes from ``old`` to ``new``."""
    comparison = _Comparison(old, new)
    return PlanDiff(
        old,
        new,
        comparison.phases(),
        tuple(pair for pair in comparison.branches if pair[0] != pair[1]),
        comparison.labels(),
        _value_changes(_settings(old), _settings(new)),
        _value_changes(_comparisons(old), _comparisons(new)),
        _value_changes(_expectations(old), _expectations(new)),
    )


_Look = tuple[tuple[str, str], ...]


class _Comparison:
    def __init__(self, old: Plan, new: Plan) -> None:
        self.old, self.new = old, new
        self.looks = tuple([attributes(phase, {}) for phase in plan.phases] for plan in (old, new))
        self.blind = tuple([without_numbers(look) for look in looks] for looks in self.looks)
        self.lines = tuple(_lines(plan) for plan in (old, new))
        self.branches = self._match_branches()
        self.pairs = self._match_phases()

    def _match_branches(self) -> list[tuple[str, str]]:
        """The pairs of corresponding paths."""
        old, new = self.lines
        found = [(path, path) for path in old if path in new]
        left, right = ([path for path in side if path not in other] for side, other in ((old, new), (new, old)))
        for path in left if len(left) * len(right) <= _MOST_LINES_COMPARED else ():
            twin = max(right, key=lambda other: self._likeness(path, other), default=None)
            if twin is not None and self._likeness(path, twin) >= _LIKE_ENOUGH:
                found.append((path, twin))
                right.remove(twin)
        return found

    def _likeness(self, old: str, new: str) -> float:
        """How similar two branches are: 0 unless their phases have the same modes in the same order."""
        sides = zip(self.lines, (old, new), self.blind, strict=True)
        a, b = ([blind[index] for index in lines[path]] for lines, path, blind in sides)
        if len(a) != len(b):
            return 0.0
        likes = [likeness(*pair) for pair in zip(a, b, strict=True)]
        return sum(likes) / len(likes) if all(likes) else 0.0

    def _match_phases(self) -> list[Pair]:
        pairs: list[Pair] = []
        for old, new in self.branches:
            sides = self.lines[0][old], self.lines[1][new]
            looks = [[blind[index] for index in side] for blind, side in zip(self.blind, sides, strict=True)]
            pairs += [
                (None if a is None else sides[0][a], None if b is None else sides[1][b])
                for a, b in align(looks[0], looks[1])
            ]
        known = {path for path, _ in self.branches}, {path for _, path in self.branches}
        pairs += [(index, None) for path, line in self.lines[0].items() if path not in known[0] for index in line]
        pairs += [(None, index) for path, line in self.lines[1].items() if path not in known[1] for index in line]
        return pairs

    def phases(self) -> tuple[PhaseChange, ...]:
        """All changes in the new plan's order; a removed phase comes before the one that replaces it."""
        matched = {a: b for a, b in self.pairs if a is not None and b is not None}
        moved = self._moved()
        arrived = set(moved.values())
        stays = matched | moved
        names = {
            phase.id: f"p{stays[a]}" if a in stays else f"{phase.id} (removed)"
            for a, phase in enumerate(self.old.phases)
        }
        renamed = [attributes(phase, names) for phase in self.old.phases]
        changes = [self._change(a, b, renamed, stays) for a, b in self.pairs if a not in moved and b not in arrived]
        changes += [PhaseChange("moved", a, b, self._differences(a, b, renamed)) for a, b in moved.items()]
        order = _Order(stays)
        return tuple(sorted(changes, key=order.position))

    def _moved(self) -> dict[int, int]:
        """Phases that moved without a change: swapped ones, and removed ones that were added elsewhere."""
        arrived: dict[tuple[tuple[str, str], ...], list[int]] = {}
        for a, b in self.pairs:
            if a is None and b is not None:
                arrived.setdefault(tuple(self.blind[1][b].items()), []).append(b)
        moved = self._swapped()
        for a, b in self.pairs:
            if b is None and a is not None and arrived.get(key := tuple(self.blind[0][a].items())):
                moved[a] = arrived[key].pop(0)
        return moved

    def _swapped(self) -> dict[int, int]:
        """Pairs of phases that were swapped."""
        waiting: dict[tuple[_Look, _Look], list[Pair]] = {}
        moved: dict[int, int] = {}
        for a, b in self.pairs:
            if a is None or b is None or self.blind[0][a] == self.blind[1][b]:
                continue
            was, now = tuple(self.blind[0][a].items()), tuple(self.blind[1][b].items())
            if waiting.get((now, was)):
                other_a, other_b = waiting[now, was].pop()
                assert other_a is not None, "only matched phases wait"
                assert other_b is not None, "only matched phases wait"
                moved |= {other_a: b, a: other_b}
            else:
                waiting.setdefault((was, now), []).append((a, b))
        return moved

    def _change(
        self, a: int | None, b: int | None, renamed: Sequence[Attributes], matched: dict[int, int]
    ) -> PhaseChange:
        if a is None:
            return PhaseChange("added", None, b, ())
        if b is None:
            return PhaseChange("removed", a, None, ())
        different = (*self._differences(a, b, renamed), *self._start(a, b, matched))
        return PhaseChange("changed" if different else "same", a, b, different)

    def _differences(self, a: int, b: int, renamed: Sequence[Attributes]) -> tuple[AttributeChange, ...]:
        old, new, phase = renamed[a], self.looks[1][b], self.new.phases[b]
        return tuple(
            AttributeChange(name, old.get(name), new.get(name), is_derived(phase, name))
            for name in dict.fromkeys((*old, *new))
            if old.get(name) != new.get(name)
        )

    def _start(self, a: int, b: int, matched: dict[int, int]) -> tuple[AttributeChange, ...]:
        """The phase that a branch starts from, if it has changed."""
        old, new = self.old.phases[a], self.new.phases[b]
        is_fork = any(
            phase.parent is not None and plan.phases[_number(phase.parent)].path != phase.path
            for phase, plan in ((old, self.old), (new, self.new))
        )
        before = None if old.parent is None else matched.get(_number(old.parent), -1)
        after = None if new.parent is None else _number(new.parent)
        if not is_fork or before == after:
            return ()
        return (AttributeChange("after", _start_text(before), _start_text(after), False),)

    def labels(self) -> tuple[ValueChange, ...]:
        """Corresponding phases with another label."""
        found = []
        for a, b in self.pairs:
            if a is not None and b is not None and self.old.phases[a].label != self.new.phases[b].label:
                found.append(ValueChange(str(b), self.old.phases[a].label, self.new.phases[b].label))
        return tuple(found)


def _start_text(index: int | None) -> str:
    return "the start" if index is None else f"phase {index}" if index >= 0 else "a removed phase"


def _number(identifier: str) -> int:
    return int(identifier[1:])


class _Order:
    """The new plan's order; a removed phase comes after the last remaining one before it."""

    def __init__(self, stays: dict[int, int]) -> None:
        self._old = sorted(stays)
        self._new = list(accumulate((stays[index] for index in self._old), max))

    def position(self, change: PhaseChange) -> tuple[float, int]:
        if change.new is not None:
            return change.new, 0
        assert change.old is not None, "a change has a phase in one plan at least"
        before = bisect_left(self._old, change.old)
        return (self._new[before - 1] + 0.5 if before else -0.5), change.old


def _lines(plan: Plan) -> dict[str, list[int]]:
    lines: dict[str, list[int]] = {}
    for index, phase in enumerate(plan.phases):
        lines.setdefault(phase.path, []).append(index)
    return lines


def _value_changes(old: dict[str, str], new: dict[str, str]) -> tuple[ValueChange, ...]:
    return tuple(
        ValueChange(name, old.get(name), new.get(name))
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    )


def _settings(plan: Plan) -> dict[str, str]:
    return {name: setting_text(value) for name, value in plan.settings.items()}


def _comparisons(plan: Plan) -> dict[str, str]:
    return {f"{item.left} vs {item.right} on {item.on}": f"{item.test} at {item.at}" for item in plan.comparisons}


def _expectations(plan: Plan) -> dict[str, str]:
    return {item.text: item.text for item in plan.expectations}
