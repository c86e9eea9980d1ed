"""Go to definition, find references and highlights of a label or variable."""

from __future__ import annotations

from lsprotocol import types

from dsd_lang.lsp.documents import Document


def definition(document: Document, params: types.DefinitionParams) -> types.Location | None:
    """Where the name is defined."""
    found = document.labels.named_at(document.offset(params.position))
    return None if found is None else types.Location(document.uri, document.positions.range_of(found[0].span))


def references(document: Document, params: types.ReferenceParams) -> list[types.Location] | None:
    """Every span that refers to it, including its definition if requested."""
    found = document.labels.named_at(document.offset(params.position))
    if found is None:
        return None
    spans = document.labels.uses_of(found[0])
    if params.context.include_declaration:
        spans = [found[0].span, *spans]
    return [types.Location(document.uri, document.positions.range_of(span)) for span in spans]


def highlights(document: Document, params: types.DocumentHighlightParams) -> list[types.DocumentHighlight] | None:
    """The same in this document, as highlights."""
    found = document.labels.named_at(document.offset(params.position))
    if found is None:
        return None
    marks = [(found[0].span, types.DocumentHighlightKind.Write)]
    marks += [(span, types.DocumentHighlightKind.Read) for span in document.labels.uses_of(found[0])]
    return [types.DocumentHighlight(document.positions.range_of(span), kind) for span, kind in marks]
