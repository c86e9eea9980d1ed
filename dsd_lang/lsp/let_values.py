"""What the names of values stand for at an offset, as far as that is known without running the loops."""

from __future__ import annotations

from itertools import islice, product

from dsd_lang.base.arms import arm_name
from dsd_lang.base.errors import DsdError
from dsd_lang.lsp.definitions import Definition
from dsd_lang.lsp.documents import Document
from dsd_lang.passes.bindings import bind_all, each_value, num_values, written
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.quantities import Bound
from dsd_lang.syntax import nodes

MAX_ARMS = 30
_VALUES = ("let", "variable", "parameter")


def bound_at(document: Document, offset: int, seen: tuple[str, ...] = ()) -> dict[str, Bound]:
    """The values of the `let`s that are visible; variables and parameters have none."""
    labels = document.labels
    named = [item for item in (*labels.brought, *labels.definitions) if item.kind in _VALUES]
    found: dict[str, Bound] = {}
    for item in sorted(named, key=lambda item: item.visible_from):
        if not item.visible_from <= offset <= item.visible_to:
            continue
        bound = None
        if isinstance(item.node, nodes.Let):
            bound = _of_file(document, item, seen) if item.file else bind_all(item.node.values, found, Diagnostics())
        found.pop(item.name, None)
        if bound is not None:
            found[item.name] = bound
    return found


def _of_file(document: Document, definition: Definition, seen: tuple[str, ...]) -> Bound | None:
    """The value of a `let` of another file; ``seen`` are the files on the way, which may be a circle."""
    if definition.file in seen:
        return None
    try:
        other = document.other(definition.file)
    except DsdError:
        return None  # a diagnostic says so
    return bound_at(other, definition.node.span.end, (*seen, definition.file)).get(definition.name)


def value_of(document: Document, definition: Definition) -> str | None:
    """The value of a `let` as it would be written; None if it is not known."""
    end = len(document.text) if definition.file else definition.node.span.end
    bound = bound_at(document, end).get(definition.name)
    return None if bound is None else written(bound)


def arms_of(document: Document, definition: Definition) -> list[str]:
    """The names of a sweep's arms, `grid[25%]`; none if its values hang on a parameter or variable."""
    sweep = definition.node
    if not isinstance(sweep, nodes.Sweep) or definition.file:
        return []
    names = bound_at(document, sweep.span.start)
    spans = [value.span for binding in sweep.bindings for value in binding.values]
    inside = [use for use in document.labels.uses if any(one.start <= use.span.start < one.end for one in spans)]
    if any(use.definition.kind != "let" for use in inside):
        return []
    rounds: list[list[dict[str, str]]] = []
    for binding in sweep.bindings:
        if sum(num_values(value, names) for value in binding.values) > MAX_ARMS:
            return []
        variables = [name.text for name in binding.variables]
        rows = [row for value in binding.values for row in each_value(value, names, Diagnostics())]
        rounds.append([dict(zip(variables, (text for _, text in row), strict=False)) for row in rows])
    combined = islice(product(*rounds), MAX_ARMS)
    return [arm_name(definition.name, {k: v for part in parts for k, v in part.items()}) for parts in combined]
