"""Checks the items of a phase that the grammar cannot check: units, targets and `=`.

Only mistakes that are certain from the text alone are reported here: a number that can only be a length, a target on a
dense phase, a second target, an argument without `=`. A percentage that is no target is reported as one that a `within`
around it makes right: there it is a length.
"""

from __future__ import annotations

from collections.abc import Callable

from dsd_lang.base.arguments import ARGUMENTS
from dsd_lang.base.diagnostics import Edit, Fix, Span
from dsd_lang.base.layers import KINDS, ROLES, Selector
from dsd_lang.syntax import nodes
from dsd_lang.syntax.terminals import EPOCH_WORDS, SELECTING_WORDS, UPDATE_WORDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dsd_lang.base.units import Unit

ARGUMENT_NAMES = frozenset(
    row.name for row in ARGUMENTS if {"dense", "sparse", "repeat"}.intersection(row.places)
).difference(SELECTING_WORDS)  # these are separate tokens
ReportFunction = Callable[..., None]
_ENGLISH = frozenset(
    {
        "with",
        "at",
        "by",
        "using",
        "a",
        "the",
        "and",
        "to",
        "of",
        "on",
        "lasting",
        "during",
        "over",
        "plus",
        "phase",
        "training",
        "percent",
        "pct",
        "per",
        "keep",
    }
)
_ALWAYS_RIGHT = frozenset({nodes.Argument, nodes.LengthLiteral})
_TARGETS = frozenset({nodes.Number, nodes.NofMTarget, nodes.HeldTarget, nodes.ListTarget})
_NOT_POSITIONAL = (nodes.Argument, nodes.Until)


def checked_items(mode: str, items: list[Any], report: ReportFunction) -> tuple[Any, ...]:
    """The items of a `dense` or `sparse` phase, repaired if a mistake is clear; each mistake is reported once."""
    others = [item for item in items if type(item) not in _ALWAYS_RIGHT]
    if not others or (mode == "sparse" and len(others) == 1 and type(others[0]) in _TARGETS):
        return tuple(items)
    if any(isinstance(item, nodes.Name) and item.text.lower() in _ENGLISH for item in items) or any(
        isinstance(item, (nodes.RampTarget, nodes.Binary)) for item in items
    ):
        from dsd_lang.syntax.phase_habits import without_habits

        items = without_habits(items, report)
    joined = _with_equals_signs(_with_joined_units(_with_joined_selectors(items, report), report), report)
    if mode == "dense":
        return tuple(mended for item in joined for mended in _dense_item(item, report))
    return _sparse_items(joined, report)


def _with_joined_units(items: list[Any], report: ReportFunction) -> list[Any]:
    """`50 ep` becomes `50ep`."""
    result: list[Any] = []
    for item in items:
        before = result[-1] if result else None
        if isinstance(item, nodes.Name) and isinstance(before, nodes.Number) and not before.percent:
            word = item.text.lower()
            unit: Unit | None = "ep" if word in EPOCH_WORDS else "it" if word in UPDATE_WORDS else None
            if unit is not None:
                span = before.span.to(item.span)
                better = f"{before.text}{unit}"
                report(
                    "DSD402",
                    f"`{before.text} {item.text}` is not a length: the unit follows the number directly",
                    span,
                    label=f"write `{better}`",
                    fix=Fix(f"write `{better}`", (Edit(span, better),)),
                )
                result[-1] = nodes.LengthLiteral(better, before.value, unit, span)
                continue
        result.append(item)
    return result


def _with_joined_selectors(items: list[Any], report: ReportFunction) -> list[Any]:
    """`layers=fc birnn` becomes `layers=fc,birnn`."""
    result: list[Any] = []
    for item in items:
        before: Any = result[-1] if result else None
        follows = isinstance(before, nodes.Argument) and isinstance(before.value, tuple)
        is_word = isinstance(item, nodes.Name) and item.text.partition(".")[0] in (*KINDS, *ROLES)
        if follows and (is_word or isinstance(item, nodes.Text)):
            gap = _gap(before, item)
            report(
                "DSD101",
                f"the selectors of `{before.name}=` are joined by `,`",
                item.span,
                label="a `,` is missing before this",
                fix=Fix("put in the `,`", (Edit(gap, ","),)),
            )
            named = Selector("word", item.text) if isinstance(item, nodes.Name) else Selector("glob", item.value)
            selectors = (*before.value, nodes.SelectorNode(named, item.span))
            result[-1] = nodes.Argument(before.name, before.name_span, selectors, before.span.to(item.span))
            continue
        result.append(item)
    return result


def _gap(before: Any, after: Any) -> Span:
    """The blanks between two items."""
    left, right = before.span, after.span
    return Span(left.end_line, left.end_column, right.line, right.column, left.end, right.start)


def _with_equals_signs(items: list[Any], report: ReportFunction) -> list[Any]:
    """`lr 8e-4` becomes `lr=8e-4`."""
    result: list[Any] = []
    for item in items:
        before = result[-1] if result else None
        is_positional = not isinstance(item, (*_NOT_POSITIONAL, *nodes.TARGETS))
        if isinstance(before, nodes.Name) and before.text in ARGUMENT_NAMES and is_positional:
            gap = _gap(before, item)
            report(
                "DSD101",
                f"the argument `{before.text}` needs a `=` before its value",
                before.span,
                label="an `=` is missing after this",
                fix=Fix("put in the `=`", (Edit(gap, "="),)),
            )
            result[-1] = nodes.Argument(before.text, before.span, item, before.span.to(item.span))
            continue
        result.append(item)
    return result


def _dense_item(item: Any, report: ReportFunction) -> list[Any]:
    if isinstance(item, nodes.Number) and not item.percent:
        return [_as_length(item, report)]
    if isinstance(item, (nodes.Number, *nodes.TARGETS)):
        report(
            "DSD101",
            "a `dense` phase has no target: nothing is pruned in it",
            item.span,
            label="only a length can be here",
            help="to prune, write `sparse` instead of `dense`",
            is_share=_is_share(item),
        )
        return [item] if _is_share(item) else []
    return [item]


def _sparse_items(items: list[Any], report: ReportFunction) -> tuple[Any, ...]:
    """One target; a second number can only be a length without its unit."""
    numbers = [item for item in items if isinstance(item, nodes.Number)]
    targets = [item for item in items if isinstance(item, (nodes.Number, *nodes.TARGETS))]
    if len(targets) < 2:
        return tuple(items)
    large = [number for number in numbers if not number.percent and number.value >= 1]
    target = next((item for item in targets if item not in large), targets[0])
    result: list[Any] = []
    for item in items:
        if item is target or item not in targets:
            result.append(item)
        elif isinstance(item, nodes.Number) and not item.percent and item.value >= 1:
            result.append(_as_length(item, report))
        else:
            report(
                "DSD101",
                "a `sparse` phase has one target",
                item.span,
                label="this is a second one",
                help="one target for each kind of layer is written `[conv: 30%, fc: 50%]`",
                is_share=_is_share(item),
            )
            if _is_share(item):
                result.append(item)
    return tuple(result)


def _is_share(item: Any) -> bool:
    return isinstance(item, nodes.Number) and item.percent


def _as_length(number: nodes.Number, report: ReportFunction) -> nodes.LengthLiteral:
    report(
        "DSD402",
        f"the length `{number.text}` has no unit",
        number.span,
        label="`ep` or `it`?",
        help=f"write `{number.text}ep` (epochs) or `{number.text}it` (optimizer updates)",
        fix=Fix(f"write `{number.text}ep`", (Edit(number.span, f"{number.text}ep"),)),
    )
    return nodes.LengthLiteral(f"{number.text}ep", number.value, "ep", number.span)
