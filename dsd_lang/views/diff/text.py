"""Prints a plan diff for a terminal, or as plain data for JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from dsd_lang.plan import Plan
from dsd_lang.plan.cost import in_words
from dsd_lang.plan.seeds import arm_of
from dsd_lang.report.colour import paint
from dsd_lang.views.diff import AttributeChange, PhaseChange, PlanDiff, ValueChange
from dsd_lang.views.diff.run_effect import RunEffect
from dsd_lang.views.diff.totals import TotalChange
from dsd_lang.views.table import MARK, rate_text, shown_numbers, target_text

_SIGNS = {"added": "+", "removed": "-", "changed": "~", "moved": ">"}
_COLOURS = {"added": "added", "removed": "removed", "changed": "warning", "moved": "advice"}
_MOST_NUMBERS = 8


class DiffText:
    """How a diff is printed: its width, its colours, whether every change is listed."""

    def __init__(self, *, width: int, is_coloured: bool = False, is_whole: bool = False) -> None:
        self.width = width
        self.is_coloured = is_coloured
        self.is_whole = is_whole

    def text(self, diff: PlanDiff, sums: Sequence[TotalChange], effect: RunEffect | None = None, run: str = "") -> str:
        """The complete page."""
        old, new = diff.old, diff.new
        lines = [
            paint(f"--- {old.source} ({_phases(len(old.phases))})", "removed", is_coloured=self.is_coloured),
            paint(f"+++ {new.source} ({_phases(len(new.phases))})", "added", is_coloured=self.is_coloured),
            "",
            *self.phases(diff),
            *self.names(diff),
        ]
        for title, changes in (
            ("settings", diff.settings),
            ("compares", diff.comparisons),
            ("expects", diff.expectations),
        ):
            lines += [line for change in changes for line in self.wrapped(f"{title}: {_value_text(change)}")]
        for total in sums:
            before, after, change = total.texts
            lines.append(
                f"{total.name}: {before} -> {after} ({change})" if before != after else f"{total.name}: {after}"
            )
        if effect is not None:
            lines += self.effect(effect, run)
        return "\n".join(lines) + "\n"

    def phases(self, diff: PlanDiff) -> Iterator[str]:
        """Groups equal changes into one entry; unchanged phases are counted."""
        grouped: dict[tuple[object, ...], list[PhaseChange]] = {}
        num_by_settings = 0
        for change in (_without_settings(change, diff) for change in diff.phases):
            if change.kind == "changed" and not change.attributes:
                num_by_settings += 1
            elif change.kind != "same":
                grouped.setdefault(_likeness(change, diff), []).append(change)
        groups = list(grouped.values())
        shown = shown_numbers(len(groups), is_whole=self.is_whole)
        for index in shown:
            yield from self.group(groups[index], diff)
        if len(shown) < len(groups):
            yield f"({len(groups) - len(shown)} changes are left out: `--all` lists every one)"
        num_same = sum(change.kind == "same" for change in diff.phases)
        if diff.is_same:
            yield "the same schedule" + ("" if diff.old.hash == diff.new.hash else ", under other names")
        elif num_same:
            yield f"{_phases(num_same)} the same"
        if num_by_settings:
            yield f"{_phases(num_by_settings)} changed by the settings below alone"
        if any(attribute.is_derived for change in diff.phases for attribute in change.attributes):
            yield f"{MARK} derived: follows from another part of the schedule"

    def group(self, changes: Sequence[PhaseChange], diff: PlanDiff) -> Iterator[str]:
        first = changes[0]
        numbers = ", ".join(_numbers(change) for change in changes[:_MOST_NUMBERS])
        more = f" and {len(changes) - _MOST_NUMBERS} more" if len(changes) > _MOST_NUMBERS else ""
        sign = f"{_SIGNS[first.kind]} {numbers}{more}"
        head, *rest = self.wrapped(f"{sign}  {_described(first, diff)}")
        yield paint(head, _COLOURS[first.kind], is_coloured=self.is_coloured)
        yield from rest
        for attribute in first.attributes:
            yield from self.wrapped(f"    {_attribute_text(attribute)}", "      ")

    def names(self, diff: PlanDiff) -> Iterator[str]:
        pairs = dict.fromkeys((arm_of(old), arm_of(new)) for old, new in diff.renamed)
        yield from (f"renamed: branch `{old}` -> `{new}`" for old, new in pairs)
        shown = shown_numbers(len(diff.labels), is_whole=self.is_whole)
        for index in shown:
            number, old, new = diff.labels[index]
            yield f"label of phase {number}: {old or 'none'} -> {new or 'none'}"

    def effect(self, effect: RunEffect, run: str) -> Iterator[str]:
        """The effect of the change on a run folder."""
        yield from self.wrapped(f"in {run}: {_phases(effect.num_trained)} of the old plan trained")
        if effect.invalidated:
            numbers = _number_list(effect.invalidated)
            yield from self.wrapped(
                f"  invalidated: {numbers} of the old plan, {in_words(*effect.lost)} of training as written"
            )
        elif effect.num_trained:
            yield "  invalidated: none"
        if effect.to_train:
            numbers = _number_list(effect.to_train)
            yield from self.wrapped(f"  to train: {numbers} of the new plan, {in_words(*effect.needed)} as written")
        else:
            yield "  to train: none, all of the new plan is there"

    def wrapped(self, text: str, indent: str = "    ") -> list[str]:
        return textwrap.wrap(
            text, max(24, self.width), subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True
        )


def _phases(count: int) -> str:
    return f"{count} phase{'' if count == 1 else 's'}"


def _number_list(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:_MOST_NUMBERS])
    more = f" and {len(numbers) - _MOST_NUMBERS} more" if len(numbers) > _MOST_NUMBERS else ""
    return f"phase{'' if len(numbers) == 1 else 's'} {shown}{more}"


def _numbers(change: PhaseChange) -> str:
    if change.old is None or change.new is None:
        return str(change.new if change.old is None else change.old)
    return str(change.new) if change.old == change.new else f"{change.old}->{change.new}"


def _phase_of(change: PhaseChange, diff: PlanDiff) -> tuple[Plan, int]:
    if change.new is not None:
        return diff.new, change.new
    assert change.old is not None, "a change has a phase in one plan at least"
    return diff.old, change.old


def _described(change: PhaseChange, diff: PlanDiff) -> str:
    """The phase in words: complete if it was added or removed, short if it changed."""
    plan, number = _phase_of(change, diff)
    phase = plan.phases[number]
    target = f" {target_text(phase.target)}" if phase.mode == "sparse" else ""
    names = ".".join(name for name in (arm_of(phase.path), phase.label) if name)
    head = f"{names + ': ' if names else ''}{phase.mode}{target}"
    if change.kind in ("added", "removed"):
        return f"{head} {phase.duration.length.short}, lr {rate_text(phase.lr)}"
    return head


def _without_settings(change: PhaseChange, diff: PlanDiff) -> PhaseChange:
    """A change without the effects of a changed setting, which apply to every phase."""
    settings = {(name, old, new) for name, old, new in diff.settings}
    own = tuple(one for one in change.attributes if (one.name, one.old, one.new) not in settings)
    return change._replace(attributes=own)


def _likeness(change: PhaseChange, diff: PlanDiff) -> tuple[object, ...]:
    return change.kind, change.attributes, _described(change, diff)


def _attribute_text(change: AttributeChange) -> str:
    new = "default" if change.new is None else change.new
    mark = MARK if change.is_derived else ""
    return f"{change.name}: {'default' if change.old is None else change.old} -> {new}{mark}"


def _value_text(change: ValueChange) -> str:
    if change.name in (change.old, change.new):
        return f"{'+' if change.old is None else '-'} {change.name}"
    return f"{change.name}: {change.old or 'none'} -> {change.new or 'none'}"


def diff_data(
    diff: PlanDiff, sums: Sequence[TotalChange], effect: RunEffect | None = None, run: str = ""
) -> dict[str, Any]:
    """The diff as plain JSON data; unchanged phases are only counted."""
    data: dict[str, Any] = {
        "format_version": "1",
        "same": diff.is_same,
        "old": {"source": diff.old.source, "hash": diff.old.hash, "num_phases": len(diff.old.phases)},
        "new": {"source": diff.new.source, "hash": diff.new.hash, "num_phases": len(diff.new.phases)},
        "num_same": sum(change.kind == "same" for change in diff.phases),
        "phases": [_change_data(change) for change in diff.phases if change.kind != "same"],
        "renamed": [{"old": old, "new": new} for old, new in diff.renamed],
        "labels": _values(diff.labels),
        "settings": _values(diff.settings),
        "comparisons": _values(diff.comparisons),
        "expectations": _values(diff.expectations),
        "totals": {total.name.replace("-", "_"): _total_data(total) for total in sums},
    }
    if effect is not None:
        data["run"] = {
            "folder": run,
            "num_trained": effect.num_trained,
            "invalidated": _ids(diff.old, effect.invalidated),
            "kept": _ids(diff.new, effect.kept),
            "to_train": _ids(diff.new, effect.to_train),
            "lost": in_words(*effect.lost),
            "needed": in_words(*effect.needed),
        }
    return data


def _change_data(change: PhaseChange) -> dict[str, Any]:
    return {
        "change": change.kind,
        "old": None if change.old is None else f"p{change.old}",
        "new": None if change.new is None else f"p{change.new}",
        "attributes": {
            one.name: {"old": one.old, "new": one.new, "derived": one.is_derived} for one in change.attributes
        },
    }


def _values(changes: Sequence[ValueChange]) -> list[dict[str, str | None]]:
    return [{"name": name, "old": old, "new": new} for name, old, new in changes]


def _total_data(total: TotalChange) -> dict[str, str]:
    old, new, change = total.texts
    return {"old": old, "new": new, "change": change}


def _ids(plan: Plan, numbers: Sequence[int]) -> list[str]:
    return [plan.phases[number].id for number in numbers]
