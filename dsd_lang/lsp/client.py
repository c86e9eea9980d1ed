"""The capabilities of the connected editor: what it can show, and how it counts characters."""

from __future__ import annotations

from lsprotocol import types
from pygls.capabilities import get_capability

from dsd_lang.base.records import record


@record
class Client:
    """The editor's capabilities that features need; the defaults are for an editor that declares none."""

    encoding: str = "utf-16"
    has_snippets: bool = False
    has_nested_symbols: bool = False
    has_versioned_edits: bool = False
    pulls_diagnostics: bool = False
    can_be_told_to_pull: bool = False
    has_related_information: bool = False


def client_of(capabilities: types.ClientCapabilities, encoding: str) -> Client:
    """The client with these capabilities; ``encoding`` is the negotiated one."""

    def can(name: str) -> bool:
        return bool(get_capability(capabilities, name, False))

    return Client(
        encoding,
        has_snippets=can("text_document.completion.completion_item.snippet_support"),
        has_nested_symbols=can("text_document.document_symbol.hierarchical_document_symbol_support"),
        has_versioned_edits=can("workspace.workspace_edit.document_changes"),
        pulls_diagnostics=get_capability(capabilities, "text_document.diagnostic") is not None,
        can_be_told_to_pull=can("workspace.diagnostics.refresh_support"),
        has_related_information=can("text_document.publish_diagnostics.related_information")
        or can("text_document.diagnostic.related_information"),
    )
