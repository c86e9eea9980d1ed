"""Completes resolved phases for the plan: fills in settings, drops defaults, reads conditions of loops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dsd_lang.base.arguments import BY_NAME, Argument, kept_in
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.compilation import Compilation
from dsd_lang.passes.draft import Block, Draft
from dsd_lang.passes.outline import Round
from dsd_lang.passes.quantities import Quantity, length_data
from dsd_lang.passes.read_conditions import read_condition
from dsd_lang.passes.read_settings import Settings
from dsd_lang.passes.values import is_function, is_length, is_source

if TYPE_CHECKING:
    from dsd_lang.plan.shapes import AttributeData, ClockData, ConditionData, CycleData, FunctionData

_PLAIN = {row.name: row for row in kept_in("phase")}
_ORDER = {name: index for index, name in enumerate(_PLAIN)}


def default_of(row: Argument) -> AttributeData | None:
    """An argument's default as plan data, which the plan leaves out; None if it cannot be written."""
    option = row.option(row.default)
    if row.kind == "whole":
        return int(row.default) if row.default.isdigit() else None
    if option is None or (option.name == "none" and row.kind != "choice"):
        return None
    if row.kind == "function":
        return {"name": option.name, "arguments": {}}
    return {"kind": option.name} if row.kind == "source" else option.name


_DEFAULTS = {row.name: default_of(row) for row in _PLAIN.values()}


def complete_phases(compilation: Compilation) -> None:
    """Fills in ``target``, ``until``, ``rounds`` and ``attributes`` of every draft, as plan data."""
    completion = _Completion(compilation.settings, compilation.diagnostics)
    for draft in compilation.book.phases:
        completion.phase(draft)


class _Completion:
    def __init__(self, settings: Settings, diagnostics: Diagnostics) -> None:
        self.settings = settings
        self.diagnostics = diagnostics
        self._plain: dict[tuple[int, str, bool], dict[str, AttributeData]] = {}
        self._conditions: dict[int, tuple[Round, ConditionData | None]] = {}

    def phase(self, draft: Draft) -> None:
        given = draft.given
        draft.target = given.target if draft.mode == "sparse" and isinstance(given.target, dict) else None
        if draft.mode == "sparse" and draft.original is not None and given.target is draft.original.given.target:
            draft.derived.append("target")
        plain = self.plain_attributes(draft)
        draft.attributes = {**plain, **draft.references} if draft.references else plain
        if draft.block is not None:
            draft.attributes = {**draft.attributes, "clock": _block_clock(draft.block)}
        draft.until = given.until if isinstance(given.until, dict) else None
        rounds = [self.cycle(cycle, is_last) for cycle, is_last in draft.cycles] if draft.cycles else ()
        draft.rounds = tuple([cycle for cycle in rounds if cycle is not None])

    def plain_attributes(self, draft: Draft) -> dict[str, AttributeData]:
        """The phase's own values, else the settings, without defaults; computed once for each written phase."""
        is_redense = draft.mode == "dense" and draft.parent is not None and draft.parent.mode == "sparse"
        key = (id(draft.given), draft.mode, is_redense)
        if key not in self._plain:
            attributes: dict[str, AttributeData] = {}
            names = (draft.given.arguments.keys() | self.settings.keys()) & _PLAIN.keys()
            for name in sorted(names, key=_ORDER.__getitem__):
                value = self.plain(draft, _PLAIN[name])
                if value is not None:
                    attributes[_PLAIN[name].attribute] = value
            self._plain[key] = attributes
        return self._plain[key]

    def plain(self, draft: Draft, row: Argument) -> AttributeData | None:
        name = row.name
        value = draft.given.arguments.get(name)
        if value is None and name in self.settings and self.is_from_settings(draft, name):
            value = self.settings[name].data
        if row.kind == "function" and is_function(value):
            value = _without_defaults(row, value)
        if row.kind == "selectors" and isinstance(value, tuple) and not isinstance(value, Quantity):
            return value
        if not (isinstance(value, (str, int)) or is_length(value) or is_function(value) or is_source(value)):
            return None  # missing, `none`, or a reference that is already resolved
        return None if value == _DEFAULTS[name] else value

    def is_from_settings(self, draft: Draft, name: str) -> bool:
        """Whether the program's setting applies to this phase: `restore` only if a mask is dropped."""
        if name == "restore":
            return draft.mode == "dense" and draft.parent is not None and draft.parent.mode == "sparse"
        return draft.mode in BY_NAME[name].places

    def cycle(self, cycle: Round, is_last: bool) -> CycleData | None:
        key = id(cycle)
        if key not in self._conditions:
            condition = read_condition(cycle.until.condition, cycle.names, self.diagnostics)
            self._conditions[key] = (cycle, condition)
        condition = self._conditions[key][1]
        if condition is None:
            return None
        return {"loop": cycle.loop, "index": cycle.number, "is_last_of_cycle": is_last, "until": condition}


def _block_clock(block: Block) -> ClockData:
    """The clock of a `within`, as plan data."""
    return {"kind": "block", "start": length_data(block.start), "length": length_data(block.whole)}


def _without_defaults(row: Argument, function: FunctionData) -> FunctionData:
    """A function without parameters at their defaults: `magnitude(order=smallest)` is `magnitude`."""
    option = row.option(function["name"])
    assert option is not None, "the reader knows the option"
    defaults = {parameter.name: parameter.default for parameter in option.parameters if parameter.default}
    given = {name: value for name, value in function["arguments"].items() if defaults.get(name) != value}
    return {"name": option.name, "arguments": given}
