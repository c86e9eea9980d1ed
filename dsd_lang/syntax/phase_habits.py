"""Repairs English between the items of a phase: `sparse 50% with lr=1e-3`, `0 to 90%`, `lr -> 0.1`.

Imported only when such a word, ramp or arithmetic occurs among the items of a phase.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dsd_lang.base.arguments import BY_NAME
from dsd_lang.base.diagnostics import Edit, Fix, replacement
from dsd_lang.base.layers import KINDS, ROLES, Selector
from dsd_lang.syntax import nodes
from dsd_lang.syntax.terminals import SELECTING_WORDS, before, behind

ReportHabit = Callable[..., None]
_FILLERS = frozenset(
    {"with", "at", "by", "using", "a", "the", "lasting", "during", "over", "plus", "phase", "training"}
)


def without_habits(items: list[Any], report: ReportHabit) -> list[Any]:
    """The items as they are most likely meant; each mistake is reported once."""
    result: list[Any] = []
    rest = list(items)
    while rest:
        item = rest.pop(0)
        for reader in (_spoken_ramp, _percent_apart, _filler, _of_layers, _argument_as_ramp, _option):
            read = reader(item, rest, result, report)
            if read is not None:
                rest = read
                break
        else:
            result.append(item)
    return result


def _word(item: Any) -> str:
    return item.text.lower() if isinstance(item, nodes.Name) else ""


def _spoken_ramp(item: Any, rest: list[Any], result: list[Any], report: ReportHabit) -> list[Any] | None:
    """`0 to 90%`."""
    if _word(item) != "to" or not result or not rest:
        return None
    left, right = result[-1], rest[0]
    if not isinstance(left, nodes.Number) or not isinstance(right, nodes.Number):
        return None
    span = left.span.to(right.span)
    better = f"{left.text}->{right.text}"
    report("DSD101", "a ramp is written with `->`", span, label=f"write `{better}`", fix=replacement(span, better))
    result[-1] = nodes.RampTarget(left, right, span)
    return rest[1:]


def _percent_apart(item: Any, rest: list[Any], result: list[Any], report: ReportHabit) -> list[Any] | None:
    """`50 percent`."""
    if _word(item) not in ("percent", "pct", "per") or not result:
        return None
    number = result[-1]
    if not isinstance(number, nodes.Number) or number.percent:
        return None
    rest = rest[1:] if _word(item) == "per" and rest and _word(rest[0]) == "cent" else rest
    span = number.span.to(item.span)
    better = f"{number.text}%"
    report(
        "DSD101", f"a percentage is written `{better}`", span, label=f"write `{better}`", fix=replacement(span, better)
    )
    result[-1] = nodes.Number(better, number.value / 100, True, span)
    return rest


def _filler(item: Any, rest: list[Any], result: list[Any], report: ReportHabit) -> list[Any] | None:
    """`sparse 50% with lr=1e-3`."""
    if (
        _word(item) not in _FILLERS
        or not rest
        or not isinstance(rest[0], (nodes.Argument, nodes.LengthLiteral, nodes.Name))
    ):
        return None
    gone = item.span.to(before(rest[0].span))
    report(
        "DSD101",
        f"`{item.text}` has no meaning here: arguments follow each other, separated by spaces",
        item.span,
        label="leave it out",
        fix=Fix(f"leave out `{item.text}`", (Edit(gone, ""),)),
    )
    return rest


def _of_layers(item: Any, rest: list[Any], result: list[Any], report: ReportHabit) -> list[Any] | None:
    """`sparse 50% of fc`, `sparse 50% on fc`."""
    if _word(item) not in ("of", "on") or not rest:
        return None
    kind = rest[0]
    if not isinstance(kind, nodes.Name) or kind.text.partition(".")[0] not in (*KINDS, *ROLES):
        return None
    span = item.span.to(kind.span)
    better = f"layers={kind.text}"
    report(
        "DSD101",
        "which layers are pruned is the argument `layers=`",
        span,
        label=f"write `{better}`",
        fix=replacement(span, better),
    )
    selector = nodes.SelectorNode(Selector("word", kind.text), kind.span)
    result.append(nodes.Argument("layers", item.span, (selector,), span))
    return rest[1:]


def _argument_as_ramp(item: Any, rest: list[Any], result: list[Any], report: ReportHabit) -> list[Any] | None:
    """`lr -> 0.1`."""
    if not isinstance(item, nodes.RampTarget) or not isinstance(item.start, nodes.Name):
        return None
    name = item.start
    if name.text not in BY_NAME:
        return None
    sign = behind(name.span).to(before(item.end.span))
    report(
        "DSD101",
        f"an argument is written `{name.text}=`, not `{name.text} ->`",
        name.span,
        label=f"write `{name.text}=`",
        fix=Fix(f"write `{name.text}=`", (Edit(sign, "="),)),
    )
    if name.text in SELECTING_WORDS:
        return rest
    result.append(nodes.Argument(name.text, name.span, item.end, item.span))
    return rest


def _option(item: Any, rest: list[Any], result: list[Any], report: ReportHabit) -> list[Any] | None:
    """`sparse 50% --lr 1e-3`: a command-line option, parsed as a subtraction."""
    if not isinstance(item, nodes.Binary) or item.operator != "-":
        return None
    named = item.right.operand if isinstance(item.right, nodes.Unary) else item.right
    if not isinstance(named, nodes.Name) or named.text not in BY_NAME:
        return None
    dashes = behind(item.left.span).to(before(named.span))
    edits = [Edit(dashes, " ")]
    result.append(item.left)
    if rest and not isinstance(rest[0], (nodes.Argument, nodes.Until)):
        value = rest[0]
        gap = behind(named.span).to(before(value.span))
        edits.append(Edit(gap, "="))
        if named.text not in SELECTING_WORDS:
            result.append(nodes.Argument(named.text, named.span, value, named.span.to(value.span)))
        rest = rest[1:]
    report(
        "DSD101",
        f"an argument is written `{named.text}=...`, without dashes",
        named.span,
        label=f"write `{named.text}=`",
        fix=Fix(f"write `{named.text}=`", tuple(edits)) if len(edits) > 1 else None,
    )
    return rest
