"""Reads the target of a `sparse` phase: checks ranges and adds `of=`, `ramp=`, `every=` and `masks=`."""

from __future__ import annotations

from fractions import Fraction

from dsd_lang import rules
from dsd_lang.base.units import format_exact
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.quantities import Names, Quantity, evaluate
from dsd_lang.passes.values import GivenArguments, is_length
from dsd_lang.syntax import nodes
from dsd_lang.syntax.named_selectors import selectors_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    from dsd_lang.plan.shapes import ItemData, LengthData, PatternData, RampData, TargetData

    Item = TypeVar("Item")


TargetNode = nodes.Value | nodes.NofMTarget | nodes.RampTarget | nodes.HeldTarget | nodes.ListTarget
_EVERY: LengthData = {"unit": "it", "value": "100"}


def read_target(
    node: TargetNode, names: Names, given: GivenArguments, diagnostics: Diagnostics, *, value: Quantity | None = None
) -> TargetData | None:
    """The target of a phase as plan data; its other arguments are ``given``. None after reporting why there is none."""
    is_of_remaining = given.said("of") == "remaining"
    if isinstance(node, nodes.HeldTarget):
        return {"kind": "current" if given.said("masks") == "current" else "held"}
    if isinstance(node, nodes.NofMTarget):
        return _n_of_m(node, diagnostics)
    if isinstance(node, nodes.RampTarget):
        return _ramp(node, names, given, diagnostics)
    if isinstance(node, nodes.ListTarget):
        items: list[ItemData] = []
        for item in node.items:
            written = target_of_name(item.target, names)
            if isinstance(written, (nodes.ListTarget, nodes.HeldTarget)):
                diagnostics.report(rules.wrong_value_names.not_a_target_of_one(item.target.span))
                return None
            target = read_target(written, names, given, diagnostics)
            selectors = selectors_of(item.selector, names)
            if selectors is None:
                diagnostics.report(rules.wrong_value_names.name_of_no_selector(item.selector))
            if target is None or selectors is None:
                return None
            items += [{"selector": str(one.selector), "target": target} for one in selectors]
        return {"kind": "list", "items": tuple(items)}
    quantity = value if value is not None else evaluate(node, names, diagnostics)
    pruned = None if quantity is None else _share(quantity, node, diagnostics)
    if pruned is None:
        return None
    return {"kind": "remaining" if is_of_remaining else "fraction", "pruned": format_exact(pruned)}


def target_of_name(item: Item, names: Names) -> Item | nodes.WrittenTarget:
    """The target that a name stands for; anything else as it is."""
    bound = names.get(item.text) if isinstance(item, nodes.Name) else None
    return bound if isinstance(bound, nodes.TARGETS) else item


def _share(quantity: Quantity, node: nodes.Value, diagnostics: Diagnostics) -> Fraction | None:
    """A share of at least 0 and below 1; otherwise DSD401 with the hint `50%?`."""
    if quantity.is_length:
        diagnostics.report(rules.target_out_of_range.target_is_a_length(str(quantity), node.span))
        return None
    if not quantity.is_negative and not quantity.is_at_least_one:
        return quantity.value
    if isinstance(node, nodes.Binary) and _report_subtraction(node, diagnostics):
        return None
    diagnostics.report(
        rules.target_out_of_range.not_a_share(quantity.value, str(quantity), node, is_percent=quantity.unit == "%")
    )
    return None


def _report_subtraction(node: nodes.Binary, diagnostics: Diagnostics) -> bool:
    """Whether the target is a range such as `0-90%` or `2-4` written with a minus sign; reports it."""
    left, right = node.left, node.right
    if node.operator != "-" or not isinstance(left, nodes.Number) or not isinstance(right, nodes.Number):
        return False
    diagnostics.report(rules.target_out_of_range.subtracts(node, left, right))
    return True


def _n_of_m(node: nodes.NofMTarget, diagnostics: Diagnostics) -> PatternData | None:
    keep, total = node.keep, node.of
    if 0 <= keep < total < 1:
        diagnostics.report(rules.target_out_of_range.pattern_of_shares(node))
        return None
    if keep.denominator != 1 or total.denominator != 1 or not 0 < keep < total:
        diagnostics.report(rules.target_out_of_range.not_a_pattern(node))
        return None
    return {"kind": "nm", "n": int(keep), "m": int(total)}


def _ramp(node: nodes.RampTarget, names: Names, given: GivenArguments, diagnostics: Diagnostics) -> RampData | None:
    start, end = evaluate(node.start, names, diagnostics), evaluate(node.end, names, diagnostics)
    first = None if start is None else _share(start, node.start, diagnostics)
    final = None if end is None else _share(end, node.end, diagnostics)
    if first is None or final is None:
        return None
    if final < first:
        diagnostics.report(rules.bad_ramp.falls(node, first, final))
        return None
    shape, every = given.said("ramp"), given.said("every")
    return {
        "kind": "ramp",
        "start": format_exact(first),
        "end": format_exact(final),
        "shape": shape if isinstance(shape, str) else "cubic",
        "every": every if is_length(every) else _EVERY,
    }
