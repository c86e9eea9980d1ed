"""The pygls protocol with document storage replaced: events of documents go only to `documents.py`.

A line of the language ends at `\\n`, `\\r\\n` or `\\r`, as in the protocol. The documents of pygls split lines at other
characters too, so every edit after one of those would be misplaced.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from lsprotocol import types
from pygls.protocol import LanguageServerProtocol, lsp_method

Step = Generator[Any, Any, None]


class DsdProtocol(LanguageServerProtocol):
    """Passes the three document events to the server's own handlers."""

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> Step:
        """Handles `textDocument/didOpen`."""
        yield self.fm.features[types.TEXT_DOCUMENT_DID_OPEN], (params,), None

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> Step:
        """Handles `textDocument/didChange`."""
        yield self.fm.features[types.TEXT_DOCUMENT_DID_CHANGE], (params,), None

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> Step:
        """Handles `textDocument/didClose`."""
        yield self.fm.features[types.TEXT_DOCUMENT_DID_CLOSE], (params,), None
