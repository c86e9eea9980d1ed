"""`step(33%, 66%, by=0.1)`, `exp(0.95)`, `cosine(floor=1e-5)` in, a plan `Decay` out."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from dsd_lang.base.arguments import Argument
from dsd_lang.base.diagnostics import replacement
from dsd_lang.base.units import exact, format_exact, format_percent
from dsd_lang.passes.findings import Findings
from dsd_lang.passes.quantities import Names, Quantity, evaluate
from dsd_lang.passes.read_functions import is_parameter
from dsd_lang.passes.wrong_values import report_value
from dsd_lang.plan.setting_text import milestone_text
from dsd_lang.syntax import nodes


def read_decay(argument: Argument, value: nodes.Value, names: Names, findings: Findings) -> dict[str, Any] | None:
    """The plan's data of `decay=value`, or None after reporting what is wrong with it."""
    callee = value.callee if isinstance(value, nodes.Call) else value
    if not isinstance(callee, nodes.Name) or argument.option(callee.text) is None:
        report_value(argument, callee if isinstance(callee, nodes.Name) else value, findings)
        return None
    reader = _DecayReader(argument, callee.text, names, findings)
    items = value.arguments if isinstance(value, nodes.Call) else ()
    data = reader.read(items)
    return None if data is None else reader.complete(data, value)


class _DecayReader:
    """`step(33%, 66%, by=0.1)`, `exp(0.95)`, `cosine(floor=1e-5)` as a plan `Decay`."""

    def __init__(self, argument: Argument, kind: str, names: Names, findings: Findings) -> None:
        self.argument = argument
        self.kind = kind
        self.names = names
        self.findings = findings

    def read(self, items: tuple[nodes.CallArgument, ...]) -> dict[str, Any] | None:
        data: dict[str, Any] = {"kind": self.kind}
        option = self.argument.option(self.kind)
        assert option is not None
        milestones: list[tuple[nodes.CallArgument, dict[str, str]]] = []
        for item in items:
            if item.name is not None and not is_parameter(option, item.name, item, data, self.findings):
                return None
            quantity = evaluate(item.value, self.names, self.findings)
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
            data[str(name)] = format_exact(quantity.value)
        self.check_order(milestones)
        return {**data, "milestones": tuple(point for _, point in milestones)} if milestones else data

    def is_repeated(self, name: str, item: nodes.CallArgument, data: dict[str, Any]) -> bool:
        """Whether `by=`, `floor=` or the factor of `exp` was given before; reports it."""
        if name not in data:
            return False
        what = f"`{item.name}=`" if item.name is not None else "the factor"
        self.findings.add("DSD206", f"{what} is given twice", item.span, label="given before", help="keep one of them")
        return True

    def is_factor(
        self,
        item: nodes.CallArgument,
        point: dict[str, str],
        before: list[tuple[nodes.CallArgument, dict[str, str]]],
        items: tuple[nodes.CallArgument, ...],
    ) -> bool:
        """Whether a bare number among the milestones must be meant for `by=`; reports it."""
        if not isinstance(item.value, nodes.Number) or item.value.percent:
            return False
        if not before or item is not [one for one in items if one.name is None][-1]:
            return False
        last = before[-1][1]
        if last["unit"] == "ratio" and exact(point["value"]) > exact(last["value"]):
            return False
        text, has_factor = item.value.text, any(one.name == "by" for one in items)
        self.findings.add(
            "DSD209",
            f"`{text}` would be a milestone at {format_percent(exact(point['value']))} of the phase",
            item.span,
            label="not a milestone in order" if has_factor else f"did you mean `by={text}`?",
            help="the factor of each step is written `by=0.1`, a milestone `50%`, `80ep` or `500it`",
            fix=None if has_factor else replacement(item.span, f"by={text}"),
        )
        return True

    def check_order(self, milestones: list[tuple[nodes.CallArgument, dict[str, str]]]) -> None:
        """Each milestone lies behind the one before it, as far as their units compare."""
        for (_, first), (item, second) in pairwise(milestones):
            if first["unit"] != second["unit"] or exact(first["value"]) < exact(second["value"]):
                continue
            shown = f"`{milestone_text(second)}` after `{milestone_text(first)}`"
            is_twice = first["value"] == second["value"]
            self.findings.add(
                "DSD412",
                f"milestones are in order, each once, found {shown}",
                item.span,
                label="given before" if is_twice else "before the one on its left",
                help="at one milestone the rate falls once: keep one of them, or write a smaller `by=`"
                if is_twice
                else "write the earlier milestone first",
            )

    def milestone(self, item: nodes.CallArgument, quantity: Quantity) -> dict[str, str] | None:
        is_bare = quantity.unit == "" and quantity.value >= 1
        if quantity.value < 0 or is_bare:
            self.findings.add(
                "DSD402",
                f"a milestone is a share of the phase or a length, found `{str(quantity)[:40]}`",
                item.span,
                label=f"did you mean `{format_exact(quantity.value)}ep`?" if is_bare else "below zero",
                help="write `33%`, `80ep` or `500it`",
                fix=replacement(item.value.span, f"{item.value.text}ep")
                if is_bare and isinstance(item.value, nodes.Number)
                else None,
            )
            return None
        unit = quantity.unit if quantity.is_length else "ratio"
        return {"unit": unit, "value": format_exact(quantity.value)}

    def is_fit(self, name: str, item: nodes.CallArgument, quantity: Quantity) -> bool:
        if item.name is None and self.kind != "exp":
            message, wanted = f"`{self.kind}` takes no unnamed value", "nothing, or `floor=`"
        elif name == "factor" and not (quantity.is_number and 0 < quantity.value <= 1):
            message, wanted = "a decay's factor is above 0 and at most 1", "a factor such as `0.1`"
        elif name == "floor" and not (quantity.is_number and quantity.value >= 0):
            message, wanted = "`floor=` takes a number of 0 or more", "a number such as `1e-5`"
        else:
            return True
        self.findings.add("DSD209", message, item.span, label=f"expected {wanted}")
        return False

    def complete(self, data: dict[str, Any], value: nodes.Value) -> dict[str, Any] | None:
        if self.kind == "step":
            if "milestones" not in data:
                self.findings.add(
                    "DSD209",
                    "`step` needs its milestones",
                    value.span,
                    label="no milestone",
                    help="write `decay=step(33%, 66%, by=0.1)`",
                )
                return None
            data.setdefault("factor", "0.1")
        if self.kind == "exp" and "factor" not in data:
            self.findings.add(
                "DSD209", "`exp` needs its factor per epoch", value.span, label="no factor", help="write `exp(0.95)`"
            )
            return None
        return data
