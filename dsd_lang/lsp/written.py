"""Finds the argument or selector of the tree at a position."""

from __future__ import annotations

from collections.abc import Iterator

from dsd_lang.lsp.documents import Document
from dsd_lang.syntax import nodes
from dsd_lang.syntax.walk import statements, values_of


def argument_at(document: Document, offset: int) -> nodes.Argument | None:
    """The argument of a statement around an offset."""
    roots = _roots(document)
    return next((root for root in roots if isinstance(root, nodes.Argument) and _holds(root, offset)), None)


def selector_at(document: Document, offset: int) -> nodes.SelectorNode | None:
    """The selector around an offset, of `layers=`, `except=` or a list target."""
    return next(
        (selector for root in _roots(document) for selector in _selectors(root) if _holds(selector, offset)), None
    )


def _roots(document: Document) -> Iterator[object]:
    for statement, _ in statements(document.analysis.program.statements):
        yield from values_of(statement)


def _selectors(root: object) -> tuple[nodes.SelectorNode, ...]:
    if isinstance(root, nodes.ListTarget):
        return tuple(item.selector for item in root.items)
    return root.value if isinstance(root, nodes.Argument) and isinstance(root.value, tuple) else ()


def _holds(node: nodes.Argument | nodes.SelectorNode, offset: int) -> bool:
    return node.span.start <= offset <= node.span.end
