"""Walks over the syntax tree without recursion, so that deep nesting is not a problem."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from dsd_lang.syntax import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

Node = (
    nodes.Value
    | nodes.Condition
    | nodes.NofMTarget
    | nodes.RampTarget
    | nodes.HeldTarget
    | nodes.ListTarget
    | nodes.Argument
    | nodes.Until
)


# by class, because a chain of `isinstance` is slow
_CHILDREN: dict[type, Callable[[Any], tuple[object, ...]]] = {
    nodes.Argument: lambda node: () if isinstance(node.value, tuple) else (node.value,),
    nodes.Range: lambda node: tuple([part for part in (node.start, node.end, node.step) if part is not None]),
    nodes.Row: lambda node: node.values,
    nodes.Binary: lambda node: (node.left, node.right),
    nodes.Comparison: lambda node: (node.left, node.right),
    nodes.Logical: lambda node: (node.left, node.right),
    nodes.Call: lambda node: tuple([argument.value for argument in node.arguments]),
    nodes.Unary: lambda node: (node.operand,),
    nodes.Negation: lambda node: (node.operand,),
    nodes.Until: lambda node: (node.condition,),
    nodes.RampTarget: lambda node: (node.start, node.end),
    nodes.ListTarget: lambda node: tuple([item.target for item in node.items]),
}
_BODIES: dict[type, Callable[[Any], tuple[tuple[nodes.Statement, ...], ...]]] = {
    nodes.RepeatBlock: lambda statement: (statement.body,),
    nodes.ForBlock: lambda statement: (statement.body,),
    nodes.Sweep: lambda statement: (statement.body,),
    nodes.Def: lambda statement: (statement.body,),
    nodes.Within: lambda statement: (statement.body,),
    nodes.Fork: lambda statement: tuple([branch.body for branch in statement.branches]),
}

_BOUND: dict[type, Callable[[Any], tuple[nodes.Name, ...]]] = {
    nodes.RepeatBlock: lambda statement: () if statement.variable is None else (statement.variable,),
    nodes.ForBlock: lambda statement: statement.variables,
    nodes.Sweep: lambda statement: tuple([name for one in statement.bindings for name in one.variables]),
    nodes.Def: lambda statement: tuple([parameter.name for parameter in statement.parameters]),
    nodes.Let: lambda statement: (statement.name,),
}


def children(node: object) -> tuple[object, ...]:
    """The values directly below a value, target, condition or argument."""
    read = _CHILDREN.get(type(node))
    return () if read is None else read(node)


def below(root: object) -> Iterator[object]:
    """A value and everything below it, in source order."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        if type(node) in _CHILDREN:
            stack += reversed(children(node))


def bodies(statement: nodes.Statement) -> tuple[tuple[nodes.Statement, ...], ...]:
    """The blocks directly inside a statement."""
    read = _BODIES.get(type(statement))
    return () if read is None else read(statement)


def statements(body: Iterable[nodes.Statement]) -> Iterator[tuple[nodes.Statement, int]]:
    """Every statement of a body and of the blocks in it, in source order, with its depth."""
    stack = [(statement, 0) for statement in reversed(tuple(body))]
    while stack:
        statement, depth = stack.pop()
        yield statement, depth
        if type(statement) in _BODIES:
            for inner in reversed(bodies(statement)):
                stack += [(child, depth + 1) for child in reversed(inner)]


def phases_of(statement: nodes.Statement) -> tuple[nodes.Phase, ...]:
    """The phases that a statement contains directly: a phase, or the two overrides of a `repeat` without a block."""
    if isinstance(statement, nodes.Phase):
        return (statement,)
    if isinstance(statement, nodes.RepeatTail):
        return tuple(phase for phase in (statement.sparse, statement.dense) if phase is not None)
    return ()


def arguments_of(statement: nodes.Statement) -> tuple[nodes.Argument, ...]:
    """The `name=value` arguments of a statement other than a phase or a comparison."""
    if isinstance(statement, (nodes.SetStatement, nodes.RepeatTail, nodes.Fork)):
        return statement.arguments
    return ()


def compares_in(statement: nodes.Statement) -> tuple[nodes.Compare, ...]:
    """The comparison that a statement is, or those of its p values."""
    if isinstance(statement, nodes.Compare):
        return (statement,)
    if isinstance(statement, nodes.Expect):
        return tuple([part.compare for part in below(statement.condition) if isinstance(part, nodes.PValue)])
    return ()


def untils_of(statement: nodes.Statement) -> list[nodes.Until]:
    """Every `until` of a statement itself, without those in its blocks."""
    found = [item for phase in phases_of(statement) for item in phase.items if isinstance(item, nodes.Until)]
    if isinstance(statement, (nodes.RepeatTail, nodes.RepeatBlock)) and statement.until is not None:
        found.append(statement.until)
    return found


def values_of(statement: nodes.Statement) -> tuple[object, ...]:
    """The roots of all expressions in a statement itself, without those in its blocks."""
    if isinstance(statement, nodes.Phase):
        return statement.items
    roots: list[object] = [item for phase in phases_of(statement) for item in phase.items]
    roots += arguments_of(statement)
    roots += [argument for compare in compares_in(statement) for argument in compare.arguments]
    if isinstance(statement, (nodes.RepeatTail, nodes.RepeatBlock)):
        roots += [root for root in (statement.count, statement.until) if root is not None]
    if isinstance(statement, nodes.ForBlock):
        roots += statement.values
    if isinstance(statement, nodes.Sweep):
        roots += [value for binding in statement.bindings for value in binding.values]
    if isinstance(statement, nodes.Let):
        roots += statement.values
    if isinstance(statement, nodes.Def):
        roots += [parameter.default for parameter in statement.parameters if parameter.default is not None]
    if isinstance(statement, nodes.Invocation):
        roots += [item.value for item in statement.given]
    if isinstance(statement, nodes.Within):
        roots.append(statement.length)
    if isinstance(statement, nodes.Expect):
        roots.append(statement.condition)
    return tuple(roots)


def words_in(root: object) -> Iterator[str]:
    """Every word below a value that may be a name: also selectors and the arms of references."""
    for part in below(root):
        if isinstance(part, nodes.Name):
            yield part.text
        elif isinstance(part, nodes.SelectorNode):
            yield part.selector.text
        elif isinstance(part, nodes.Reference):
            yield from part.path
        elif isinstance(part, nodes.Argument) and isinstance(part.value, tuple):
            yield from (item.selector.text for item in part.value)
        elif isinstance(part, nodes.ListTarget):
            yield from (item.selector.selector.text for item in part.items)


def names_bound_by(statement: nodes.Statement) -> tuple[nodes.Name, ...]:
    """The variables, parameters or name that a statement gives a value."""
    read = _BOUND.get(type(statement))
    return () if read is None else read(statement)


def names_in(statement: nodes.Statement) -> set[str]:
    """All names in a statement's own expressions."""
    return {node.text for root in values_of(statement) for node in below(root) if isinstance(node, nodes.Name)}
