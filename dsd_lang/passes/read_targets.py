"""A `sparse` target in, plan-ready target out: ranges checked, `of=`, `ramp=` and `every=` folded in."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from dsd_lang.base.diagnostics import Fix, replacement
from dsd_lang.base.units import format_exact, format_percent
from dsd_lang.passes.findings import Findings
from dsd_lang.passes.quantities import Names, Quantity, evaluate
from dsd_lang.syntax import nodes

TargetNode = nodes.Value | nodes.NofMTarget | nodes.RampTarget | nodes.HeldTarget | nodes.ListTarget
_EVERY = {"unit": "it", "value": "100"}


def read_target(
    node: TargetNode, names: Names, given: dict[str, Any], findings: Findings, *, value: Quantity | None = None
) -> dict[str, Any] | None:
    """The plan's target of a phase whose other arguments are ``given``; None after reporting why it is none."""
    is_of_remaining = given.get("of") == "remaining"
    if isinstance(node, nodes.HeldTarget):
        return {"kind": "held"}
    if isinstance(node, nodes.NofMTarget):
        return _n_of_m(node, findings)
    if isinstance(node, nodes.RampTarget):
        return _ramp(node, names, given, findings)
    if isinstance(node, nodes.ListTarget):
        items: list[dict[str, Any]] = []
        for item in node.items:
            target = read_target(item.target, names, given, findings)
            if target is not None:
                items.append({"selector": str(item.selector.selector), "target": target})
        return {"kind": "list", "items": tuple(items)} if len(items) == len(node.items) else None
    quantity = value if value is not None else evaluate(node, names, findings)
    pruned = None if quantity is None else _share(quantity, node, findings)
    if pruned is None:
        return None
    return {"kind": "remaining" if is_of_remaining else "fraction", "pruned": format_exact(pruned)}


def _share(quantity: Quantity, node: nodes.Value, findings: Findings) -> Fraction | None:
    """A share from 0 to below 1; DSD401 with the hint `50%?` otherwise."""
    if quantity.is_length:
        findings.add(
            "DSD401",
            f"a target is a share, found the length `{str(quantity)[:40]}`",
            node.span,
            label="expected a share such as `50%`",
        )
        return None
    if 0 <= quantity.value < 1:
        return quantity.value
    if isinstance(node, nodes.Binary) and _report_subtraction(node, findings):
        return None
    if quantity.value < 0:
        message, label, guess = "a target cannot be negative", "below zero", None
    elif quantity.unit == "%":
        message, guess = f"a target of {str(quantity)[:40]} leaves nothing to train", None
        label = "expected less than 100%"
    else:
        message = f"a target is the share pruned, from 0 to below 1, found `{str(quantity)[:40]}`"
        guess = f"{format_exact(quantity.value)}%" if quantity.value < 100 else None
        label = f"did you mean `{guess}`?" if guess else "expected less than 100%"
    is_literal = isinstance(node, nodes.Number)
    fix = replacement(node.span, guess) if guess and is_literal else None
    findings.add(
        "DSD401",
        message,
        node.span,
        label=label,
        help="write the pruned share as a percentage (`50%`) or as a number below 1 (`0.5`)",
        fix=fix,
    )
    return None


def _report_subtraction(node: nodes.Binary, findings: Findings) -> bool:
    """Whether the target is a range such as `0-90%`, or `2-4`, written with a minus sign; reports it."""
    left, right = node.left, node.right
    if node.operator != "-" or not isinstance(left, nodes.Number) or not isinstance(right, nodes.Number):
        return False
    is_pattern = not left.percent and not right.percent and 1 <= left.value < right.value
    meant = f"{left.text}:{right.text}" if is_pattern else f"{left.text}->{right.text}"
    what = "N:M" if is_pattern else "a ramp"
    findings.add(
        "DSD401",
        f"`{left.text}-{right.text}` subtracts; {what} is written with `{':' if is_pattern else '->'}`",
        node.span,
        label=f"did you mean `{meant}`?",
        fix=replacement(node.span, meant),
    )
    return True


def _n_of_m(node: nodes.NofMTarget, findings: Findings) -> dict[str, Any] | None:
    keep, total = node.keep, node.of
    if 0 <= keep < total < 1:
        ramp = f"{format_percent(keep)}->{format_percent(total)}"
        findings.add(
            "DSD401",
            "`N:M` takes two whole numbers; a ramp is written with `->`",
            node.span,
            label=f"did you mean `{ramp}`?",
            fix=replacement(node.span, ramp),
        )
        return None
    if keep.denominator != 1 or total.denominator != 1 or not 0 < keep < total:
        is_turned = keep.denominator == 1 and total.denominator == 1 and keep > total > 0
        swapped = f"{total}:{keep}" if is_turned else ""
        findings.add(
            "DSD401",
            "`N:M` keeps N of each M weights: two whole numbers with 0 < N < M",
            node.span,
            label=f"did you mean `{swapped}`?" if swapped else "expected a pattern such as `2:4`",
            fix=replacement(node.span, swapped) if swapped else None,
        )
        return None
    return {"kind": "nm", "n": int(keep), "m": int(total)}


def _turned(node: nodes.RampTarget) -> Fix | None:
    """The ramp the other way round."""
    if not isinstance(node.start, nodes.Number) or not isinstance(node.end, nodes.Number):
        return None
    return replacement(node.span, f"{node.end.text}->{node.start.text}", "display")


def _ramp(node: nodes.RampTarget, names: Names, given: dict[str, Any], findings: Findings) -> dict[str, Any] | None:
    start, end = evaluate(node.start, names, findings), evaluate(node.end, names, findings)
    first = None if start is None else _share(start, node.start, findings)
    final = None if end is None else _share(end, node.end, findings)
    if first is None or final is None:
        return None
    if final < first:
        findings.add(
            "DSD404",
            f"a ramp ends no lower than it starts, found {format_percent(first)} -> {format_percent(final)}",
            node.span,
            label="ends lower than it starts",
            help="to give weights back, write a `dense` phase or a lower target in a phase of its own",
            fix=_turned(node),
        )
        return None
    return {
        "kind": "ramp",
        "start": format_exact(first),
        "end": format_exact(final),
        "shape": given.get("ramp", "cubic"),
        "every": given.get("every", _EVERY),
    }
