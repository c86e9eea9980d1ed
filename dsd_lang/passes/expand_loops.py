"""Unrolls `repeat {}`, `for`, `sweep` and calls, and gives every phase the values of its names.

A round of a loop is resolved as if it were written out, and so is the body of a `def`. A `sweep` becomes a fork whose
branches are named by the source text of their values (`grid[25%]`, without a label `s=25%`, `s=25%,w=1e-4`).
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

from dsd_lang import rules
from dsd_lang.base.arguments import BY_NAME
from dsd_lang.base.arms import arm_name
from dsd_lang.passes.bindings import bind_all, each_value
from dsd_lang.passes.calls import called_scope, find_definition, respanned
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.compilation import Compilation
from dsd_lang.passes.outline import Claim, Element, ForkItem, Group, OutlineItem, Round, TailItem
from dsd_lang.passes.overrides import overridden
from dsd_lang.passes.quantities import Bound, Names, Quantity, evaluate
from dsd_lang.passes.read_used_files import joined
from dsd_lang.passes.read_values import read_value
from dsd_lang.passes.scopes import NO_SCOPE, Definition, Scope, Whole
from dsd_lang.syntax import nodes

_NAMING = (nodes.Let, nodes.Def, nodes.Use)


def expand_loops(compilation: Compilation) -> None:
    """Fills in ``outline``, for a program within the size limit."""
    expansion = _Expansion(compilation)
    compilation.outline = Group(expansion.body(compilation.program.statements, NO_SCOPE, is_top=True))


def whole_count(value: nodes.Value, names: Names, what: str, diagnostics: Diagnostics) -> int | None:
    """A count of at least 1; None after reporting an invalid one."""
    quantity = evaluate(value, names, diagnostics)
    if quantity is None:
        return None
    if quantity.unit != "" or quantity.value.denominator != 1 or quantity.value < 1:
        diagnostics.report(rules.wrong_value.not_a_count(what, str(quantity), value.span))
        return None
    return int(quantity.value)


class _Expansion:
    def __init__(self, compilation: Compilation) -> None:
        self.compilation = compilation
        self.diagnostics = compilation.diagnostics
        self.num_loops = 0
        self.num_calls = 0
        self._bodies: dict[tuple[int, int], tuple[nodes.Statement, ...]] = {}

    def body(self, body: tuple[nodes.Statement, ...], scope: Scope, *, is_top: bool = False) -> list[Element]:
        elements: list[Element] = []
        for statement in body:
            if isinstance(statement, _NAMING):
                scope = self.naming(statement, scope, is_top)
            else:
                elements += self.statement(statement, scope, is_top)
        return elements

    def naming(self, statement: nodes.Let | nodes.Def | nodes.Use, scope: Scope, is_top: bool) -> Scope:
        """What is visible behind a statement that names something."""
        if isinstance(statement, nodes.Let):
            let = overridden(statement, self.compilation.overrides) if is_top else statement
            bound = bind_all(let.values, scope.names, self.diagnostics)
            return scope if bound is None else scope.with_names({let.name.text: bound})
        if not is_top:
            self.diagnostics.report(rules.unusable_file.in_block(statement, statement.span))
        if isinstance(statement, nodes.Use):
            used = self.compilation.used.get(id(statement))
            return scope if used is None else joined(scope, used)
        defined = {statement.name.text: Definition(statement, scope)}
        return scope._replace(definitions={**scope.definitions, **defined})

    def statement(self, statement: nodes.Statement, scope: Scope, is_top: bool) -> list[Element]:
        if isinstance(statement, nodes.Phase):
            return [OutlineItem(statement, scope.names, scope.texts, whole=scope.whole)]
        if isinstance(statement, nodes.RepeatTail):
            return [TailItem(statement, scope.names, scope.texts, scope.whole)]
        if isinstance(statement, nodes.RepeatBlock):
            return self.repeat(statement, scope)
        if isinstance(statement, nodes.ForBlock):
            return self.loop(statement, scope)
        if isinstance(statement, nodes.Invocation):
            return self.call(statement, scope)
        if isinstance(statement, nodes.Within):
            return self.within(statement, scope)
        if isinstance(statement, (nodes.Compare, nodes.Expect)):
            return [Claim(statement, scope.names)]
        if isinstance(statement, (nodes.Fork, nodes.Sweep)):
            if scope.whole is not None:
                word = "fork" if isinstance(statement, nodes.Fork) else "sweep"
                self.diagnostics.report(rules.shares_past_whole.branches_inside(statement.span, word))
                return []
            return self.fork(statement, scope) if isinstance(statement, nodes.Fork) else self.sweep(statement, scope)
        if not is_top:
            self.diagnostics.report(rules.unknown_argument.set_in_block(statement))
        return []

    def repeat(self, statement: nodes.RepeatBlock, scope: Scope) -> list[Element]:
        count = whole_count(statement.count, scope.names, "the number of rounds", self.diagnostics) or 1
        loop = f"loop{self.num_loops}"
        self.num_loops += 1
        groups: list[Element] = []
        for index in range(count):
            inner = scope
            if statement.variable is not None:
                variable = statement.variable.text
                inner = scope.with_names({variable: Quantity(Fraction(index))}, {variable: str(index)})
            cycle = Round(loop, index, statement.until, inner.names) if statement.until is not None else None
            groups.append(Group(self.body(statement.body, inner), round=cycle))
        return [Group(groups, is_block=True)]

    def loop(self, statement: nodes.ForBlock, scope: Scope) -> list[Element]:
        elements: list[Element] = []
        for names, texts in self.rounds(statement.variables, statement.values, scope):
            elements += self.body(statement.body, scope.with_names(names, texts))
        return [Group(elements, is_block=True)]

    def rounds(
        self, variables: tuple[nodes.Name, ...], values: tuple[nodes.Each, ...], scope: Scope
    ) -> list[tuple[dict[str, Bound], dict[str, str]]]:
        """The values of the variables, and their texts, one round after the other."""
        found: list[tuple[dict[str, Bound], dict[str, str]]] = []
        for value in values:
            for row in each_value(value, scope.names, self.diagnostics):
                if len(row) != len(variables):
                    self.diagnostics.report(
                        rules.wrong_value_names.row_of_other_size(value.span, len(row), len(variables))
                    )
                    break
                pairs = list(zip((name.text for name in variables), row, strict=True))
                found.append(({name: bound for name, (bound, _) in pairs}, {name: text for name, (_, text) in pairs}))
        return found

    def call(self, statement: nodes.Invocation, scope: Scope) -> list[Element]:
        definition = find_definition(statement, scope, self.compilation.program, self.diagnostics)
        inner = None if definition is None else called_scope(statement, scope, definition, self.diagnostics)
        if definition is None or inner is None:
            return []
        key = (id(statement), id(definition.node))
        if key not in self._bodies:
            self._bodies[key] = respanned(
                definition.node.body, statement.span, definition.node.name.text, definition.file
            )
        label = statement.label.name if statement.label is not None else None
        return [Group(self.body(self._bodies[key], inner), is_block=True, label=label)]

    def within(self, statement: nodes.Within, scope: Scope) -> list[Element]:
        length = evaluate(statement.length, scope.names, self.diagnostics)
        if length is not None and (not length.is_length or length.value <= 0):
            self.diagnostics.report(rules.shares_past_whole.not_a_whole(statement.length.span, f"`{length}`"))
            length = None
        if scope.whole is not None:
            self.diagnostics.report(rules.shares_past_whole.nested(statement.span))
            length = None
        if length is None:
            return []
        inner = scope._replace(whole=Whole(length, statement.length.span))
        label = statement.label.name if statement.label is not None else None
        return [Group(self.body(statement.body, inner), is_block=True, label=label)]

    def fork(self, statement: nodes.Fork, scope: Scope) -> list[Element]:
        seeds: int | None = None
        rng: str | None = None
        for argument in statement.arguments:
            if isinstance(argument.value, (tuple, nodes.ListTarget)):
                continue
            if argument.name == "seeds":
                seeds = whole_count(argument.value, scope.names, "`seeds=`", self.diagnostics)
            elif argument.name == "rng":
                value = read_value(BY_NAME["rng"], argument.value, scope.names, self.diagnostics)
                rng = value if isinstance(value, str) else None
        branches: list[tuple[str, Group]] = []
        for index, branch in enumerate(statement.branches):
            name = branch.label.name if branch.label is not None else f"branch{index}"
            branches.append((name, Group(self.body(branch.body, scope), is_block=True)))
        return [ForkItem(statement, tuple(branches), seeds, rng)]

    def sweep(self, statement: nodes.Sweep, scope: Scope) -> list[Element]:
        choices = [self.rounds(binding.variables, binding.values, scope) for binding in statement.bindings]
        label = statement.label.name if statement.label is not None else ""
        branches: list[tuple[str, Group]] = []
        for combination in product(*choices):
            names = {name: bound for values, _ in combination for name, bound in values.items()}
            texts = {name: text for _, written in combination for name, text in written.items()}
            body = self.body(statement.body, scope.with_names(names, texts))
            branches.append((arm_name(label, texts), Group(body, is_block=True)))
        return [ForkItem(statement, tuple(branches), None, None)]
