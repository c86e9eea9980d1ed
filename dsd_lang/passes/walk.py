"""Walks over the syntax tree that never recurse, so that no program is too deep for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dsd_lang.syntax import nodes

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


def children(node: object) -> tuple[object, ...]:
    """The values directly below a value, target, condition or argument."""
    if isinstance(node, nodes.Number | nodes.LengthLiteral | nodes.Name | nodes.Text | nodes.Reference):
        return ()
    if isinstance(node, nodes.Argument):
        return () if isinstance(node.value, tuple) else (node.value,)
    if isinstance(node, nodes.Binary | nodes.Comparison | nodes.Logical):
        return (node.left, node.right)
    if isinstance(node, nodes.Call):
        return tuple(argument.value for argument in node.arguments)
    if isinstance(node, nodes.Unary | nodes.Negation):
        return (node.operand,)
    if isinstance(node, nodes.Until):
        return (node.condition,)
    if isinstance(node, nodes.RampTarget):
        return (node.start, node.end)
    if isinstance(node, nodes.ListTarget):
        return tuple(item.target for item in node.items)
    return ()


def below(root: object) -> Iterator[object]:
    """A value and everything below it, in source order."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        stack += reversed(children(node))


def is_deeper_than(root: object, limit: int) -> bool:
    """Whether an expression nests deeper than a limit."""
    stack = [(root, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > limit:
            return True
        stack += [(child, depth + 1) for child in children(node)]
    return False


def bodies(statement: nodes.Statement) -> tuple[tuple[nodes.Statement, ...], ...]:
    """The blocks directly inside a statement."""
    if isinstance(statement, nodes.RepeatBlock | nodes.ForBlock | nodes.Sweep):
        return (statement.body,)
    if isinstance(statement, nodes.Fork):
        return tuple(branch.body for branch in statement.branches)
    return ()


def statements(body: Iterable[nodes.Statement]) -> Iterator[tuple[nodes.Statement, int]]:
    """Every statement of a body and of the blocks inside, in source order, with its depth."""
    stack = [(statement, 0) for statement in reversed(tuple(body))]
    while stack:
        statement, depth = stack.pop()
        yield statement, depth
        for inner in reversed(bodies(statement)):
            stack += [(child, depth + 1) for child in reversed(inner)]


def phases_of(statement: nodes.Statement) -> tuple[nodes.Phase, ...]:
    """The phases a statement writes itself: a phase, or the two overrides of a tail `repeat`."""
    if isinstance(statement, nodes.Phase):
        return (statement,)
    if isinstance(statement, nodes.RepeatTail):
        return tuple(phase for phase in (statement.sparse, statement.dense) if phase is not None)
    return ()


def arguments_of(statement: nodes.Statement) -> tuple[nodes.Argument, ...]:
    """The `name=value` arguments of a statement other than a phase."""
    if isinstance(statement, nodes.SetStatement | nodes.RepeatTail | nodes.Fork | nodes.Compare):
        return statement.arguments
    return ()


def values_of(statement: nodes.Statement) -> tuple[object, ...]:
    """The roots of all expressions a statement writes itself, blocks inside left out."""
    roots: list[object] = [item for phase in phases_of(statement) for item in phase.items]
    roots += arguments_of(statement)
    if isinstance(statement, nodes.RepeatTail | nodes.RepeatBlock):
        roots += [root for root in (statement.count, statement.until) if root is not None]
    if isinstance(statement, nodes.ForBlock):
        roots += statement.values
    if isinstance(statement, nodes.Sweep):
        roots += [value for variable in statement.variables for value in variable.values]
    if isinstance(statement, nodes.Expect):
        roots.append(statement.condition)
    return tuple(roots)


def names_in(statement: nodes.Statement) -> set[str]:
    """Every bare word written in a statement's own expressions."""
    return {node.text for root in values_of(statement) for node in below(root) if isinstance(node, nodes.Name)}
