"""Finds what refers to a definition: in a document, in files that `use` connects with it, in the editor's folders."""

from __future__ import annotations

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.errors import DsdError
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.lsp.definitions import Definition
from dsd_lang.lsp.documents import Document
from dsd_lang.syntax import nodes

MAX_FILES = 500


class Home(NamedTuple):
    """The document that has a definition, and where."""

    document: Document
    span: Span

    def key_in(self, document: Document) -> tuple[str, Span]:
        """The key of the definition in the table of another document."""
        return ("" if document is self.document else self.document.path or "", self.span)


def home_of(document: Document, definition: Definition) -> Home:
    """Where a definition of a document's table is; raises :class:`DsdError` if that file cannot be read any more."""
    return Home(document.other(definition.file) if definition.file else document, definition.span)


def known_documents(document: Document, home: Home) -> list[Document]:
    """A document, all open ones, those in the editor's folders that may use the home, and the files that these use.

    Raises :class:`DsdError` if they are too many.
    """
    found: list[Document] = []
    waiting = [document, *(item for item in document.files.opened() if item.uri != document.uri)]
    seen = {item.path or item.uri for item in waiting}
    closed = document.files.naming(home.document.path) if home.document.path is not None else []
    waiting += [document.other(path) for path in closed if path not in seen]
    seen.update(closed)
    while waiting:
        current = waiting.pop(0)
        found.append(current)
        if len(found) > MAX_FILES:
            raise DsdError(
                f"more than {MAX_FILES} files may use `{home.document.source}`",
                help="open a smaller folder in the editor",
            )
        for other in used_documents(current):
            if other.path is not None and other.path not in seen:
                seen.add(other.path)
                waiting.append(other)
    return found


def used_documents(document: Document) -> list[Document]:
    """The files that a document uses itself, as far as they can be read."""
    found: list[Document] = []
    for statement in document.reading.parsed.program.statements:
        if isinstance(statement, nodes.Use):
            try:
                found.append(document.other(document.path_from(statement.path.value)))
            except DsdError:
                continue  # a diagnostic says so
    return found


def uses_across(document: Document, home: Home) -> list[tuple[Document, list[Span]]]:
    """Every document that refers to a definition, with the spans that do; the one that has it comes first."""
    own = [home.document, *(item for item in known_documents(document, home) if item is not home.document)]
    listed = [(item, item.labels.uses_of(home.key_in(item))) for item in own]
    return [pair for pair in listed if pair[1] or pair[0] is home.document]
