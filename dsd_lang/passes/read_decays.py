"""Reads decays as the plan's `Decay`: `step(33%, 66%, by=0.1)`, `exp(0.95)`, `cosine(floor=1e-5)`."""

from __future__ import annotations

from itertools import pairwise

from dsd_lang import rules
from dsd_lang.base.arguments import Argument
from dsd_lang.base.units import exact, format_exact, format_percent
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.quantities import Names, Quantity, evaluate
from dsd_lang.passes.read_functions import is_parameter
from dsd_lang.plan.setting_text import milestone_text
from dsd_lang.syntax import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.plan.shapes import DecayData, MilestoneData


def read_decay(argument: Argument, value: nodes.Value, names: Names, diagnostics: Diagnostics) -> DecayData | None:
    """The plan data of `decay=value`, or None after reporting what is wrong with it."""
    callee = value.callee if isinstance(value, nodes.Call) else value
    if not isinstance(callee, nodes.Name) or argument.option(callee.text) is None:
        diagnostics.report(rules.wrong_value.not_taken(argument, callee if isinstance(callee, nodes.Name) else value))
        return None
    reader = _DecayReader(argument, callee.text, names, diagnostics)
    items = value.arguments if isinstance(value, nodes.Call) else ()
    data = reader.read(items)
    return None if data is None else reader.complete(data, value)


class _DecayReader:
    """Reads `step(33%, 66%, by=0.1)`, `exp(0.95)` or `cosine(floor=1e-5)` as a plan `Decay`."""

    def __init__(self, argument: Argument, kind: str, names: Names, diagnostics: Diagnostics) -> None:
        self.argument = argument
        self.kind = kind
        self.names = names
        self.diagnostics = diagnostics

    def read(self, items: tuple[nodes.CallArgument, ...]) -> DecayData | None:
        data: DecayData = {"kind": self.kind}
        option = self.argument.option(self.kind)
        assert option is not None
        milestones: list[tuple[nodes.CallArgument, MilestoneData]] = []
        for item in items:
            if item.name is not None and not is_parameter(option, item.name, item, tuple(data), self.diagnostics):
                return None
            quantity = evaluate(item.value, self.names, self.diagnostics)
            if quantity is None:
                return None
            if item.name is None and self.kind == "step":
                milestone = self.milestone(item, quantity)
                if milestone is None or self.is_factor(item, milestone, milestones, items):
                    return None
                milestones.append((item, milestone))
                continue
            name = {"by": "factor", None: "factor"}.get(item.name, item.name)
            if not self.is_fit(str(name), item, quantity) or self.is_repeated(str(name), item, data):
                return None
            if name == "factor":
                data["factor"] = format_exact(quantity.value)
            else:
                data["floor"] = format_exact(quantity.value)
        self.check_order(milestones)
        if milestones:
            data["milestones"] = tuple(point for _, point in milestones)
        return data

    def is_repeated(self, name: str, item: nodes.CallArgument, data: DecayData) -> bool:
        """Whether `by=`, `floor=` or the factor of `exp` is given twice; reports it."""
        if name not in data:
            return False
        what = f"`{item.name}=`" if item.name is not None else "the factor"
        self.diagnostics.report(rules.duplicate_argument.parameter_twice(what, item))
        return True

    def is_factor(
        self,
        item: nodes.CallArgument,
        point: MilestoneData,
        before: list[tuple[nodes.CallArgument, MilestoneData]],
        items: tuple[nodes.CallArgument, ...],
    ) -> bool:
        """Whether a plain number among the milestones is most likely meant for `by=`; reports it."""
        if not isinstance(item.value, nodes.Number) or item.value.percent:
            return False
        if not before or item is not [one for one in items if one.name is None][-1]:
            return False
        last = before[-1][1]
        if last["unit"] == "ratio" and exact(point["value"]) > exact(last["value"]):
            return False
        self.diagnostics.report(
            rules.wrong_value.factor_among_milestones(
                item, item.value, format_percent(exact(point["value"])), has_by=any(one.name == "by" for one in items)
            )
        )
        return True

    def check_order(self, milestones: list[tuple[nodes.CallArgument, MilestoneData]]) -> None:
        """Checks that the milestones are in order, as far as their units can be compared."""
        for (_, first), (item, second) in pairwise(milestones):
            if first["unit"] != second["unit"] or exact(first["value"]) < exact(second["value"]):
                continue
            self.diagnostics.report(
                rules.milestones_out_of_order.not_after(
                    milestone_text(second), milestone_text(first), item.span, is_twice=first["value"] == second["value"]
                )
            )

    def milestone(self, item: nodes.CallArgument, quantity: Quantity) -> MilestoneData | None:
        is_bare = quantity.unit == "" and quantity.is_at_least_one
        if quantity.is_negative or is_bare:
            self.diagnostics.report(
                rules.length_without_unit.not_a_milestone(
                    item, str(quantity), format_exact(quantity.value) if is_bare else None
                )
            )
            return None
        unit = quantity.unit
        return {"unit": unit if unit in ("ep", "it") else "ratio", "value": format_exact(quantity.value)}

    def is_fit(self, name: str, item: nodes.CallArgument, quantity: Quantity) -> bool:
        if item.name is None and self.kind != "exp":
            self.diagnostics.report(rules.wrong_value.unnamed_in_decay(self.kind, item.span))
            return False
        number = quantity.value
        if quantity.is_number and (0 < number <= 1 if name == "factor" else number >= 0):
            return True
        self.diagnostics.report(rules.wrong_value.decay_parameter(name, item.span))
        return False

    def complete(self, data: DecayData, value: nodes.Value) -> DecayData | None:
        if self.kind == "step":
            if "milestones" not in data:
                self.diagnostics.report(rules.wrong_value.no_milestones(value.span))
                return None
            data.setdefault("factor", "0.1")
        if self.kind == "exp" and "factor" not in data:
            self.diagnostics.report(rules.wrong_value.no_factor(value.span))
            return None
        return data
