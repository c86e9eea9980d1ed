"""Renames a label, a value, a `def` or a parameter in all files that name it; refuses what would change a meaning."""

from __future__ import annotations

from collections.abc import Sequence

from lsprotocol import types

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.errors import DsdError
from dsd_lang.base.layers import KINDS, ROLES
from dsd_lang.lsp.across import home_of, uses_across
from dsd_lang.lsp.definitions import KINDS_IN_WORDS, LABELS, Definition
from dsd_lang.lsp.documents import Document
from dsd_lang.passes.resolve_references import MOMENTS
from dsd_lang.syntax.parser import scan

Edited = list[tuple[Document, list[Span]]]


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
    home = home_of(document, definition)
    renamed = [
        (item, sorted([*spans, *([home.span] if item is home.document else [])], key=lambda span: span.start))
        for item, spans in uses_across(document, home)
    ]
    _check_meanings(renamed, definition, name)
    return _edit(document, renamed, name)


def check_name(definition: Definition, name: str) -> None:
    """Raises an error for a name that cannot be used: a reserved word, the name of a moment or a kind of layers."""
    scanned, _ = scan(name)
    words = [] if scanned is None or scanned.diagnostics or scanned.comments else scanned.tokens[:-1]
    if len(words) == 1 and words[0].text == name and words[0].kind == name.upper():
        raise DsdError(f"`{name}` is a reserved word and cannot be a name", help="choose another name")
    if [(word.kind, word.text) for word in words] != [("NAME", name)]:
        raise DsdError(
            f"`{name[:40]}` is not a name", help="a name has letters, digits and `_`, and does not start with a digit"
        )
    if definition.kind in LABELS and name in ("init", *MOMENTS):
        raise DsdError(f"`{name}` is the name of a moment and cannot be a label", help="choose another name")
    if definition.kind not in (*LABELS, "def") and (name in KINDS or name in ROLES):
        raise DsdError(f"`{name}` selects layers and cannot be the name of a value", help="choose another name")


def _edit(document: Document, renamed: Edited, name: str) -> types.WorkspaceEdit:
    listed = [
        (item, [types.TextEdit(item.positions.range_of(span), name) for span in spans])
        for item, spans in renamed
        if spans
    ]
    edits = [item.edit(made) for item, made in listed]
    if not document.client.has_versioned_edits:
        return types.WorkspaceEdit(changes={item.uri: made for item, made in listed})
    return types.WorkspaceEdit(document_changes=[change for edit in edits for change in edit.document_changes or ()])


def _check_meanings(renamed: Edited, definition: Definition, name: str) -> None:
    """Checks that every name in the renamed texts refers to the same definition as before."""
    texts = {item.path: _renamed(item.text, spans, name) for item, spans in renamed if item.path is not None}
    moves = {item.path or "": spans for item, spans in renamed}
    for item, spans in renamed:
        files = item.files.with_texts(texts)
        after = item.sibling(_renamed(item.text, spans, name), files)
        if _meaning(item, moves, name) != _meaning(after, {}, name) or _errors(item) != _errors(after):
            raise _refusal(item, definition, name)


def _refusal(document: Document, definition: Definition, name: str) -> DsdError:
    taken = next((item for item in document.labels.definitions if item.name == name), None)
    where = (
        f"it is the name of {KINDS_IN_WORDS[taken.kind].replace('a loop ', 'a ')} on line {taken.span.line}"
        if taken
        else "it would change what another word refers to"
    )
    return DsdError(f"`{name}` cannot be the new name of `{definition.name}`: {where}", help="choose another name")


def _errors(document: Document) -> list[str]:
    return sorted(diagnostic.code for diagnostic in document.analysis.errors)


def _renamed(text: str, spans: Sequence[Span], name: str) -> str:
    pieces: list[str] = []
    copied = 0
    for span in spans:
        pieces += [text[copied : span.start], name]
        copied = span.end
    return "".join([*pieces, text[copied:]])


def _meaning(document: Document, moves: dict[str, list[Span]], name: str) -> set[tuple[int, str, int]]:
    """Each use and its definition, as offsets in the renamed texts."""

    def moved(offset: int, path: str) -> int:
        return offset + sum(len(name) - (span.end - span.start) for span in moves.get(path, ()) if span.end <= offset)

    own = document.path or ""
    found = set()
    for use in document.labels.uses:
        file = use.definition.file or own
        found.add((moved(use.span.start, own), file, moved(use.definition.span.start, file)))
    return found
