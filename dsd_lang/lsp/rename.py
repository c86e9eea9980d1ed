"""Renames a label or variable, and refuses a name that would change the meaning."""

from __future__ import annotations

from collections.abc import Sequence

from lsprotocol import types

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.errors import DsdError
from dsd_lang.lsp.documents import Document
from dsd_lang.lsp.labels import Definition
from dsd_lang.passes.resolve_references import MOMENTS
from dsd_lang.syntax.parser import scan


def prepare_rename(document: Document, params: types.PrepareRenameParams) -> types.PrepareRenamePlaceholder | None:
    """The range that would be renamed."""
    found = document.labels.at(document.offset(params.position))
    if found is None:
        return None
    return types.PrepareRenamePlaceholder(document.positions.range_of(found[1]), found[0].name)


def rename(document: Document, params: types.RenameParams) -> types.WorkspaceEdit | None:
    """Renames the definition and every use; raises :class:`DsdError` for an invalid name."""
    found = document.labels.at(document.offset(params.position))
    if found is None:
        return None
    definition, name = found[0], params.new_name
    if name == definition.name:
        return document.edit([])
    check_name(definition, name)
    spans = sorted([definition.span, *document.labels.uses_of(definition)], key=lambda span: span.start)
    _check_meaning(document, definition, spans, name)
    return document.edit(types.TextEdit(document.positions.range_of(span), name) for span in spans)


def check_name(definition: Definition, name: str) -> None:
    """Raises an error for a name that cannot be used: a reserved word or the name of a moment."""
    scanned, _ = scan(name)
    words = [] if scanned is None or scanned.diagnostics or scanned.comments else scanned.tokens[:-1]
    if len(words) == 1 and words[0].text == name and words[0].kind == name.upper():
        raise DsdError(f"`{name}` is a reserved word and cannot be a name", help="choose another name")
    if [(word.kind, word.text) for word in words] != [("NAME", name)]:
        raise DsdError(
            f"`{name[:40]}` is not a name", help="a name has letters, digits and `_`, and does not start with a digit"
        )
    if definition.kind != "variable" and name in ("init", *MOMENTS):
        raise DsdError(f"`{name}` is the name of a moment and cannot be a label", help="choose another name")


def _check_meaning(document: Document, definition: Definition, spans: Sequence[Span], name: str) -> None:
    """Checks that every name in the renamed text refers to the same definition as before."""
    taken = next((item for item in document.labels.definitions if item.name == name), None)
    renamed = document.sibling(_renamed(document.text, spans, name))
    errors = sorted(diagnostic.code for diagnostic in document.analysis.errors)
    if _meaning(document, spans, name) == _meaning(renamed, (), name) and errors == sorted(
        diagnostic.code for diagnostic in renamed.analysis.errors
    ):
        return
    where = (
        f"it is the name of a {taken.kind} on line {taken.span.line}"
        if taken
        else "it would change what another word refers to"
    )
    raise DsdError(f"`{name}` cannot be the new name of `{definition.name}`: {where}", help="choose another name")


def _renamed(text: str, spans: Sequence[Span], name: str) -> str:
    pieces: list[str] = []
    copied = 0
    for span in spans:
        pieces += [text[copied : span.start], name]
        copied = span.end
    return "".join([*pieces, text[copied:]])


def _meaning(document: Document, spans: Sequence[Span], name: str) -> set[tuple[int, int]]:
    """Each use and its definition, both as offsets in the renamed text."""

    def moved(offset: int) -> int:
        return offset + sum(len(name) - (span.end - span.start) for span in spans if span.end <= offset)

    return {(moved(use.span.start), moved(use.definition.span.start)) for use in document.labels.uses}
