"""An editor for tests: pygls' own client beside a real `dsd-lsp` process, driven step by step."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient

SERVER = ("-m", "dsd_lang.lsp.server")
PATIENCE_SECONDS = 20.0
URI = "file:///nowhere/schedule.dsd"
EVERYTHING = types.Range(types.Position(0, 0), types.Position(10_000, 0))
ALL_CAPABILITIES = types.ClientCapabilities(
    general=types.GeneralClientCapabilities(position_encodings=[types.PositionEncodingKind.Utf16]),
    workspace=types.WorkspaceClientCapabilities(
        workspace_edit=types.WorkspaceEditClientCapabilities(document_changes=True)
    ),
    text_document=types.TextDocumentClientCapabilities(
        completion=types.CompletionClientCapabilities(
            completion_item=types.ClientCompletionItemOptions(snippet_support=True)
        ),
        document_symbol=types.DocumentSymbolClientCapabilities(hierarchical_document_symbol_support=True),
        rename=types.RenameClientCapabilities(prepare_support=True),
    ),
)


class Editor:
    """One session. Every question is asked and answered before the next one; messages of the server are kept."""

    def __init__(self, arguments: Sequence[str] = SERVER) -> None:
        self.arguments = arguments
        self.loop = asyncio.new_event_loop()
        self.client = LanguageClient("test-editor", "1")
        self.published: list[types.PublishDiagnosticsParams] = []
        self.shown: list[types.ShowMessageParams] = []
        self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)(lambda params: self.published.append(params))
        self.client.feature(types.WINDOW_SHOW_MESSAGE)(lambda params: self.shown.append(params))
        self.result: types.InitializeResult | None = None
        self.opened: set[str] = set()

    def start(
        self,
        *,
        capabilities: types.ClientCapabilities = ALL_CAPABILITIES,
        options: Any = None,
        root_uri: str | None = None,
    ) -> None:
        """The process, and the handshake."""
        self.wait(self.client.start_io(sys.executable, *self.arguments))
        params = types.InitializeParams(
            capabilities=capabilities, process_id=None, root_uri=root_uri, initialization_options=options
        )
        self.result = self.wait(self.client.initialize_async(params))
        self.client.initialized(types.InitializedParams())

    def stop(self) -> int:
        """The polite end; the process's exit status."""
        self.wait(self.client.shutdown_async(None))
        self.client.exit(None)
        return self.exit_status()

    def exit_status(self) -> int:
        """Waits for the process to end."""
        process: Any = self.client._server
        status = self.wait(process.wait())
        self.wait(self.client.stop())
        self.loop.close()
        return int(status)

    def wait(self, coroutine: Any) -> Any:
        """Lets the session run until something is done."""
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, PATIENCE_SECONDS))

    def until(self, holds: Callable[[], Any]) -> Any:
        """Lets the session run until something holds."""

        async def poll() -> Any:
            while not (found := holds()):
                await asyncio.sleep(0.0005)
            return found

        return self.wait(poll())

    def pause(self, seconds: float) -> None:
        """Lets the session run for a while."""
        self.wait(asyncio.sleep(seconds))

    # --- documents ----------------------------------------------------------------------------------------------------

    def open(self, text: str, *, uri: str = URI, version: int = 1) -> None:
        """Shows a text."""
        item = types.TextDocumentItem(uri, "dsd", version, text)
        self.opened.add(uri)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def change(
        self, changes: str | list[types.TextDocumentContentChangeEvent], *, version: int, uri: str = URI
    ) -> None:
        """A new text, or edits of ranges."""
        listed = [types.TextDocumentContentChangeWholeDocument(changes)] if isinstance(changes, str) else changes
        target = types.VersionedTextDocumentIdentifier(uri=uri, version=version)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(target, listed))

    def close(self, *, uri: str = URI) -> None:
        """Shows a text no more."""
        self.opened.discard(uri)
        self.client.text_document_did_close(types.DidCloseTextDocumentParams(types.TextDocumentIdentifier(uri)))

    def diagnostics(self, *, version: int | None = 1, uri: str = URI) -> list[types.Diagnostic]:
        """What was pushed for a version of a document."""

        def pushed() -> list[types.PublishDiagnosticsParams]:
            return [item for item in self.published if item.uri == uri and item.version == version]

        return list(self.until(pushed)[-1].diagnostics)

    def ask(self, method: str, params: Any) -> Any:
        """One question and its answer; an error of the server is raised."""

        async def answer() -> Any:
            return await self.client.protocol.send_request_async(method, params)

        return self.wait(answer())

    def refusal(self, method: str, place: types.Position, **others: Any) -> str:
        """The sentence with which a question about a place is refused."""
        try:
            answer = self.at(method, place, **others)
        except JsonRpcException as error:
            return str(error.message)
        raise AssertionError(f"not refused, but answered: {answer}")

    def at(self, method: str, place: types.Position, *, uri: str = URI, **others: Any) -> Any:
        """A question about a place."""
        made = types.METHOD_TO_TYPES[method][2]
        return self.ask(method, made(text_document=types.TextDocumentIdentifier(uri), position=place, **others))

    def about(self, method: str, *, uri: str = URI, **others: Any) -> Any:
        """A question about a document."""
        made = types.METHOD_TO_TYPES[method][2]
        return self.ask(method, made(text_document=types.TextDocumentIdentifier(uri), **others))


@contextmanager
def session(**how: Any) -> Iterator[Editor]:
    """An editor with its server; both are gone afterwards, and the server's exit status was 0."""
    editor = Editor(how.pop("arguments", SERVER))
    editor.start(**how)
    try:
        yield editor
    finally:
        status = editor.stop()
    assert status == 0


def place_of(text: str, mark: str = "|") -> tuple[str, types.Position]:
    """A text without its mark, and where the mark was (in UTF-16 units)."""
    before, _, after = text.partition(mark)
    lines = before.replace("\r\n", "\n").split("\n")
    return before + after, types.Position(len(lines) - 1, len(lines[-1].encode("utf-16-le")) // 2)


def edited(text: str, edits: Sequence[types.TextEdit], encoding: str = "utf-16-le") -> str:
    """A text after an editor applied edits, each counted on the text before."""
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def offset(place: types.Position) -> int:
        if place.line >= len(starts):
            return len(text)
        start = starts[place.line]
        units = {"utf-16-le": 2, "utf-8": 1}[encoding]
        return start + len(text[start:].encode(encoding)[: place.character * units].decode(encoding))

    for edit in sorted(edits, key=lambda item: (item.range.start.line, item.range.start.character), reverse=True):
        text = text[: offset(edit.range.start)] + edit.new_text + text[offset(edit.range.end) :]
    return text
