"""Rejects programs that expand to too many phases, by multiplying counts before anything is expanded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import product
from math import prod

from dsd_lang import rules
from dsd_lang.base.diagnostics import Span, here
from dsd_lang.passes.bindings import bind_all, each_value, num_values
from dsd_lang.passes.calls import called_scope
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.compilation import Compilation
from dsd_lang.passes.overrides import overridden
from dsd_lang.passes.quantities import Quantity, evaluate
from dsd_lang.passes.read_used_files import joined
from dsd_lang.passes.scopes import NO_SCOPE, Definition, Scope
from dsd_lang.rules.program_too_large import MAX_PHASES
from dsd_lang.syntax import nodes
from dsd_lang.syntax.terminals import MAX_NESTING
from dsd_lang.syntax.walk import bodies, names_in, statements


def is_measurable(program: nodes.Program, diagnostics: Diagnostics) -> bool:
    """Whether blocks are not nested too deep for the later passes; reports DSD405 otherwise.

    The lexer limits the depth of braces. Blocks without braces (`repeat 3:`) are known only once the parser has
    repaired them.
    """
    too_deep = next((statement for statement, depth in statements(program.statements) if depth > MAX_NESTING), None)
    if too_deep is not None:
        diagnostics.report(rules.program_too_large.blocks_too_deep(MAX_NESTING, too_deep.span))
    return too_deep is None


def measure_program(compilation: Compilation) -> None:
    """Fills in ``is_too_large``."""
    total = count_phases(
        compilation.program, compilation.diagnostics, used=compilation.used, overrides=compilation.overrides
    )
    compilation.is_too_large = total is None


def count_phases(
    program: nodes.Program,
    diagnostics: Diagnostics,
    *,
    used: Mapping[int, Scope] = {},
    overrides: Mapping[str, str] | None = None,
) -> int | None:
    """The number of phases (and rounds) that the program expands to; None after reporting that there are too many."""
    counter = _Counter(Diagnostics(), used, overrides)
    total = counter.body(program.statements, NO_SCOPE)
    if total > MAX_PHASES:
        span = counter.culprit or (program.statements[-1].span if program.statements else program.span)
        diagnostics.report(rules.program_too_large.product_too_large(here(span)))
        return None
    return total


class _Counter:
    """Counts with the values of loop variables; stops when the limit is exceeded."""

    def __init__(self, silent: Diagnostics, used: Mapping[int, Scope], overrides: Mapping[str, str] | None) -> None:
        self.silent = silent
        self.used = used
        self.overrides = overrides
        self.culprit: Span | None = None
        self.depth = 0
        self._deciding: dict[int, set[str]] = {}

    def body(self, body: tuple[nodes.Statement, ...], scope: Scope) -> int:
        total = 0
        self.depth += 1
        for statement in body:
            if isinstance(statement, (nodes.Let, nodes.Use, nodes.Def)):
                scope = self.naming(statement, scope)
                continue
            total += self.statement(statement, scope) if self.depth <= MAX_NESTING else MAX_PHASES + 1
            if total > MAX_PHASES:
                self.culprit = self.culprit or statement.span
                break
        self.depth -= 1
        return total

    def naming(self, statement: nodes.Let | nodes.Use | nodes.Def, scope: Scope) -> Scope:
        if isinstance(statement, nodes.Use):
            return joined(scope, self.used.get(id(statement), NO_SCOPE))
        if isinstance(statement, nodes.Def):
            return scope._replace(definitions={**scope.definitions, statement.name.text: Definition(statement, scope)})
        let = overridden(statement, self.overrides) if self.depth == 1 else statement
        bound = bind_all(let.values, scope.names, self.silent)
        return scope if bound is None else scope.with_names({let.name.text: bound})

    def statement(self, statement: nodes.Statement, scope: Scope) -> int:
        if isinstance(statement, nodes.RepeatTail):
            count = self.whole(statement.count, scope) if statement.count is not None else 1
            return 2 * count
        if isinstance(statement, nodes.RepeatBlock):
            count = self.whole(statement.count, scope)
            variable = statement.variable.text if statement.variable else None
            if variable is None or variable not in self.deciding(statement):
                return count * max(1, self.body(statement.body, scope))
            rounds = (Quantity(Fraction(index)) for index in range(count))
            return self.rounds(statement.body, (scope.with_names({variable: index}) for index in rounds))
        if isinstance(statement, nodes.ForBlock):
            return self.loop(statement, ((statement.variables, statement.values),), scope)
        if isinstance(statement, nodes.Sweep):
            bindings = tuple((binding.variables, binding.values) for binding in statement.bindings)
            return self.loop(statement, bindings, scope)
        if isinstance(statement, nodes.Fork):
            given = [item.value for item in statement.arguments if item.name == "seeds"]
            values = [value for value in given if not isinstance(value, (tuple, nodes.ListTarget))]
            seeds = max((self.whole(value, scope) for value in values), default=1)
            return seeds * max(1, sum(max(1, self.body(branch.body, scope)) for branch in statement.branches))
        if isinstance(statement, nodes.Within):
            return max(1, self.body(statement.body, scope))
        return self.call(statement, scope) if isinstance(statement, nodes.Invocation) else 1

    def call(self, statement: nodes.Invocation, scope: Scope) -> int:
        definition = scope.definitions.get(statement.callee.text)
        inner = None if definition is None else called_scope(statement, scope, definition, self.silent)
        if definition is None or inner is None:
            return 1
        return max(1, self.body(definition.node.body, inner))

    def rounds(self, body: tuple[nodes.Statement, ...], scopes: Iterable[Scope]) -> int:
        """Sums over the rounds one by one, if a variable determines the size of a round."""
        total = 0
        for scope in scopes:
            total += max(1, self.body(body, scope))
            if total > MAX_PHASES:
                break
        return total

    def loop(
        self,
        statement: nodes.ForBlock | nodes.Sweep,
        bindings: tuple[tuple[tuple[nodes.Name, ...], tuple[nodes.Each, ...]], ...],
        scope: Scope,
    ) -> int:
        own = {name.text for variables, _ in bindings for name in variables}
        count = prod(sum(num_values(value, scope.names) for value in values) for _, values in bindings)
        if count > MAX_PHASES or not self.deciding(statement) & own:
            return count * max(1, self.body(statement.body, scope))
        return self.rounds(statement.body, self.scopes(bindings, scope))

    def scopes(
        self, bindings: tuple[tuple[tuple[nodes.Name, ...], tuple[nodes.Each, ...]], ...], scope: Scope
    ) -> Iterator[Scope]:
        choices = [
            [
                {name.text: bound for name, (bound, _) in zip(variables, row, strict=False)}
                for value in values
                for row in each_value(value, scope.names, self.silent)
            ]
            for variables, values in bindings
        ]
        for combination in product(*choices):
            yield scope.with_names({name: bound for values in combination for name, bound in values.items()})

    def whole(self, value: nodes.Value, scope: Scope) -> int:
        """A count as a whole number; 1 for an invalid one (another pass reports it), huge for one that is too long."""
        scratch = Diagnostics()
        quantity = evaluate(value, scope.names, scratch)
        if quantity is None:
            return MAX_PHASES + 1 if "DSD405" in scratch else 1
        return max(1, int(quantity.value)) if quantity.is_number else 1

    def deciding(self, statement: nodes.Statement) -> set[str]:
        """The variables that determine how often something inside the statement runs."""
        key = id(statement)
        if key not in self._deciding:
            inner = [child for body in bodies(statement) for child, _ in statements(body)]
            self._deciding[key] = {
                name for child in inner if not isinstance(child, nodes.Phase) for name in names_in(child)
            }
        return self._deciding[key]
