"""The outline of a document: phases, blocks, branches and definitions, nested as they are written."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types

from dsd_lang.base.diagnostics import Span
from dsd_lang.lsp.documents import Document
from dsd_lang.syntax import nodes

MAX_DETAIL = 60
_KINDS: tuple[tuple[type, types.SymbolKind], ...] = (
    (nodes.Phase, types.SymbolKind.Event),
    (nodes.Branch, types.SymbolKind.Module),
    (nodes.Fork, types.SymbolKind.Namespace),
    (nodes.Sweep, types.SymbolKind.Namespace),
    (nodes.SetStatement, types.SymbolKind.Property),
    (nodes.Compare, types.SymbolKind.Operator),
    (nodes.Expect, types.SymbolKind.Boolean),
    (nodes.Let, types.SymbolKind.Constant),
    (nodes.Def, types.SymbolKind.Function),
    (nodes.Use, types.SymbolKind.File),
    (nodes.Invocation, types.SymbolKind.Event),
    (nodes.Within, types.SymbolKind.Namespace),
)
_LABELLED = (nodes.Phase, nodes.Branch, nodes.Sweep, nodes.Invocation, nodes.Within)
Outlined = nodes.Statement | nodes.Branch


def document_symbols(
    document: Document, params: types.DocumentSymbolParams
) -> list[types.DocumentSymbol] | list[types.SymbolInformation]:
    """The outline, as a tree if the editor supports it."""
    tree = [_symbol(document, statement) for statement in document.analysis.program.statements]
    return tree if document.client.has_nested_symbols else list(_flat(document, tree, None))


def _symbol(document: Document, node: Outlined) -> types.DocumentSymbol:
    head = _head(node)
    return types.DocumentSymbol(
        name=_name(document, node, head),
        kind=next((kind for made, kind in _KINDS if isinstance(node, made)), types.SymbolKind.Array),
        range=document.positions.range_of(node.span),
        selection_range=document.positions.range_of(head),
        detail=_first_line(document, node.span),
        children=[_symbol(document, child) for child in _children(node)],
    )


def _head(node: Outlined) -> Span:
    """The span of the label or name, or of the whole statement without one."""
    if isinstance(node, (nodes.Let, nodes.Def)):
        return node.name.span
    label = node.label if isinstance(node, _LABELLED) else None
    return label.span if label is not None else node.span


def _name(document: Document, node: Outlined, head: Span) -> str:
    if isinstance(node, (nodes.Let, nodes.Def)):
        return node.name.text
    label = node.label if isinstance(node, _LABELLED) else None
    if label is not None:
        return label.name
    return _first_line(document, node.span).split(" {")[0] or "branch"


def _children(node: Outlined) -> tuple[Outlined, ...]:
    if isinstance(node, nodes.Fork):
        return node.branches
    if isinstance(node, nodes.Branch):
        return () if node.is_phase else node.body
    blocks = (nodes.RepeatBlock, nodes.ForBlock, nodes.Sweep, nodes.Def, nodes.Within)
    return node.body if isinstance(node, blocks) else ()


def _first_line(document: Document, span: Span) -> str:
    line = document.text[span.start : span.end].split("\n", 1)[0].split("\r", 1)[0]
    text = " ".join(line.split())
    return text if len(text) <= MAX_DETAIL else f"{text[: MAX_DETAIL - 3]}..."


def _flat(
    document: Document, symbols: list[types.DocumentSymbol], container: str | None
) -> Iterator[types.SymbolInformation]:
    for symbol in symbols:
        location = types.Location(document.uri, symbol.range)
        yield types.SymbolInformation(location, symbol.name, symbol.kind, container_name=container)
        yield from _flat(document, list(symbol.children or ()), symbol.name)
