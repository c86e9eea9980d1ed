"""The open documents, with tokens, tree, diagnostics, plan and labels computed at most once per version."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from lsprotocol import types
from pygls.uris import from_fs_path

from dsd_lang.analysis import Analysis, analyse
from dsd_lang.base.diagnostics import Diagnostic
from dsd_lang.base.errors import DsdError
from dsd_lang.base.source import SourceText
from dsd_lang.lint.checking import check_analysis
from dsd_lang.lsp.client import Client
from dsd_lang.lsp.files import Files, absolute, path_of_uri
from dsd_lang.lsp.labels import LabelTable
from dsd_lang.lsp.positions import Positions
from dsd_lang.lsp.settings import ClientSettings, Wishes, settings_of
from dsd_lang.syntax import nodes
from dsd_lang.syntax.parser import scan
from dsd_lang.syntax.rereading import Reading, read
from dsd_lang.syntax.terminals import Tokens

if TYPE_CHECKING:
    from dsd_lang.plan import Plan


class Document:
    """One text at one version; a change creates another document."""

    def __init__(
        self,
        uri: str,
        version: int | None,
        text: str,
        *,
        client: Client | None = None,
        settings: ClientSettings | None = None,
        before: Reading | None = None,
        files: Files | None = None,
    ) -> None:
        self.uri = uri
        self.version = version
        self.text = text
        self.client = client or Client()
        self.settings = settings or ClientSettings()
        self.files = files or Files()
        self.path = path_of_uri(uri)
        self.read_paths: set[str] = set()
        """The files that this version was analysed with."""
        self.last_reading = before
        """Of this version, once it is read, else of an earlier one."""

    @cached_property
    def reading(self) -> Reading:
        """The program and its tokens; parts that did not change since an earlier version are not parsed again."""
        self.last_reading = read(self.text, self.last_reading)
        return self.last_reading

    @cached_property
    def positions(self) -> Positions:
        """Converts between offsets and the editor's positions."""
        return Positions(SourceText(self.text), self.client.encoding)

    @cached_property
    def tokens(self) -> Tokens:
        """The tokens and comments; empty for binary data."""
        parsed = self.reading.parsed
        if self.reading.is_sound:  # else the parser has repaired them
            return Tokens(list(parsed.tokens), list(parsed.program.comments), [], text=self.text)
        return scan(self.text)[0] or Tokens([], [], [], stopped=True)

    @cached_property
    def analysis(self) -> Analysis:
        """The tree, all diagnostics, and the resolved program if there are no errors."""
        reading, settings = self.reading, self.settings
        return analyse(
            self.text,
            layers=settings.layers,
            parsed=reading.parsed,
            source=self.source,
            read=self.read,
            selected=settings.selected,
            notes=reading.notes,
        )

    @cached_property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that the editor shows: those that `dsd-lint` reports."""
        return check_analysis(self.text, self.analysis, selected=self.settings.selected)

    @cached_property
    def plan(self) -> Plan | None:
        """The plan, if the text has no errors."""
        from dsd_lang.compiler import plan_of

        return None if self.analysis.resolved is None else plan_of(self.analysis.resolved)

    @cached_property
    def labels(self) -> LabelTable:
        """Where labels and variables are defined and used."""
        return LabelTable(self.analysis.program, self.text, self._used_program)

    def sibling(self, text: str, files: Files | None = None) -> Document:
        """Another text with the same settings."""
        files = files or self.files
        return Document(self.uri, None, text, client=self.client, settings=self.settings, files=files)

    def again(self) -> Document:
        """The same version, to be analysed again because a file that it uses has changed."""
        return Document(
            self.uri,
            self.version,
            self.text,
            client=self.client,
            settings=self.settings,
            before=self.last_reading,
            files=self.files,
        )

    def path_from(self, name: str) -> str:
        """The path of a file that this document names; raises :class:`DsdError` if it has no folder yet."""
        return absolute(name, self.path and os.path.dirname(self.path))

    def other(self, path: str) -> Document:
        """The document of another file; raises :class:`DsdError` if it cannot be read."""
        if path == self.path:
            return self

        def make(text: str) -> Document:
            return Document(from_fs_path(path) or "", None, text, client=self.client, files=self.files)

        return self.files.document(path, make)

    @property
    def source(self) -> str | None:
        """The name of its file, to which the files that it uses are relative."""
        return self.path and os.path.basename(self.path)

    def read(self, name: str) -> str:
        """The text of a file that this document uses; raises :class:`DsdError` if it cannot be read."""
        path = self.path_from(name)
        self.read_paths.add(path)
        return self.files.text(path)

    def _used_program(self, use: nodes.Use) -> tuple[str, nodes.Program] | None:
        try:
            path = self.path_from(use.path.value)
            self.read_paths.add(path)
            return None if path == self.path else (path, self.other(path).reading.parsed.program)
        except DsdError:
            return None  # the analysis reports it

    def offset(self, position: types.Position) -> int:
        """The offset of an editor's position."""
        return self.positions.offset(position)

    def range(self, start: int, end: int) -> types.Range:
        """The editor's range of two offsets."""
        return self.positions.range(start, end)

    def edit(self, edits: Iterable[types.TextEdit]) -> types.WorkspaceEdit:
        """The LSP edits of this version."""
        listed = list(edits)
        if not self.client.has_versioned_edits:
            return types.WorkspaceEdit(changes={self.uri: listed})
        target = types.OptionalVersionedTextDocumentIdentifier(self.uri, self.version)
        return types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(target, [*listed])])


class Documents:
    """All open documents, by URI."""

    def __init__(self, say: Callable[[DsdError], None], folders: Callable[[], Iterable[str]]) -> None:
        self.client = Client()
        self.wishes = Wishes()
        self._say = say
        self._open: dict[str, Document] = {}
        self.files = Files(self.all, folders=folders)

    def get(self, uri: str) -> Document | None:
        """The document of a URI, if it is open."""
        return self._open.get(uri)

    def all(self) -> tuple[Document, ...]:
        """All open documents."""
        return tuple(self._open.values())

    def open(self, uri: str, version: int | None, text: str) -> None:
        """Opens a document and reads the project's settings."""
        self._open[uri] = Document(
            uri, version, text, client=self.client, settings=self._settings(uri), files=self.files
        )

    def change(self, uri: str, version: int | None, changes: Iterable[types.TextDocumentContentChangeEvent]) -> bool:
        """Makes the next version: each change applies to the result of the one before.

        False if the document is not open.
        """
        document = self._open.get(uri)
        if document is None:
            return False
        text, positions = document.text, document.positions
        for change in changes:
            if text is not document.text:
                positions = Positions(SourceText(text), self.client.encoding)
            text = _changed(text, change, positions)
        self._open[uri] = Document(
            uri,
            version,
            text,
            client=self.client,
            settings=document.settings,
            before=document.last_reading,
            files=self.files,
        )
        return True

    def renew_users_of(self, uri: str) -> list[str]:
        """Has every document analysed again that uses a file which has changed; their URIs."""
        path = path_of_uri(uri)
        users = [item for item in self.all() if item.uri != uri and path in item.read_paths]
        for user in users:
            self._open[user.uri] = user.again()
        return [user.uri for user in users]

    def close(self, uri: str) -> None:
        """Closes a document and forgets it."""
        self._open.pop(uri, None)

    def configure(self) -> None:
        """Reads the projects' settings again, for every document."""
        for document in self.all():
            self.open(document.uri, document.version, document.text)

    def _settings(self, uri: str) -> ClientSettings:
        """The settings of a document; if they are invalid, shows the error and uses the defaults."""
        try:
            return settings_of(uri, self.wishes)
        except DsdError as error:
            self._say(error)
            return ClientSettings()


def _changed(text: str, change: types.TextDocumentContentChangeEvent, positions: Positions) -> str:
    """The text after one change."""
    if isinstance(change, types.TextDocumentContentChangeWholeDocument):
        return change.text
    start, end = sorted((positions.offset(change.range.start), positions.offset(change.range.end)))
    return text[:start] + change.text + text[end:]
