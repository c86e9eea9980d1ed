"""Binds names to values: loop variables, `let`s, parameters.

A value is bound once, with the names that are visible there, so that a name never means two things. An expression of
`prev`, `last` and `base` stays one until the phase that uses it is known.
"""

from __future__ import annotations

from fractions import Fraction

from dsd_lang import rules
from dsd_lang.base.arguments import RATE_WORDS
from dsd_lang.base.arms import split_index
from dsd_lang.base.diagnostics import Span
from dsd_lang.base.units import format_exact
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.quantities import Bound, Names, Quantity, evaluate
from dsd_lang.rules.program_too_large import MAX_PHASES
from dsd_lang.syntax import nodes
from dsd_lang.syntax.describe import describe
from dsd_lang.syntax.named_selectors import as_selectors, selectors_of
from dsd_lang.syntax.walk import below


def bind(value: nodes.Domain, names: Names, diagnostics: Diagnostics) -> tuple[Bound, str] | None:
    """What a value stands for, and its source text; None after reporting why it is none."""
    if isinstance(value, nodes.Name):
        bound = names.get(value.text, value)
        return bound, value.text if bound is value else written(bound)
    if isinstance(value, (nodes.Number, nodes.LengthLiteral)):
        quantity = evaluate(value, names, diagnostics)
        return None if quantity is None else (quantity, value.text)
    if isinstance(value, (nodes.Unary, nodes.Binary)) and not _is_rate(value, names):
        quantity = evaluate(value, names, diagnostics)
        return None if quantity is None else (quantity, str(quantity))
    made: Bound = closed(value, names)
    if isinstance(made, (nodes.RampTarget, nodes.ListTarget)):
        unknown = [part for part in below(made) if isinstance(part, nodes.Name) and part.text not in RATE_WORDS]
        for name in unknown:
            evaluate(name, {}, diagnostics)  # says that it is unknown
        if unknown:
            return None
    return made, written(made)


def bind_all(values: tuple[nodes.Domain, ...], names: Names, diagnostics: Diagnostics) -> Bound | None:
    """What the values of a `let` stand for: one value, or several selectors."""
    if len(values) == 1:
        bound = bind(values[0], names, diagnostics)
        return None if bound is None else bound[0]
    found: list[nodes.SelectorNode] = []
    for value in values:
        bound = bind(value, names, diagnostics)
        selectors = None if bound is None else as_selectors(bound[0], value.span)
        if selectors is None:
            diagnostics.report(rules.wrong_value_names.not_a_selector(value.span))
            return None
        found += selectors
    return nodes.SelectorList(tuple(found), values[0].span.to(values[-1].span))


def written(bound: Bound) -> str:
    """A value as it is written in a schedule, where that is short; else in words."""
    if isinstance(bound, Quantity):
        return str(bound)
    if isinstance(bound, nodes.SelectorList):
        return ",".join(str(item.selector) for item in bound.items)
    if isinstance(bound, nodes.SelectorNode):
        return str(bound.selector)
    if isinstance(bound, nodes.Text):
        return bound.value
    if isinstance(bound, nodes.NofMTarget):
        return f"{format_exact(bound.keep)}:{format_exact(bound.of)}"
    if isinstance(bound, nodes.RampTarget):
        return f"{_part(bound.start)}->{_part(bound.end)}"
    if isinstance(bound, nodes.HeldTarget):
        return "held"
    if isinstance(bound, nodes.ListTarget):
        return f"[{', '.join(f'{item.selector.selector}: {written(item.target)}' for item in bound.items)}]"
    return describe(bound).strip("`")


def named_arm(part: str, names: Names) -> str:
    """One part of a path with the values of the names in its brackets: `grid[s]` is `grid[25%]` where `s` is 25%."""
    label, values = split_index(part)
    if not any(value in names for value in values.values()):
        return part
    meant = [(name, written(names[value]) if value in names else value) for name, value in values.items()]
    return f"{label}[{','.join(f'{name}={value}' if name else value for name, value in meant)}]"


def named_reference(node: nodes.Reference, names: Names) -> nodes.Reference:
    """A reference with the values of the names in its brackets."""
    path = tuple([named_arm(part, names) for part in node.path])
    return node if path == node.path else nodes.Reference(path, node.span)


def _part(value: nodes.Value) -> str:
    return value.text if isinstance(value, (nodes.Number, nodes.LengthLiteral, nodes.Name)) else describe(value)


def closed(node: nodes.Domain, names: Names) -> nodes.Domain:
    """The node with the values of all bound names in it."""
    if isinstance(node, nodes.Name):
        bound = names.get(node.text)
        if isinstance(bound, Quantity):
            return literal_node(bound, node.span)
        return node if bound is None or isinstance(bound, nodes.SelectorList) else bound
    if isinstance(node, nodes.Reference):
        return named_reference(node, names)
    if isinstance(node, nodes.Unary):
        return nodes.Unary(node.operator, _value(node.operand, names), node.span)
    if isinstance(node, nodes.Binary):
        return nodes.Binary(node.operator, _value(node.left, names), _value(node.right, names), node.span)
    if isinstance(node, nodes.Call):
        items = [nodes.CallArgument(item.name, _value(item.value, names), item.span) for item in node.arguments]
        return nodes.Call(node.callee, tuple(items), node.span)
    if isinstance(node, nodes.RampTarget):
        return nodes.RampTarget(_value(node.start, names), _value(node.end, names), node.span)
    if isinstance(node, nodes.ListTarget):
        return nodes.ListTarget(tuple(one for item in node.items for one in _closed_items(item, names)), node.span)
    return node


def _closed_items(item: nodes.SelectorTarget, names: Names) -> list[nodes.SelectorTarget]:
    """The item, once for each selector that its name stands for; what stands for none is reported later."""
    target = closed(item.target, names)
    if isinstance(target, (nodes.HeldTarget, nodes.ListTarget, nodes.SelectorNode)):
        target = item.target
    selectors = selectors_of(item.selector, names) or (item.selector,)
    return [nodes.SelectorTarget(selector, target, item.span) for selector in selectors]


def _value(node: nodes.Value, names: Names) -> nodes.Value:
    """The closed operand of an expression; one that is bound to no value stays a name, which is reported later."""
    made = closed(node, names)
    is_value = not isinstance(made, (*nodes.TARGETS, nodes.SelectorNode))
    return made if is_value else node  # type: ignore[return-value]


def literal_node(quantity: Quantity, span: Span) -> nodes.Value:
    """A quantity as it is written."""
    if quantity.is_length:
        return nodes.LengthLiteral(str(quantity), quantity.value, "ep" if quantity.unit == "ep" else "it", span)
    return nodes.Number(str(quantity), quantity.value, quantity.unit == "%", span)


def _is_rate(value: nodes.Value, names: Names) -> bool:
    """Whether an expression has an earlier rate in it: it is evaluated where it is used."""
    return any(
        isinstance(part, nodes.Name)
        and (
            (part.text in RATE_WORDS and part.text not in names)
            or isinstance(names.get(part.text), (nodes.Unary, nodes.Binary, nodes.Name))
        )
        for part in below(value)
    )


def each_value(each: nodes.Each, names: Names, diagnostics: Diagnostics) -> list[tuple[tuple[Bound, str], ...]]:
    """The rounds that one item of `for` or `sweep` stands for, as (value, text) for each variable."""
    if isinstance(each, nodes.Row):
        row = [bind(value, names, diagnostics) for value in each.values]
        return [] if None in row else [tuple(item for item in row if item is not None)]
    if isinstance(each, nodes.Range):
        return [((quantity, str(quantity)),) for quantity in _steps(each, names, diagnostics)]
    bound = bind(each, names, diagnostics)
    return [] if bound is None else [(bound,)]


def num_values(each: nodes.Each, names: Names) -> int:
    """How many rounds it stands for, without making them."""
    if not isinstance(each, nodes.Range):
        return 1
    count = _count(each, names, Diagnostics())
    return 0 if count is None else count[1]


def _steps(node: nodes.Range, names: Names, diagnostics: Diagnostics) -> list[Quantity]:
    found = _count(node, names, diagnostics)
    if found is None:
        return []
    start, count, step = found
    return [start._replace(value=start.value + index * step) for index in range(min(count, MAX_PHASES + 1))]


def _count(node: nodes.Range, names: Names, diagnostics: Diagnostics) -> tuple[Quantity, int, Fraction] | None:
    """The first value, the number of values and the step; None after reporting a range that has none."""
    ends = [evaluate(value, names, diagnostics) for value in (node.start, node.end)]
    written_step = None if node.step is None else evaluate(node.step, names, diagnostics)
    start, end = ends
    if start is None or end is None or (node.step is not None and written_step is None):
        return None
    step = written_step or Quantity(Fraction(1), start.unit)
    if node.step is None and start.unit == "%":
        diagnostics.report(rules.wrong_value_names.range_without_step(node))
        return None
    if len({start.unit, end.unit, step.unit}) > 1:
        diagnostics.report(rules.wrong_value_names.range_of_units(node, *map(str, (start, end, step))))
        return None
    size = (end.value - start.value) / step.value if step.value else Fraction(-1)
    if size < 0:
        diagnostics.report(rules.wrong_value_names.empty_range(node, *map(str, (start, end, step))))
        return None
    return start, int(size) + 1, step.value
