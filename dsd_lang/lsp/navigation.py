"""Go to definition, find references and highlights of a name, also across the files that are used."""

from __future__ import annotations

from lsprotocol import types

from dsd_lang.base.errors import DsdError
from dsd_lang.lsp.across import home_of, uses_across
from dsd_lang.lsp.documents import Document
from dsd_lang.syntax import nodes


def definition(document: Document, params: types.DefinitionParams) -> types.Location | None:
    """Where the name is defined; on the path of a `use`, the file."""
    offset = document.offset(params.position)
    found = document.labels.named_at(offset)
    if found is None:
        return _used_file(document, offset)
    home = home_of(document, found[0])
    return types.Location(home.document.uri, home.document.positions.range_of(home.span))


def _used_file(document: Document, offset: int) -> types.Location | None:
    for statement in document.analysis.program.statements:
        if isinstance(statement, nodes.Use) and statement.path.span.start <= offset <= statement.path.span.end:
            try:
                used = document.other(document.path_from(statement.path.value))
            except DsdError:
                return None  # a diagnostic says so
            return types.Location(used.uri, used.range(0, 0))
    return None


def references(document: Document, params: types.ReferenceParams) -> list[types.Location] | None:
    """Every span that refers to it, including its definition if requested."""
    found = document.labels.named_at(document.offset(params.position))
    if found is None:
        return None
    home = home_of(document, found[0])
    located = [(home.document, home.span)] if params.context.include_declaration else []
    located += [(item, span) for item, spans in uses_across(document, home) for span in spans]
    return [types.Location(item.uri, item.positions.range_of(span)) for item, span in located]


def highlights(document: Document, params: types.DocumentHighlightParams) -> list[types.DocumentHighlight] | None:
    """The same in this document, as highlights."""
    found = document.labels.named_at(document.offset(params.position))
    if found is None:
        return None
    marks = [] if found[0].file else [(found[0].span, types.DocumentHighlightKind.Write)]
    marks += [(span, types.DocumentHighlightKind.Read) for span in document.labels.uses_of(found[0].key)]
    return [types.DocumentHighlight(document.positions.range_of(span), kind) for span, kind in marks]
