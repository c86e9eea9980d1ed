"""Resolved phases in, complete plan-ready ones out: settings filled in, defaults left out, conditions of loops read."""

from __future__ import annotations

from typing import Any

from dsd_lang.base.arguments import BY_NAME, Argument, kept_in
from dsd_lang.passes.compilation import Compilation
from dsd_lang.passes.draft import FAILED, Draft, Fields
from dsd_lang.passes.findings import Findings
from dsd_lang.passes.outline import Round
from dsd_lang.passes.quantities import Quantity, length_data
from dsd_lang.passes.read_conditions import read_condition
from dsd_lang.passes.read_settings import Settings

_PLAIN = kept_in("phase")


def default_of(row: Argument) -> Any:
    """An argument's default in the plan's shape, which the plan leaves out; None where there is none to write."""
    option = row.option(row.default)
    if row.kind == "whole":
        return int(row.default) if row.default.isdigit() else None
    if option is None or (option.name == "none" and row.kind != "choice"):
        return None
    if row.kind == "function":
        return {"name": option.name, "arguments": {}}
    return {"kind": option.name} if row.kind == "source" else option.name


_DEFAULTS = {row.name: default_of(row) for row in _PLAIN}


def complete_phases(compilation: Compilation) -> None:
    """Fills the remaining ``fields`` of every draft, in the plan's shape."""
    completion = _Completion(compilation.settings, compilation.findings)
    for draft in compilation.book.phases:
        completion.phase(draft)


class _Completion:
    def __init__(self, settings: Settings, findings: Findings) -> None:
        self.settings = settings
        self.findings = findings
        self._plain: dict[tuple[int, str, bool], Fields] = {}
        self._lengths: dict[Quantity, Fields] = {}
        self._conditions: dict[int, tuple[Round, Fields | None]] = {}

    def phase(self, draft: Draft) -> None:
        fields = draft.fields
        if draft.length is not None:
            if draft.length not in self._lengths:
                self._lengths[draft.length] = length_data(draft.length)
            fields["duration"] = self._lengths[draft.length]
        if draft.mode == "sparse":
            target = draft.given.get("target")
            if isinstance(target, dict):
                fields["target"] = target
            fields["layers"], fields["except"] = draft.layers, draft.exclude
            if draft.original is not None and target is draft.original.given.get("target"):
                draft.derived.append("target")
        for name, value in self.plain_fields(draft).items():
            fields.setdefault(name, value)
        condition = draft.given.get("until")
        if isinstance(condition, dict):
            fields["until"] = condition
        cycles = [self.cycle(cycle, is_last) for cycle, is_last in draft.cycles]
        if cycles:
            fields["cycles"] = tuple(cycle for cycle in cycles if cycle is not None)

    def plain_fields(self, draft: Draft) -> Fields:
        """What the phase says, else the settings, defaults left out; read once for what is written once."""
        is_redense = draft.mode == "dense" and draft.parent is not None and draft.parent.mode == "sparse"
        key = (id(draft.given), draft.mode, is_redense)
        if key not in self._plain:
            fields: Fields = {}
            for row in _PLAIN:
                if row.name not in draft.given and row.name not in self.settings:
                    continue
                value = self.plain(draft, row)
                if value is not None:
                    fields[row.attribute] = value
            self._plain[key] = fields
        return self._plain[key]

    def plain(self, draft: Draft, row: Argument) -> Any:
        name = row.name
        value = draft.given.get(name)
        if value is None and name in self.settings and self.is_from_settings(draft, name):
            value = self.settings[name].data
        if value is None or value is FAILED or value == {} or not isinstance(value, str | int | dict):
            return None
        if row.kind == "function":
            value = _without_defaults(row, value)
        return None if value == _DEFAULTS[name] else value

    def is_from_settings(self, draft: Draft, name: str) -> bool:
        """Whether the program's setting reaches this phase: `restore` only where a mask is dropped."""
        if name == "restore":
            return draft.mode == "dense" and draft.parent is not None and draft.parent.mode == "sparse"
        return draft.mode in BY_NAME[name].places

    def cycle(self, cycle: Round, is_last: bool) -> Fields | None:
        key = id(cycle)
        if key not in self._conditions:
            condition = read_condition(cycle.until.condition, cycle.names, self.findings)
            self._conditions[key] = (cycle, condition)
        condition = self._conditions[key][1]
        if condition is None:
            return None
        return {"loop": cycle.loop, "index": cycle.number, "is_last_of_cycle": is_last, "until": condition}


def _without_defaults(row: Argument, function: Any) -> Any:
    """A function without the parameters that say what leaving them out says: `magnitude(order=smallest)`."""
    option = row.option(function["name"])
    assert option is not None, "the reader knows the option"
    defaults = {parameter.name: parameter.default for parameter in option.parameters if parameter.default}
    given = {name: value for name, value in function["arguments"].items() if defaults.get(name) != value}
    return {"name": option.name, "arguments": given}
