"""pygls' protocol with document storage replaced: opened, changed and closed documents go to `documents.py` only.

A line of the language ends at `\\n`, `\\r\\n` or `\\r`, as the protocol says. The texts that pygls keeps split lines
at other characters too, and every edit after one of those would go astray.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from lsprotocol import types
from pygls.protocol import LanguageServerProtocol, lsp_method

Step = Generator[Any, Any, None]


class DsdProtocol(LanguageServerProtocol):
    """Hands the three events on to the server's own handlers."""

    @lsp_method(types.TEXT_DOCUMENT_DID_OPEN)
    def lsp_text_document__did_open(self, params: types.DidOpenTextDocumentParams) -> Step:
        """A document is shown."""
        yield self.fm.features[types.TEXT_DOCUMENT_DID_OPEN], (params,), None

    @lsp_method(types.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: types.DidChangeTextDocumentParams) -> Step:
        """A document is edited."""
        yield self.fm.features[types.TEXT_DOCUMENT_DID_CHANGE], (params,), None

    @lsp_method(types.TEXT_DOCUMENT_DID_CLOSE)
    def lsp_text_document__did_close(self, params: types.DidCloseTextDocumentParams) -> Step:
        """A document is shown no more."""
        yield self.fm.features[types.TEXT_DOCUMENT_DID_CLOSE], (params,), None
