"""The labels and loop variables of a tree: where each is defined, and every span that refers to it.

The scopes are those of the language: a branch and the body of a sweep have their own, and loops belong to the scope
around them. A name refers to its latest definition before it, looked up from the innermost scope outwards. If there is
none it refers to a later one: an error in the language, but the editor can still go there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.metrics import split_metric
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.passes.resolve_references import MOMENTS
from dsd_lang.syntax import nodes
from dsd_lang.syntax.walk import below, compares_in, values_of

Loop = nodes.RepeatBlock | nodes.ForBlock | nodes.Sweep


class Definition(NamedTuple):
    """A name, what it names, the offset from which it is visible, and the fork of a branch."""

    name: str
    kind: Literal["phase", "branch", "variable"]
    span: Span
    node: nodes.Phase | nodes.Branch | Loop
    visible_from: int
    fork: nodes.Fork | None = None

    @property
    def num_seeds(self) -> int:
        """The number of seeds of a branch; 0 if `seeds=` is not a plain number."""
        given = [item.value for item in self.fork.arguments if item.name == "seeds"] if self.fork is not None else []
        return int(given[0].value) if given and isinstance(given[0], nodes.Number) else 0


class Use(NamedTuple):
    """A span that refers to a definition."""

    span: Span
    definition: Definition


class LabelScope:
    """The names of a block."""

    def __init__(self, around: LabelScope | None, start: int, end: int) -> None:
        self.around = around
        self.start = start
        self.end = end
        self.definitions: list[Definition] = []
        self.inner: list[LabelScope] = []

    def before(self, name: str, offset: int) -> Definition | None:
        """The latest definition of a name that is visible at an offset."""
        found = (item for item in reversed(self.definitions) if item.name == name and item.visible_from <= offset)
        return next(found, None)

    def chain(self) -> Iterator[LabelScope]:
        """This scope and the enclosing ones, innermost first."""
        scope: LabelScope | None = self
        while scope is not None:
            yield scope
            scope = scope.around


class _Path(NamedTuple):
    """A dotted name in the text: the parts that name labels, each with its span."""

    parts: tuple[tuple[str, Span], ...]
    scope: LabelScope


class LabelTable:
    """All definitions and uses of a program."""

    def __init__(self, program: nodes.Program, text: str) -> None:
        self.text = text
        self.top = LabelScope(None, 0, len(text))
        self.definitions: list[Definition] = []
        self.uses: list[Use] = []
        self.settings: set[str] = set()  # names given by `set`
        self._bodies: dict[Span, LabelScope] = {}  # scopes of branches, by the offset of their labels
        self._references: list[Span] = []
        self._paths: list[_Path] = []
        self._body(program.statements, self.top, {})
        for path in self._paths:
            self._resolve(path)
        self.uses.sort(key=lambda use: use.span.start)

    def at(self, offset: int) -> tuple[Definition, Span] | None:
        """What the name at an offset refers to, and the span of the name."""
        named = [*((item, item.span) for item in self.definitions), *((use.definition, use.span) for use in self.uses)]
        return next((pair for pair in named if pair[1].start <= offset <= pair[1].end), None)

    def named_at(self, offset: int) -> tuple[Definition, Span] | None:
        """The same for a whole reference; on its moment, the label that the moment belongs to."""
        found = self.at(offset)
        if found is not None:
            return found
        around = [span for span in self._references if span.start <= offset <= span.end]
        inner = [use for use in self.uses if around and around[0].start <= use.span.start < around[0].end]
        return (inner[-1].definition, around[0]) if inner else None

    def uses_of(self, definition: Definition) -> list[Span]:
        """Every span that refers to a definition, except the definition itself."""
        return [use.span for use in self.uses if use.definition is definition]

    def scope_at(self, offset: int) -> LabelScope:
        """The innermost scope at an offset."""
        scope = self.top
        while True:
            inner = next((item for item in scope.inner if item.start <= offset <= item.end), None)
            if inner is None:
                return scope
            scope = inner

    def visible_at(self, offset: int) -> list[Definition]:
        """The labels that can be referred to at an offset, innermost first, each name once."""
        found: dict[str, Definition] = {}
        for scope in self.scope_at(offset).chain():
            for item in reversed(scope.definitions):
                if item.visible_from <= offset:
                    found.setdefault(item.name, item)
        return list(found.values())

    def arms_at(self, offset: int) -> list[Definition]:
        """The branches that can be compared at an offset: those of forks before it."""
        found = self.visible_at(offset)
        return [item for item in found if item.fork is not None and item.fork.span.end <= offset]

    def inside(self, definition: Definition) -> LabelScope | None:
        """The scope of a branch."""
        return self._bodies.get(definition.span)

    def variables_at(self, offset: int) -> list[Definition]:
        """The loop variables visible at an offset, innermost last."""
        found = (item for item in self.definitions if item.kind == "variable")
        return [item for item in found if item.visible_from <= offset <= self._end_of(item.node)]

    # --- the walk -----------------------------------------------------------------------------------------------------

    def _body(self, body: tuple[nodes.Statement, ...], scope: LabelScope, variables: dict[str, Definition]) -> None:
        for statement in body:
            self._statement(statement, scope, variables)

    def _statement(self, statement: nodes.Statement, scope: LabelScope, variables: dict[str, Definition]) -> None:
        inner = {**variables, **self._variables(statement)}
        for root in values_of(statement):
            in_force = inner if isinstance(root, nodes.Until) else variables
            has_arms = isinstance(statement, nodes.Expect) and not isinstance(root, nodes.Argument)
            self._values(root, scope, in_force, has_arms=has_arms)
        if isinstance(statement, nodes.SetStatement):
            self.settings.update(argument.name for argument in statement.arguments)
        elif isinstance(statement, nodes.Phase):
            self._label(statement.label, statement, scope)
        elif isinstance(statement, (nodes.RepeatBlock, nodes.ForBlock)):
            self._body(statement.body, scope, inner)
        elif isinstance(statement, nodes.Sweep):
            self._body(statement.body, self._inner(scope, statement), inner)
        elif isinstance(statement, nodes.Fork):
            for branch in statement.branches:
                body = self._inner(scope, branch)
                self._body(branch.body, body, variables)
                self._label(branch.label, branch, scope, fork=statement)
                if branch.label is not None:
                    self._bodies[branch.label.span] = body
        for compare in compares_in(statement):
            for name in (compare.left, compare.right):
                self._paths.append(_Path(_parts(name.text.split("."), name.span), scope))

    def _inner(self, scope: LabelScope, node: nodes.Branch | nodes.Sweep) -> LabelScope:
        scope.inner.append(LabelScope(scope, node.span.start, self._end_of(node)))
        return scope.inner[-1]

    def _end_of(self, node: nodes.Statement | nodes.Branch) -> int:
        """The end of a block; the end of the text if its `}` is missing."""
        is_closed = self.text[node.span.end - 1 : node.span.end] == "}" or (
            isinstance(node, nodes.Branch) and node.is_phase
        )
        return node.span.end if is_closed else len(self.text)

    def _label(
        self,
        label: nodes.Label | None,
        node: nodes.Phase | nodes.Branch,
        scope: LabelScope,
        *,
        fork: nodes.Fork | None = None,
    ) -> None:
        if label is not None:
            kind: Literal["phase", "branch"] = "phase" if fork is None else "branch"
            scope.definitions.append(Definition(label.name, kind, label.span, node, node.span.end, fork))
            self.definitions.append(scope.definitions[-1])

    def _variables(self, statement: nodes.Statement) -> dict[str, Definition]:
        """The variables that a loop defines; they are visible after the values."""
        if not isinstance(statement, (nodes.RepeatBlock, nodes.ForBlock, nodes.Sweep)):
            return {}
        if isinstance(statement, nodes.Sweep):
            bound = [(item.variable, item.span.end) for item in statement.variables]
        elif isinstance(statement, nodes.ForBlock):
            bound = [(statement.variable, max((value.span.end for value in statement.values), default=0))]
        else:
            bound = [(statement.variable, statement.variable.span.end)] if statement.variable is not None else []
        made = [Definition(name.text, "variable", name.span, statement, start) for name, start in bound]
        self.definitions += made
        return {item.name: item for item in made}

    def _values(self, root: object, scope: LabelScope, variables: dict[str, Definition], *, has_arms: bool) -> None:
        for node in below(root):
            if isinstance(node, nodes.Call) and isinstance(node.callee, nodes.Reference):
                node = node.callee
            if isinstance(node, nodes.Reference):
                self._reference(node, scope)
            elif isinstance(node, nodes.Name) and node.text in variables:
                self.uses.append(Use(node.span, variables[node.text]))
            elif isinstance(node, nodes.Name) and has_arms:
                arm, _ = split_metric(node.text)
                self._paths.append(_Path(_parts(arm.split(".") if arm else [], node.span), scope))

    def _reference(self, node: nodes.Reference, scope: LabelScope) -> None:
        path = node.path
        if path[0] == "init":
            return
        self._references.append(node.span)
        if len(path) > 1 and (path[-1] in MOMENTS or path[-1][:1].isdecimal()):
            path = path[:-1]
        start = node.span._replace(column=node.span.column + 1, start=node.span.start + 1)
        self._paths.append(_Path(_parts(list(path), start), scope))

    def _resolve(self, path: _Path) -> None:
        """One use for each part that refers to something."""
        scope: LabelScope | None = path.scope
        for index, (name, span) in enumerate(path.parts):
            if scope is None:
                return
            if index and name.startswith("seed") and name[4:].isdecimal():
                continue
            chain = list(scope.chain()) if index == 0 else [scope]
            found = _latest(chain, name, span.start)
            if found is None:
                return
            self.uses.append(Use(span, found))
            scope = self.inside(found)


def _latest(chain: list[LabelScope], name: str, offset: int) -> Definition | None:
    """The latest definition before the offset; if there is none, a later one."""
    for scope in chain:
        found = scope.before(name, offset)
        if found is not None:
            return found
    return next((item for scope in chain for item in scope.definitions if item.name == name), None)


def _parts(names: list[str], span: Span) -> tuple[tuple[str, Span], ...]:
    """The parts of a dotted name with their spans; the name starts at the start of the span."""
    placed: list[tuple[str, Span]] = []
    skipped = 0
    for name in names:
        column, start = span.column + skipped, span.start + skipped
        placed.append((name, Span(span.line, column, span.line, column + len(name), start, start + len(name))))
        skipped += len(name) + 1
    return tuple(placed)
