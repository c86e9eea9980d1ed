"""The names of a tree: where each is defined, and every span that refers to it.

The scopes are those of the language. A branch and the bodies of a sweep and of a `def` have labels of their own, and
loops belong to the scope around them. A label refers to its latest definition before it, looked up from the innermost
scope outwards. If there is none it refers to a later one: an error in the language, but the editor can still go there.
The name of a value is visible from its `let` to the end of the block, a variable in its loop, a parameter in its `def`.
"""

from __future__ import annotations

from collections.abc import Callable

from dsd_lang.base.arms import split_path
from dsd_lang.base.diagnostics import Span
from dsd_lang.base.layers import KINDS, ROLES
from dsd_lang.base.metrics import split_metric
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.lsp.definitions import Definition, Kind, LabelScope, Names, Use, exported, parameters_of
from dsd_lang.lsp.dotted_names import NamePart, parts_of
from dsd_lang.passes.resolve_references import MOMENTS
from dsd_lang.syntax import nodes
from dsd_lang.syntax.walk import below, compares_in, statements, values_of

UsedFile = Callable[[nodes.Use], "tuple[str, nodes.Program] | None"]
"""The path and program of a file that is used; None if it cannot be read."""


class _Path(NamedTuple):
    """A dotted name in the text: the parts that name labels."""

    parts: tuple[NamePart, ...]
    scope: LabelScope


class LabelTable:
    """All definitions and uses of a program."""

    def __init__(self, program: nodes.Program, text: str, used_file: UsedFile = lambda use: None) -> None:
        self.text = text
        self.top = LabelScope(None, 0, len(text))
        self.definitions: list[Definition] = []
        self.brought: list[Definition] = []  # by `use`
        self.uses: list[Use] = []
        self.settings: set[str] = set()  # names given by `set`
        self._used_file = used_file
        self._bodies: dict[Span, LabelScope] = {}  # scopes of branches, sweeps and `def`s, by the span of their names
        self._references: list[Span] = []
        self._paths: list[_Path] = []
        self._body(program.statements, self.top, Names({}, {}), len(text))
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
        inner = [
            use
            for use in self.uses
            if around and around[0].start <= use.span.start < around[0].end and use.definition.kind != "variable"
        ]
        return (inner[-1].definition, around[0]) if inner else None

    def uses_of(self, key: tuple[str, Span]) -> list[Span]:
        """Every span that refers to the definition with this key, except the definition itself."""
        return [use.span for use in self.uses if use.definition.key == key]

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
        """The branches and sweeps that can be compared at an offset: those before it."""
        return [item for item in self.visible_at(offset) if item.arms_from is not None and item.arms_from <= offset]

    def inside(self, definition: Definition) -> LabelScope | None:
        """The scope of a branch, a sweep or a `def` of this text."""
        return None if definition.file else self._bodies.get(definition.span)

    def values_at(self, offset: int) -> list[Definition]:
        """The variables, parameters and `let`s visible at an offset, each name once, innermost last."""
        return self._visible(("variable", "parameter", "let"), offset)

    def calls_at(self, offset: int) -> list[Definition]:
        """The `def`s that can be called at an offset, each name once."""
        return self._visible(("def",), offset)

    def _visible(self, kinds: tuple[Kind, ...], offset: int) -> list[Definition]:
        named = sorted((*self.brought, *self.definitions), key=lambda item: item.visible_from)
        found: dict[str, Definition] = {}
        for item in named:
            if item.kind in kinds and item.visible_from <= offset <= item.visible_to:
                found.pop(item.name, None)
                found[item.name] = item
        return list(found.values())

    # --- the walk -----------------------------------------------------------------------------------------------------

    def _body(self, body: tuple[nodes.Statement, ...], scope: LabelScope, names: Names, end: int) -> None:
        for statement in body:
            names = self._statement(statement, scope, names, end)

    def _statement(self, statement: nodes.Statement, scope: LabelScope, names: Names, end: int) -> Names:
        """One statement; what is visible behind it."""
        inner = names.with_values(self._variables(statement))
        if isinstance(statement, nodes.Def):
            return self._def(statement, scope, names)
        for root in values_of(statement):
            in_force = inner if isinstance(root, nodes.Until) else names
            has_arms = isinstance(statement, nodes.Expect) and not isinstance(root, nodes.Argument)
            self._values(root, scope, in_force, has_arms=has_arms)
        for compare in compares_in(statement):
            for name in (compare.left, compare.right):
                if name is not None:
                    self._path(name.text, name.span, scope, names)
        if isinstance(statement, nodes.Let):
            made = self._made("let", statement.name, statement, statement.span.end, end)
            return names.with_values({made.name: made})
        if isinstance(statement, nodes.Use):
            return self._use(statement, names)
        if isinstance(statement, nodes.SetStatement):
            self.settings.update(argument.name for argument in statement.arguments)
        elif isinstance(statement, (nodes.Phase, nodes.Invocation)):
            if isinstance(statement, nodes.Invocation):
                self._call(statement, scope, names)
            self._label(statement.label, statement, scope)
        else:
            self._block(statement, scope, inner)
        return names

    def _block(self, statement: nodes.Statement, scope: LabelScope, names: Names) -> None:
        if isinstance(statement, (nodes.RepeatBlock, nodes.ForBlock, nodes.Within)):
            self._body(statement.body, scope, names, self._end_of(statement))
        if isinstance(statement, nodes.Within):
            self._label(statement.label, statement, scope)
        elif isinstance(statement, nodes.Sweep):
            inner = self._inner(scope, statement)
            self._body(statement.body, inner, names, self._end_of(statement))
            self._label(statement.label, statement, scope, inner=inner)
        elif isinstance(statement, nodes.Fork):
            for branch in statement.branches:
                body = self._inner(scope, branch)
                self._body(branch.body, body, names, self._end_of(branch))
                self._label(branch.label, branch, scope, inner=body, fork=statement)

    def _def(self, statement: nodes.Def, scope: LabelScope, names: Names) -> Names:
        """A `def`: parameters see those before them, the body sees all; neither sees the `def` itself."""
        made = self._made("def", statement.name, statement, statement.span.end, len(self.text))
        end, seen = self._end_of(statement), names
        for parameter, own in zip(statement.parameters, parameters_of(made).values(), strict=False):
            if parameter.default is not None:
                self._values(parameter.default, scope, seen, has_arms=False)
            own = own._replace(visible_to=end)
            self.definitions.append(own)
            seen = seen.with_values({own.name: own})
        inner = self._inner(scope, statement)
        self._bodies[statement.name.span] = inner
        self._body(statement.body, inner, seen, end)
        return Names(names.values, {**names.calls, made.name: made})

    def _use(self, statement: nodes.Use, names: Names) -> Names:
        used = self._used_file(statement)
        if used is None:
            return names
        path, program = used
        found = exported(program, path, statement.span.end, len(self.text))
        self.brought += [*found.values.values(), *found.calls.values()]
        return Names({**names.values, **found.values}, {**names.calls, **found.calls})

    def _call(self, statement: nodes.Invocation, scope: LabelScope, names: Names) -> None:
        """The `def` and the parameters that a call names; the labels of the body are visible behind it."""
        definition = names.calls.get(statement.callee.text)
        if definition is None:
            return
        self.uses.append(Use(statement.callee.span, definition))
        parameters = parameters_of(definition)
        for item in statement.given:
            if item.name is not None and item.name.text in parameters:
                self.uses.append(Use(item.name.span, parameters[item.name.text]))
        body = self.inside(definition)
        labels = body.definitions if body is not None else _labels_in(definition)
        behind = statement.span.end
        scope.definitions += [
            item._replace(visible_from=behind, arms_from=None if item.arms_from is None else behind) for item in labels
        ]

    def _inner(self, scope: LabelScope, node: nodes.Branch | nodes.Sweep | nodes.Def) -> LabelScope:
        scope.inner.append(LabelScope(scope, node.span.start, self._end_of(node)))
        return scope.inner[-1]

    def _end_of(self, node: nodes.Statement | nodes.Branch) -> int:
        """The end of a block; the end of the text if its `}` is missing."""
        is_closed = self.text[node.span.end - 1 : node.span.end] == "}" or (
            isinstance(node, nodes.Branch) and node.is_phase
        )
        return node.span.end if is_closed else len(self.text)

    def _made(self, kind: Kind, name: nodes.Name, node: nodes.Statement, start: int, end: int) -> Definition:
        self.definitions.append(Definition(name.text, kind, name.span, node, start, end))
        return self.definitions[-1]

    def _label(
        self,
        label: nodes.Label | None,
        node: nodes.Statement | nodes.Branch,
        scope: LabelScope,
        *,
        inner: LabelScope | None = None,
        fork: nodes.Fork | None = None,
    ) -> None:
        if label is None:
            return
        made = _label_definition(label, node, fork)
        scope.definitions.append(made)
        self.definitions.append(made)
        if inner is not None:
            self._bodies[label.span] = inner

    def _variables(self, statement: nodes.Statement) -> dict[str, Definition]:
        """The variables that a loop defines; they are visible after the values."""
        if isinstance(statement, nodes.Sweep):
            bound = [(name, item.span.end) for item in statement.bindings for name in item.variables]
        elif isinstance(statement, nodes.ForBlock):
            start = max((value.span.end for value in statement.values), default=0)
            bound = [(name, start) for name in statement.variables]
        elif isinstance(statement, nodes.RepeatBlock) and statement.variable is not None:
            bound = [(statement.variable, statement.variable.span.end)]
        else:
            return {}
        end = self._end_of(statement)
        made = [self._made("variable", name, statement, start, end) for name, start in bound]
        return {item.name: item for item in made}

    def _values(self, root: object, scope: LabelScope, names: Names, *, has_arms: bool) -> None:
        for node in below(root):
            for selector in _selectors(node):
                word = selector.selector
                if word.form == "word" and word.text not in KINDS and word.text not in ROLES:
                    self._value(word.text, selector.span, names)
            if isinstance(node, nodes.Call) and isinstance(node.callee, nodes.Reference):
                node = node.callee
            if isinstance(node, nodes.Reference):
                self._reference(node, scope, names)
            elif isinstance(node, nodes.Name) and node.text in names.values:
                self._value(node.text, node.span, names)
            elif isinstance(node, nodes.Name) and has_arms:
                arm, _ = split_metric(node.text)
                self._path(arm, node.span, scope, names)

    def _value(self, name: str, span: Span, names: Names) -> None:
        if name in names.values:
            self.uses.append(Use(span, names.values[name]))

    def _path(self, path: str, span: Span, scope: LabelScope, names: Names) -> None:
        """Notes a path as it is written at the head of a span, where blanks may stand in brackets."""
        parts = parts_of(self.text[span.start : span.end], span)[: len(split_path(path))] if path else ()
        for name, where in (value for part in parts for value in part.values):
            self._value(name, where, names)
        self._paths.append(_Path(parts, scope))

    def _reference(self, node: nodes.Reference, scope: LabelScope, names: Names) -> None:
        path = node.path
        if path[0] == "init":
            return
        self._references.append(node.span)
        if len(path) > 1 and (path[-1] in MOMENTS or path[-1][:1].isdecimal()):
            path = path[:-1]
        start = node.span._replace(column=node.span.column + 1, start=node.span.start + 1)
        self._path(".".join(path), start, scope, names)

    def _resolve(self, path: _Path) -> None:
        """One use for each part that refers to something."""
        scope: LabelScope | None = path.scope
        for index, part in enumerate(path.parts):
            if scope is None:
                return
            if index and part.name.startswith("seed") and part.name[4:].isdecimal():
                continue
            chain = list(scope.chain()) if index == 0 else [scope]
            found = _latest(chain, part.name, part.span.start)
            if found is None:
                return
            self.uses.append(Use(part.span, found))
            if part.variables and not found.file:
                variables = {item.name: item for item in self.definitions if item.node is found.node}
                self.uses += [Use(span, variables[name]) for name, span in part.variables if name in variables]
            scope = self.inside(found)


def _label_definition(
    label: nodes.Label, node: nodes.Statement | nodes.Branch, fork: nodes.Fork | None, file: str = ""
) -> Definition:
    kind: Kind = "branch" if fork is not None else "sweep" if isinstance(node, nodes.Sweep) else "phase"
    whole = fork if fork is not None else node
    arms_from = None if kind == "phase" else whole.span.end
    return Definition(label.name, kind, label.span, node, node.span.end, node.span.end, fork, arms_from, file)


def _labels_in(definition: Definition) -> list[Definition]:
    """The labels in the body of a `def` of another file, without those inside of its branches."""
    node, found = definition.node, []
    for statement, _ in statements(node.body) if isinstance(node, nodes.Def) else ():
        if isinstance(statement, nodes.Fork):
            found += [
                _label_definition(branch.label, branch, statement, definition.file)
                for branch in statement.branches
                if branch.label is not None
            ]
        elif isinstance(statement, (nodes.Phase, nodes.Sweep, nodes.Within, nodes.Invocation)) and statement.label:
            found.append(_label_definition(statement.label, statement, None, definition.file))
    return found


def _selectors(node: object) -> tuple[nodes.SelectorNode, ...]:
    """The selectors that stand directly in a value."""
    if isinstance(node, nodes.Argument):
        return node.value if isinstance(node.value, tuple) else ()
    return tuple(item.selector for item in node.items) if isinstance(node, nodes.ListTarget) else ()


def _latest(chain: list[LabelScope], name: str, offset: int) -> Definition | None:
    """The latest definition before the offset; if there is none, a later one."""
    for scope in chain:
        found = scope.before(name, offset)
        if found is not None:
            return found
    return next((item for scope in chain for item in scope.definitions if item.name == name), None)
