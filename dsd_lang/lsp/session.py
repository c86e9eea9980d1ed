"""The server's session with one editor: its documents, their events, and all features by protocol name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lsprotocol import types
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from dsd_lang import __version__
from dsd_lang.base.errors import DsdError
from dsd_lang.lsp import (
    code_actions,
    completion,
    diagnostics,
    folding,
    formatting,
    hover,
    inlay_hints,
    navigation,
    rename,
    semantic_tokens,
    symbols,
)
from dsd_lang.lsp.checks import Checks
from dsd_lang.lsp.client import client_of
from dsd_lang.lsp.documents import Documents
from dsd_lang.lsp.files import path_of_uri
from dsd_lang.lsp.protocol import DsdProtocol
from dsd_lang.lsp.settings import forget, read_wishes

if TYPE_CHECKING:
    from pygls.server import ServerErrors

PROGRAM = "dsd-lsp"
Feature = Callable[[Any, Any], Any]
FEATURES: tuple[tuple[str, Feature, Any], ...] = (
    (types.TEXT_DOCUMENT_DIAGNOSTIC, diagnostics.pulled, diagnostics.OPTIONS),
    (types.TEXT_DOCUMENT_FORMATTING, formatting.format_document, None),
    (types.TEXT_DOCUMENT_RANGE_FORMATTING, formatting.format_range, None),
    (types.TEXT_DOCUMENT_HOVER, hover.hover, None),
    (types.TEXT_DOCUMENT_COMPLETION, completion.completion, types.CompletionOptions(completion.TRIGGERS)),
    (types.TEXT_DOCUMENT_DEFINITION, navigation.definition, None),
    (types.TEXT_DOCUMENT_REFERENCES, navigation.references, None),
    (types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT, navigation.highlights, None),
    (types.TEXT_DOCUMENT_PREPARE_RENAME, rename.prepare_rename, None),
    (types.TEXT_DOCUMENT_RENAME, rename.rename, None),
    (types.TEXT_DOCUMENT_DOCUMENT_SYMBOL, symbols.document_symbols, None),
    (types.TEXT_DOCUMENT_FOLDING_RANGE, folding.folding_ranges, None),
    (types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, semantic_tokens.semantic_tokens, semantic_tokens.LEGEND),
    (types.TEXT_DOCUMENT_SEMANTIC_TOKENS_RANGE, semantic_tokens.semantic_tokens_in_range, semantic_tokens.LEGEND),
    (types.TEXT_DOCUMENT_CODE_ACTION, code_actions.code_actions, types.CodeActionOptions(code_actions.ACTION_KINDS)),
    (types.TEXT_DOCUMENT_INLAY_HINT, inlay_hints.inlay_hints, None),
)


class RefusedError(JsonRpcInvalidParams):
    """A request that cannot be fulfilled; the editor shows the sentence."""


def is_worth_logging(record: logging.LogRecord) -> bool:
    """Whether a log record of pygls is about a bug; a refused request is not."""
    return record.exc_info is None or not isinstance(record.exc_info[1], RefusedError)


class EditorSession(LanguageServer):
    """The editor's capabilities, and pending checks."""

    def __init__(self) -> None:
        super().__init__(PROGRAM, __version__, protocol_cls=DsdProtocol)
        self.documents = Documents(self.say, self.folders)
        self.checks = Checks(self.check)
        self.is_shut_down = False
        self._is_reporting = False

    def check(self, uri: str) -> None:
        """Pushes the diagnostics of a document to an editor that does not pull them."""
        document = self.documents.get(uri)
        if document is not None and not document.client.pulls_diagnostics:
            self.text_document_publish_diagnostics(diagnostics.published(document))

    def check_users_of(self, uri: str) -> None:
        """Checks the documents that use a file which has changed."""
        users = self.documents.renew_users_of(uri)
        for user in users:
            self.checks.later(user)
        if users and self.documents.client.can_be_told_to_pull:
            self.workspace_diagnostic_refresh(None)

    def report_server_error(self, error: Exception, source: ServerErrors) -> None:
        """Tells the editor about a failure of the server, but not about a failure to tell it one."""
        if not self._is_reporting:
            self._is_reporting = True
            try:
                super().report_server_error(error, source)
            finally:
                self._is_reporting = False

    def folders(self) -> list[str]:
        """The folders that the editor shows."""
        uris = [self.workspace.root_uri, *self.workspace.folders]
        return list(dict.fromkeys(path for uri in uris if uri and (path := path_of_uri(uri)) is not None))

    def say(self, error: DsdError) -> None:
        """Shows the user one sentence and a help line."""
        text = f"{PROGRAM}: {error.message}" + (f" ({error.help})" if error.help else "")
        self.window_show_message(types.ShowMessageParams(types.MessageType.Warning, text))


def new_session() -> EditorSession:
    """A server with all features; it reads and writes nothing before it starts."""
    session = EditorSession()
    logging.getLogger("pygls.protocol.json_rpc").addFilter(is_worth_logging)
    for method, handler in EVENTS:
        session.feature(method)(handler)
    for method, feature, options in FEATURES:
        session.feature(method, options)(_handler(feature))
    return session


def _handler(feature: Feature) -> Callable[[EditorSession, Any], Any]:
    """Wraps a feature of a document for pygls; returns None if the document is not open."""

    def handle(ls: EditorSession, params: Any) -> Any:
        document = ls.documents.get(params.text_document.uri)
        if document is None:
            return None
        try:
            return feature(document, params)
        except DsdError as error:
            raise RefusedError(str(error)) from None

    return handle


# --- events -----------------------------------------------------------------------------------------------------------


def _initialize(ls: EditorSession, params: types.InitializeParams) -> None:
    encoding = ls.workspace.position_encoding
    ls.documents.client = client_of(params.capabilities, str(getattr(encoding, "value", encoding)))
    try:
        ls.documents.wishes = read_wishes(params.initialization_options)
    except DsdError as error:
        ls.say(error)


def _shutdown(ls: EditorSession, *_: Any) -> None:
    ls.is_shut_down = True
    ls.checks.end()


def _open(ls: EditorSession, params: types.DidOpenTextDocumentParams) -> None:
    item = params.text_document
    forget()
    ls.documents.open(item.uri, item.version, item.text)
    ls.checks.now(item.uri)
    ls.check_users_of(item.uri)


def _change(ls: EditorSession, params: types.DidChangeTextDocumentParams) -> None:
    item = params.text_document
    if ls.documents.change(item.uri, item.version, params.content_changes):
        ls.checks.later(item.uri)
        ls.check_users_of(item.uri)


def _configure(ls: EditorSession, *_: Any) -> None:
    """Handles a change of a watched file, such as `pyproject.toml` or a schedule that others use."""
    forget()
    ls.documents.configure()
    for document in ls.documents.all():
        ls.checks.later(document.uri)
    if ls.documents.client.can_be_told_to_pull:
        ls.workspace_diagnostic_refresh(None)


def _close(ls: EditorSession, params: types.DidCloseTextDocumentParams) -> None:
    uri = params.text_document.uri
    ls.checks.forget(uri)
    ls.documents.close(uri)
    ls.text_document_publish_diagnostics(diagnostics.cleared(uri))
    ls.check_users_of(uri)


EVENTS: tuple[tuple[str, Callable[..., None]], ...] = (
    (types.INITIALIZE, _initialize),
    (types.SHUTDOWN, _shutdown),
    (types.TEXT_DOCUMENT_DID_OPEN, _open),
    (types.TEXT_DOCUMENT_DID_CHANGE, _change),
    (types.TEXT_DOCUMENT_DID_CLOSE, _close),
    (types.TEXT_DOCUMENT_DID_SAVE, _configure),
    (types.WORKSPACE_DID_CHANGE_WATCHED_FILES, _configure),
)
