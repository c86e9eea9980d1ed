"""Reads conditions: substitutes variables and flattens chains of `and` and `or`."""

from __future__ import annotations

from collections.abc import Callable

from dsd_lang import rules
from dsd_lang.base.conditions import CONDITION_FUNCTIONS
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.units import format_exact
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.quantities import Names, Quantity, evaluate, written
from dsd_lang.passes.read_functions import fits
from dsd_lang.syntax import nodes
from dsd_lang.syntax.walk import below

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.plan.shapes import ConditionData

RenameMetric = Callable[[nodes.Name], str | None]
FindComparison = Callable[[nodes.Compare], int | None]


def read_condition(
    node: nodes.Condition, names: Names, diagnostics: Diagnostics, *, expected: ExpectNames | None = None
) -> ConditionData | None:
    """The condition as plan data; ``expected`` is given for an `expect`. None after reporting a mistake."""
    return _Reader(names, diagnostics, expected).condition(node)


class ExpectNames(NamedTuple):
    """What only an `expect` can name: a metric of an arm, by its full name, and a comparison, by its index."""

    metric: RenameMetric
    comparison: FindComparison


class _Reader:
    def __init__(self, names: Names, diagnostics: Diagnostics, expected: ExpectNames | None) -> None:
        self.names = names
        self.diagnostics = diagnostics
        self.expected = expected

    def condition(self, node: nodes.Condition) -> ConditionData | None:
        if isinstance(node, nodes.Logical):
            return self.logical(node)
        if isinstance(node, nodes.Negation):
            operand = self.condition(node.operand)
            return None if operand is None else {"kind": "not", "args": (operand,)}
        if isinstance(node, nodes.Comparison):
            left, right = self.operand(node.left), self.operand(node.right)
            if left is None or right is None:
                return None
            return {"kind": "compare", "op": node.operator, "args": (left, right)}
        call = self.call(node)
        if call is not None and not CONDITION_FUNCTIONS[call["name"]].is_condition:
            self.diagnostics.report(rules.wrong_condition.not_a_condition(call["name"], node.span))
            return None
        return call

    def logical(self, node: nodes.Logical) -> ConditionData | None:
        """Flattens `a and b and c` to one node with three arguments."""
        parts: list[nodes.Condition] = []
        stack: list[nodes.Condition] = [node]
        while stack:
            part = stack.pop()
            if isinstance(part, nodes.Logical) and part.operator == node.operator:
                stack += [part.right, part.left]
            else:
                parts.append(part)
        read = [self.condition(part) for part in parts]
        known = tuple(part for part in read if part is not None)
        return {"kind": node.operator, "args": known} if len(known) == len(read) else None

    def operand(self, node: nodes.Value) -> ConditionData | None:
        if not any(self.is_measured(part) for part in below(node)):
            quantity = evaluate(node, self.names, self.diagnostics)
            return None if quantity is None else self.number(quantity, node)
        if isinstance(node, nodes.Name):
            metric = node.text if self.expected is None else self.expected.metric(node)
            return None if metric is None else {"kind": "metric", "name": metric}
        if isinstance(node, nodes.Call):
            return self.call(node)
        if isinstance(node, nodes.PValue):
            return self.p_value(node)
        if isinstance(node, nodes.Unary):
            operand = self.operand(node.operand)
            zero: ConditionData = {"kind": "number", "value": "0"}
            return None if operand is None else {"kind": "arithmetic", "op": "-", "args": (zero, operand)}
        if isinstance(node, nodes.Binary):
            return self.arithmetic(node)
        return None

    def is_measured(self, node: object) -> bool:
        """Whether a part is known only at run time: a metric or a call."""
        return isinstance(node, (nodes.Call, nodes.PValue)) or (
            isinstance(node, nodes.Name) and node.text not in self.names
        )

    def number(self, quantity: Quantity, node: nodes.Value) -> ConditionData | None:
        if not quantity.is_number:
            self.diagnostics.report(rules.wrong_condition.compared_with_length(str(quantity), node.span))
            return None
        data: ConditionData = {"kind": "number", "value": format_exact(quantity.value)}
        if quantity.unit == "%":
            data["percent"] = True
        return data

    def arithmetic(self, node: nodes.Binary) -> ConditionData | None:
        if node.operator == "^":
            self.diagnostics.report(rules.wrong_condition.power_in_condition(node.span))
            return None
        left, right = self.operand(node.left), self.operand(node.right)
        if left is None or right is None:
            return None
        return {"kind": "arithmetic", "op": node.operator, "args": (left, right)}

    def p_value(self, node: nodes.PValue) -> ConditionData | None:
        if self.expected is None:
            self.diagnostics.report(rules.wrong_condition.only_in_expect("p", node))
            return None
        index = self.expected.comparison(node.compare)
        return None if index is None else {"kind": "p", "comparison": index}

    def call(self, node: nodes.Call) -> ConditionData | None:
        name = node.callee.text if isinstance(node.callee, nodes.Name) else ""
        statement = "until" if self.expected is None else "expect"
        known = tuple(row.name for row in CONDITION_FUNCTIONS.values() if row.statement == statement)
        if name not in CONDITION_FUNCTIONS:
            self.diagnostics.report(rules.wrong_condition.unknown_condition_function(node.callee, known))
            return None
        if self.expected is None and CONDITION_FUNCTIONS[name].statement == "expect":
            self.diagnostics.report(rules.wrong_condition.only_in_expect(name, node))
            return None
        if name == "p":
            self.diagnostics.report(rules.wrong_condition.not_two_arms(node))
            return None
        arguments: list[ConditionData] = []
        options: dict[str, str] = {}
        for item in node.arguments:
            if item.name is None:
                operand = self.operand(item.value)
                if operand is None:
                    return None
                arguments.append(operand)
            elif not self.option(name, item, options):
                return None
        unnamed = [item.value for item in node.arguments if item.name is None]
        if len(unnamed) == 2 and CONDITION_FUNCTIONS[name].parameters and isinstance(unnamed[1], nodes.Number):
            option = CONDITION_FUNCTIONS[name].parameters[0].name
            self.diagnostics.report(rules.wrong_condition.second_value_unnamed(name, option, unnamed[1]))
            return None
        if len(arguments) != 1 or arguments[0]["kind"] != "metric":
            self.diagnostics.report(rules.wrong_condition.watches_one_metric(name, node.span))
            return None
        data: ConditionData = {"kind": "call", "name": name, "args": tuple(arguments)}
        if options:
            data["options"] = options
        return data

    def option(self, function: str, item: nodes.CallArgument, options: dict[str, str]) -> bool:
        row = CONDITION_FUNCTIONS[function]
        known = tuple(parameter.name for parameter in row.parameters)
        name = item.name or ""
        parameter = row.parameter(name)
        if parameter is None:
            self.diagnostics.report(rules.unknown_argument.unknown_condition_argument(function, known, item))
            return False
        if name in options:
            self.diagnostics.report(rules.duplicate_argument.parameter_twice(f"`{name}=`", item, help="keep one"))
            return False
        quantity = evaluate(item.value, self.names, self.diagnostics)
        if quantity is None:
            return False
        if not quantity.is_number or not fits(parameter, format_exact(quantity.value)):
            self.diagnostics.report(rules.wrong_value.parameter_outside(name, parameter, item.value.span))
            return False
        options[name] = written(quantity)
        return True
