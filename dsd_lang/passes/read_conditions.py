"""A condition in, plan-ready condition out: variables put in, chains of `and`/`or` laid flat."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dsd_lang.base.conditions import CONDITION_FUNCTIONS
from dsd_lang.base.diagnostics import replacement
from dsd_lang.base.errors import nearest
from dsd_lang.base.units import format_exact
from dsd_lang.passes.findings import Findings
from dsd_lang.passes.quantities import Names, Quantity, describe, evaluate, written
from dsd_lang.passes.walk import below
from dsd_lang.passes.wrong_values import expected_by, fits
from dsd_lang.syntax import nodes
from dsd_lang.syntax.terminals import widened

RenameMetric = Callable[[nodes.Name], str | None]


def read_condition(
    node: nodes.Condition, names: Names, findings: Findings, *, rename: RenameMetric | None = None
) -> dict[str, Any] | None:
    """The plan's condition; ``rename`` puts a metric's full name in its place. None after reporting a mistake."""
    reader = _Reader(names, findings, rename or (lambda name: name.text))
    return reader.condition(node)


class _Reader:
    def __init__(self, names: Names, findings: Findings, rename: RenameMetric) -> None:
        self.names = names
        self.findings = findings
        self.rename = rename

    def condition(self, node: nodes.Condition) -> dict[str, Any] | None:
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
            self.findings.add(
                "DSD209",
                f"`{call['name']}(...)` is a number, not yet a condition",
                node.span,
                label="compare it with a number",
                help=f"write `{call['name']}(val.err) < 0.1`",
            )
            return None
        return call

    def logical(self, node: nodes.Logical) -> dict[str, Any] | None:
        """`a and b and c` as one node with three arguments."""
        parts: list[nodes.Condition] = []
        stack: list[nodes.Condition] = [node]
        while stack:
            part = stack.pop()
            if isinstance(part, nodes.Logical) and part.operator == node.operator:
                stack += [part.right, part.left]
            else:
                parts.append(part)
        read = [self.condition(part) for part in parts]
        if any(part is None for part in read):
            return None
        return {"kind": node.operator, "args": tuple(read)}

    def operand(self, node: nodes.Value) -> dict[str, Any] | None:
        if not any(self.is_measured(part) for part in below(node)):
            quantity = evaluate(node, self.names, self.findings)
            return None if quantity is None else self.number(quantity, node)
        if isinstance(node, nodes.Name):
            metric = self.rename(node)
            return None if metric is None else {"kind": "metric", "name": metric}
        if isinstance(node, nodes.Call):
            return self.call(node)
        if isinstance(node, nodes.Unary):
            operand = self.operand(node.operand)
            zero = {"kind": "number", "value": "0"}
            return None if operand is None else {"kind": "arithmetic", "op": "-", "args": (zero, operand)}
        if isinstance(node, nodes.Binary):
            return self.arithmetic(node)
        return None

    def is_measured(self, node: object) -> bool:
        """Whether a part is known only at run time: a metric or a call."""
        return isinstance(node, nodes.Call) or (isinstance(node, nodes.Name) and node.text not in self.names)

    def number(self, quantity: Quantity, node: nodes.Value) -> dict[str, Any] | None:
        if not quantity.is_number:
            self.findings.add(
                "DSD209", f"a condition compares numbers, found `{str(quantity)[:40]}`", node.span, label="no number"
            )
            return None
        data: dict[str, Any] = {"kind": "number", "value": format_exact(quantity.value)}
        return {**data, "percent": True} if quantity.unit == "%" else data

    def arithmetic(self, node: nodes.Binary) -> dict[str, Any] | None:
        if node.operator == "^":
            self.findings.add("DSD209", "a condition takes `+ - * /` of metrics, no `^`", node.span, label="no power")
            return None
        left, right = self.operand(node.left), self.operand(node.right)
        if left is None or right is None:
            return None
        return {"kind": "arithmetic", "op": node.operator, "args": (left, right)}

    def call(self, node: nodes.Call) -> dict[str, Any] | None:
        name = node.callee.text if isinstance(node.callee, nodes.Name) else ""
        if name not in CONDITION_FUNCTIONS:
            guess = nearest(name, tuple(CONDITION_FUNCTIONS))
            known = ", ".join(f"`{function}`" for function in CONDITION_FUNCTIONS)
            self.findings.add(
                "DSD209",
                f"a condition has no {describe(node.callee)}",
                node.callee.span,
                label=f"did you mean `{guess}`?" if guess else "unknown here",
                help=f"conditions know {known} and comparisons of metrics",
                fix=replacement(node.callee.span, guess) if guess else None,
            )
            return None
        arguments: list[dict[str, Any]] = []
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
            self.findings.add(
                "DSD209",
                f"the second value of `{name}` needs its name",
                unnamed[1].span,
                label=f"did you mean `{option}={unnamed[1].text}`?",
                fix=replacement(unnamed[1].span, f"{option}={unnamed[1].text}"),
            )
            return None
        if len(arguments) != 1 or arguments[0]["kind"] != "metric":
            self.findings.add(
                "DSD209", f"`{name}` watches one metric", node.span, label=f"write for instance `{name}(val.loss)`"
            )
            return None
        data: dict[str, Any] = {"kind": "call", "name": name, "args": tuple(arguments)}
        return {**data, "options": options} if options else data

    def option(self, function: str, item: nodes.CallArgument, options: dict[str, str]) -> bool:
        row = CONDITION_FUNCTIONS[function]
        known = tuple(parameter.name for parameter in row.parameters)
        name = item.name or ""
        parameter = row.parameter(name)
        if parameter is None:
            guess = nearest(name, known)
            self.findings.add(
                "DSD202",
                f"`{function}` takes no `{name}`",
                item.span,
                label=f"did you mean `{guess}`?" if guess else "unknown here",
                help=f"`{function}` takes {', '.join(f'`{option}=`' for option in known) or 'one metric'}",
                fix=replacement(widened(item.span, len(name)), guess) if guess else None,
            )
            return False
        if name in options:
            self.findings.add("DSD206", f"`{name}=` is given twice", item.span, label="given before", help="keep one")
            return False
        quantity = evaluate(item.value, self.names, self.findings)
        if quantity is None:
            return False
        if not quantity.is_number or not fits(parameter, format_exact(quantity.value)):
            wanted = expected_by(parameter)
            self.findings.add("DSD209", f"`{name}=` takes {wanted}", item.value.span, label=f"expected {wanted}")
            return False
        options[name] = written(quantity)
        return True
