"""Rejects programs that expand to too many phases, by multiplying counts before anything is expanded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import product
from math import prod

from dsd_lang.base.diagnostics import Span
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.compilation import Compilation
from dsd_lang.passes.quantities import Names, Quantity, evaluate
from dsd_lang.rules import program_too_large
from dsd_lang.syntax import nodes
from dsd_lang.syntax.terminals import MAX_NESTING
from dsd_lang.syntax.walk import bodies, names_in, statements

MAX_PHASES = 100_000


def is_measurable(program: nodes.Program, diagnostics: Diagnostics) -> bool:
    """Whether blocks are not nested too deep for the later passes; reports DSD405 otherwise.

    The lexer limits the depth of braces. Blocks without braces (`repeat 3:`) are known only once the parser has
    repaired them.
    """
    too_deep = next((statement for statement, depth in statements(program.statements) if depth > MAX_NESTING), None)
    if too_deep is not None:
        diagnostics.report(program_too_large.blocks_too_deep(MAX_NESTING, too_deep.span))
    return too_deep is None


def measure_program(compilation: Compilation) -> None:
    """Fills in ``is_too_large``."""
    compilation.is_too_large = count_phases(compilation.program, compilation.diagnostics) is None


def count_phases(program: nodes.Program, diagnostics: Diagnostics) -> int | None:
    """The number of phases (and rounds) that the program expands to; None after reporting that there are too many."""
    silent = Diagnostics()
    counter = _Counter(silent)
    total = counter.body(program.statements, {})
    if total > MAX_PHASES:
        span = counter.culprit or (program.statements[-1].span if program.statements else program.span)
        diagnostics.report(program_too_large.product_too_large(MAX_PHASES, span))
        return None
    return total


class _Counter:
    """Counts with the values of loop variables; stops when the limit is exceeded."""

    def __init__(self, silent: Diagnostics) -> None:
        self.silent = silent
        self.culprit: Span | None = None
        self._deciding: dict[int, set[str]] = {}

    def body(self, body: tuple[nodes.Statement, ...], names: Names) -> int:
        total = 0
        for statement in body:
            total += self.statement(statement, names)
            if total > MAX_PHASES:
                self.culprit = self.culprit or statement.span
                break
        return total

    def statement(self, statement: nodes.Statement, names: Names) -> int:
        if isinstance(statement, nodes.RepeatTail):
            count = self.whole(statement.count, names) if statement.count is not None else 1
            return 2 * count
        if isinstance(statement, nodes.RepeatBlock):
            count = self.whole(statement.count, names)
            variable = statement.variable.text if statement.variable else None
            if variable is None or variable not in self.deciding(statement):
                return count * max(1, self.body(statement.body, names))
            rounds = (Quantity(Fraction(index)) for index in range(count))
            return self.rounds(statement.body, ({**names, variable: index} for index in rounds))
        if isinstance(statement, nodes.ForBlock):
            variable = statement.variable.text
            if variable not in self.deciding(statement):
                return len(statement.values) * max(1, self.body(statement.body, names))
            return self.rounds(statement.body, (self.bind(names, variable, value) for value in statement.values))
        if isinstance(statement, nodes.Sweep):
            return self.sweep(statement, names)
        if isinstance(statement, nodes.Fork):
            given = [item.value for item in statement.arguments if item.name == "seeds"]
            seeds = max((self.whole(value, names) for value in given if not isinstance(value, tuple)), default=1)
            return seeds * max(1, sum(max(1, self.body(branch.body, names)) for branch in statement.branches))
        return 1

    def rounds(self, body: tuple[nodes.Statement, ...], bindings: Iterable[Names]) -> int:
        """Sums over the rounds one by one, if a variable determines the size of a round."""
        total = 0
        for names in bindings:
            total += max(1, self.body(body, names))
            if total > MAX_PHASES:
                break
        return total

    def bind(self, names: Names, variable: str, value: nodes.Value) -> Names:
        quantity = evaluate(value, names, self.silent)
        return names if quantity is None else {**names, variable: quantity}

    def sweep(self, statement: nodes.Sweep, names: Names) -> int:
        variables = {variable.variable.text for variable in statement.variables}
        arms = prod(len(variable.values) for variable in statement.variables)
        if arms > MAX_PHASES or not self.deciding(statement) & variables:
            return arms * max(1, self.body(statement.body, names))
        return self.rounds(statement.body, self.arms(statement, names))

    def arms(self, statement: nodes.Sweep, names: Names) -> Iterator[Names]:
        for values in product(*(variable.values for variable in statement.variables)):
            bound = names
            for variable, value in zip(statement.variables, values, strict=True):
                bound = self.bind(bound, variable.variable.text, value)
            yield bound

    def whole(self, value: nodes.Value, names: Names) -> int:
        """A count as a whole number; 1 for an invalid one (another pass reports it), huge for one that is too long."""
        scratch = Diagnostics()
        quantity = evaluate(value, names, scratch)
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
