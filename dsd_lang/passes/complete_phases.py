"""Completes resolved phases for the plan: fills in settings, drops defaults, reads conditions of loops."""

from __future__ import annotations

from collections.abc import Mapping

from dsd_lang.base.arguments import BY_NAME, Argument, kept_in
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.compilation import Compilation
from dsd_lang.passes.draft import Block, Draft
from dsd_lang.passes.outline import Round
from dsd_lang.passes.quantities import Quantity, length_data
from dsd_lang.passes.read_conditions import read_condition
from dsd_lang.passes.read_settings import Settings
from dsd_lang.passes.values import is_function, is_length, is_source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.passes.values import Value
    from dsd_lang.plan.shapes import AttributeData, ClockData, ConditionData, CycleData, FunctionData

_PLAIN = {row.name: row for row in kept_in("phase")}
_ATTRIBUTES = tuple(row.attribute for row in _PLAIN.values())


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
        self._common: dict[tuple[str, bool], dict[str, AttributeData]] = {}
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
        attributes = self._plain.get(key)
        if attributes is None:
            common = self.common_attributes(draft, is_redense)
            own = {
                _PLAIN[name].attribute: _plain(_PLAIN[name], value)
                for name, value in draft.given.arguments.items()
                if name in _PLAIN
            }
            attributes = self._plain[key] = _in_order({**common, **own}) if own else common
        return attributes

    def common_attributes(self, draft: Draft, is_redense: bool) -> dict[str, AttributeData]:
        """The attributes of a phase that says nothing itself; computed once for each kind of phase."""
        key = (draft.mode, is_redense)
        attributes = self._common.get(key)
        if attributes is None:
            names = [name for name in self.settings if name in _PLAIN and self.is_from_settings(draft, name)]
            data = {_PLAIN[name].attribute: _plain(_PLAIN[name], self.settings[name].data) for name in names}
            attributes = self._common[key] = _in_order(data)
        return attributes

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


def _plain(row: Argument, value: Value) -> AttributeData | None:
    """A value as plan data; None for `none`, a default, and a reference that is already resolved."""
    if row.kind == "function" and is_function(value):
        value = _without_defaults(row, value)
    if row.kind == "selectors" and isinstance(value, tuple) and not isinstance(value, Quantity):
        return value
    if not (isinstance(value, (str, int)) or is_length(value) or is_function(value) or is_source(value)):
        return None
    return None if value == _DEFAULTS[row.name] else value


def _in_order(values: Mapping[str, AttributeData | None]) -> dict[str, AttributeData]:
    """The attributes that have a value, in the order of the registry."""
    found = {name: value for name, value in values.items() if value is not None}
    return found if len(found) < 2 else {name: found[name] for name in _ATTRIBUTES if name in found}


def _without_defaults(row: Argument, function: FunctionData) -> FunctionData:
    """A function without parameters at their defaults: `magnitude(order=smallest)` is `magnitude`."""
    option = row.option(function["name"])
    assert option is not None, "the reader knows the option"
    defaults = {parameter.name: parameter.default for parameter in option.parameters if parameter.default}
    given = {name: value for name, value in function["arguments"].items() if defaults.get(name) != value}
    return {"name": option.name, "arguments": given}
