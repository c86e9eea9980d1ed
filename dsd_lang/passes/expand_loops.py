"""Unrolls `repeat {}`, `for` and `sweep`, and gives every phase the values of its variables.

A round of a loop is resolved as if it were written out. A `sweep` becomes a fork whose branches are named by the source
text of their values (`s=25%`, `s=25%,w=1e-4`).
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

from dsd_lang.base.arguments import BY_NAME
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.compilation import Compilation
from dsd_lang.passes.outline import Claim, Element, ForkItem, Group, OutlineItem, Round, TailItem
from dsd_lang.passes.quantities import Bound, Names, Quantity, evaluate
from dsd_lang.passes.read_values import read_value
from dsd_lang.rules import unknown_argument, wrong_value
from dsd_lang.syntax import nodes
from dsd_lang.syntax.describe import describe

Texts = dict[str, str]


def expand_loops(compilation: Compilation) -> None:
    """Fills in ``outline``, for a program within the size limit."""
    expansion = _Expansion(compilation.diagnostics)
    compilation.outline = Group(expansion.body(compilation.program.statements, {}, {}, is_top=True))


def whole_count(value: nodes.Value, names: Names, what: str, diagnostics: Diagnostics) -> int | None:
    """A count of at least 1; None after reporting an invalid one."""
    quantity = evaluate(value, names, diagnostics)
    if quantity is None:
        return None
    if quantity.unit != "" or quantity.value.denominator != 1 or quantity.value < 1:
        diagnostics.report(wrong_value.not_a_count(what, str(quantity), value.span))
        return None
    return int(quantity.value)


def bind(value: nodes.Value, names: Names, diagnostics: Diagnostics) -> tuple[Bound, str] | None:
    """The value of a loop variable, and its source text."""
    if isinstance(value, nodes.Name) and value.text not in names:
        return value, value.text
    if isinstance(value, nodes.Text):
        return value, value.value
    if isinstance(value, (nodes.Call, nodes.Reference)):
        return value, describe(value).strip("`")
    quantity = evaluate(value, names, diagnostics)
    if quantity is None:
        return None
    written = value.text if isinstance(value, (nodes.Number, nodes.LengthLiteral)) else str(quantity)
    return quantity, written


class _Expansion:
    def __init__(self, diagnostics: Diagnostics) -> None:
        self.diagnostics = diagnostics
        self.num_loops = 0

    def body(
        self, body: tuple[nodes.Statement, ...], names: Names, texts: Texts, *, is_top: bool = False
    ) -> list[Element]:
        elements: list[Element] = []
        for statement in body:
            elements += self.statement(statement, names, texts, is_top)
        return elements

    def statement(self, statement: nodes.Statement, names: Names, texts: Texts, is_top: bool) -> list[Element]:
        if isinstance(statement, nodes.Phase):
            return [OutlineItem(statement, names, texts)]
        if isinstance(statement, nodes.RepeatTail):
            return [TailItem(statement, names, texts)]
        if isinstance(statement, nodes.RepeatBlock):
            return self.repeat(statement, names, texts)
        if isinstance(statement, nodes.ForBlock):
            return self.loop(statement, names, texts)
        if isinstance(statement, nodes.Fork):
            return self.fork(statement, names, texts)
        if isinstance(statement, nodes.Sweep):
            return self.sweep(statement, names, texts)
        if isinstance(statement, (nodes.Compare, nodes.Expect)):
            return [Claim(statement, names)]
        if not is_top:
            self.diagnostics.report(unknown_argument.set_in_block(statement))
        return []

    def repeat(self, statement: nodes.RepeatBlock, names: Names, texts: Texts) -> list[Element]:
        count = whole_count(statement.count, names, "the number of rounds", self.diagnostics) or 1
        loop = f"loop{self.num_loops}"
        self.num_loops += 1
        groups: list[Element] = []
        for index in range(count):
            inner, inner_texts = names, texts
            if statement.variable is not None:
                variable = statement.variable.text
                inner = {**names, variable: Quantity(Fraction(index))}
                inner_texts = {**texts, variable: str(index)}
            cycle = Round(loop, index, statement.until, inner) if statement.until is not None else None
            groups.append(Group(self.body(statement.body, inner, inner_texts), round=cycle))
        return [Group(groups, is_block=True)]

    def loop(self, statement: nodes.ForBlock, names: Names, texts: Texts) -> list[Element]:
        variable = statement.variable.text
        elements: list[Element] = []
        for value in statement.values:
            bound = bind(value, names, self.diagnostics)
            if bound is not None:
                inner = {**names, variable: bound[0]}
                elements += self.body(statement.body, inner, {**texts, variable: bound[1]})
        return [Group(elements, is_block=True)]

    def fork(self, statement: nodes.Fork, names: Names, texts: Texts) -> list[Element]:
        seeds: int | None = None
        rng: str | None = None
        for argument in statement.arguments:
            if isinstance(argument.value, tuple):
                continue
            if argument.name == "seeds":
                seeds = whole_count(argument.value, names, "`seeds=`", self.diagnostics)
            elif argument.name == "rng":
                value = read_value(BY_NAME["rng"], argument.value, names, self.diagnostics)
                rng = value if isinstance(value, str) else None
        branches: list[tuple[str, Group]] = []
        for index, branch in enumerate(statement.branches):
            name = branch.label.name if branch.label is not None else f"branch{index}"
            branches.append((name, Group(self.body(branch.body, names, texts), is_block=True)))
        return [ForkItem(statement, tuple(branches), seeds, rng)]

    def sweep(self, statement: nodes.Sweep, names: Names, texts: Texts) -> list[Element]:
        choices: list[list[tuple[str, Bound, str]]] = []
        for variable in statement.variables:
            bounds = [bind(value, names, self.diagnostics) for value in variable.values]
            choices.append([(variable.variable.text, *bound) for bound in bounds if bound is not None])
        branches: list[tuple[str, Group]] = []
        for combination in product(*choices):
            inner = {**names, **{name: bound for name, bound, _ in combination}}
            written = {name: text for name, _, text in combination}
            path = ",".join(f"{name}={text}" for name, text in written.items())
            body = self.body(statement.body, inner, {**texts, **written})
            branches.append((path, Group(body, is_block=True)))
        return [ForkItem(statement, tuple(branches), None, None)]
