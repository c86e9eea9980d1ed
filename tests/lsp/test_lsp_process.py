"""The process: exit statuses, wrong usage, a missing pygls, a feature that crashes, messages that make no sense."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from lsp_editor import EVERYTHING, SERVER, Editor, place_of, session
from lsprotocol import types
from pygls.exceptions import JsonRpcException

from dsd_lang import __version__


def run(*arguments: str, code: str | None = None, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, *(SERVER if code is None else ("-c", code)), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=30, check=False)


def message(method: str, params: object, number: int | None = None) -> bytes:
    data = {"jsonrpc": "2.0", "method": method, "params": params, **({} if number is None else {"id": number})}
    body = json.dumps(data).encode()
    return b"Content-Length: %d\r\n\r\n%s" % (len(body), body)


INITIALIZE = message("initialize", {"processId": None, "rootUri": None, "capabilities": {}}, 1)
SHUTDOWN = message("shutdown", None, 2)
EXIT = message("exit", None)


def test_exit_statuses() -> None:
    assert run(stdin=INITIALIZE + SHUTDOWN + EXIT).returncode == 0
    assert run(stdin=INITIALIZE + EXIT).returncode == 1  # left without a word
    assert run(stdin=INITIALIZE).returncode == 1  # gone
    assert run(stdin=b"").returncode == 1
    assert run("--stdio", "--clientProcessId=7", stdin=INITIALIZE + SHUTDOWN + EXIT).returncode == 0


def test_version_help_and_wrong_usage() -> None:
    assert run("--version").stdout.decode() == f"dsd-lsp {__version__}\n"
    assert run("--help").stdout.decode().startswith("usage: dsd-lsp [--stdio]\n")
    wrong = run("file.dsd")
    assert (wrong.returncode, wrong.stdout) == (2, b"")
    assert wrong.stderr.decode().startswith("dsd-lsp: `dsd-lsp` takes no file")
    assert run("--tcp").returncode == 2


def test_a_missing_pygls_is_one_sentence() -> None:
    code = "import sys; sys.modules['pygls'] = None; from dsd_lang.lsp.server import main; sys.exit(main())"
    result = run(code=code)
    assert result.returncode == 2
    assert result.stderr.decode() == "dsd-lsp: the language server needs pygls\n  = help: pip install 'dsd-lang[lsp]'\n"


@pytest.mark.parametrize(
    "nonsense",
    [
        b"Content-Length: 7\r\n\r\nno json",
        b"hello\r\n\r\n",
        message("textDocument/hover", {"textDocument": 3}, 9),
        message("textDocument/noSuchThing", {}, 9),
        message("noSuchNotification", {}),
        message("$/cancelRequest", {"id": 77}),
        message(
            "textDocument/didChange", {"textDocument": {"uri": "x", "version": 1}, "contentChanges": [{"text": ""}]}
        ),
        message("textDocument/hover", {"textDocument": {"uri": "unknown"}, "position": {"line": 0, "character": 0}}, 9),
    ],
)
def test_the_server_outlives_messages_that_make_no_sense(nonsense: bytes) -> None:
    result = run(stdin=INITIALIZE + nonsense + SHUTDOWN + EXIT)
    assert result.returncode == 0
    assert b'"id": 2' in result.stdout


def test_a_refusal_is_an_answer_and_no_traceback() -> None:
    document = {"uri": "untitled:x", "languageId": "dsd", "version": 1, "text": "a: dense 5ep lr=1"}
    asked = {"textDocument": {"uri": "untitled:x"}, "position": {"line": 0, "character": 0}, "newName": "set"}
    messages = message("textDocument/didOpen", {"textDocument": document}) + message("textDocument/rename", asked, 5)
    result = run(stdin=INITIALIZE + messages + SHUTDOWN + EXIT)
    assert b"`set` is a reserved word" in result.stdout
    assert result.stderr == b""


def test_a_crash_of_one_feature_leaves_the_others() -> None:
    code = """
import sys
import dsd_lang.lsp.hover as hover
import dsd_lang.lsp.diagnostics as diagnostics
real = diagnostics.protocol_diagnostic
def crash(document, params):
    raise ZeroDivisionError("a bug")
def crash_on_five(finding, document):
    return 1 / 0 if "5" in finding.message else real(finding, document)
hover.hover = crash
diagnostics.protocol_diagnostic = crash_on_five
from dsd_lang.lsp.server import main
sys.exit(main())
"""
    with session(arguments=("-c", code)) as editor:
        editor.open("dense 5 lr=1")
        with pytest.raises(JsonRpcException):
            editor.at(types.TEXT_DOCUMENT_HOVER, types.Position(0, 1))
        editor.change("dense 6 lr=1", version=2)
        assert [item.code for item in editor.diagnostics(version=2)] == ["DSD402"]
        editor.change("dense 5 lr=1", version=3)  # crashes in the check that waits
        assert len(editor.about(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)) == 1
        editor.pause(0.1)
        editor.change("dense 7 lr=1", version=4)
        assert [item.code for item in editor.diagnostics(version=4)] == ["DSD402"]
        assert any("a bug" not in item.message and "division by zero" in item.message for item in editor.shown)


def test_capabilities(editor: Editor) -> None:
    assert editor.result is not None
    able = editor.result.capabilities
    assert isinstance(able.text_document_sync, types.TextDocumentSyncOptions)
    assert able.text_document_sync.change == types.TextDocumentSyncKind.Incremental
    assert able.text_document_sync.open_close
    assert isinstance(able.rename_provider, types.RenameOptions)
    assert able.rename_provider.prepare_provider
    assert isinstance(able.code_action_provider, types.CodeActionOptions)
    assert list(able.code_action_provider.code_action_kinds or ()) == ["quickfix", "source.fixAll.dsd"]
    for provider in (
        able.hover_provider, able.completion_provider, able.definition_provider, able.references_provider,
        able.document_highlight_provider, able.document_symbol_provider, able.folding_range_provider,
        able.semantic_tokens_provider, able.inlay_hint_provider, able.document_formatting_provider,
        able.document_range_formatting_provider, able.diagnostic_provider,
    ):  # fmt: skip
        assert provider


def test_a_schedule_of_many_phases(editor: Editor) -> None:
    text, place = place_of("dense 1ep lr=1\nrepeat 20000 { spar|se 50% 1ep }\n")
    editor.open(text)
    assert [item.code for item in editor.diagnostics()] == ["DSD303"]
    assert "... and 19988 more" in editor.at(types.TEXT_DOCUMENT_HOVER, place).contents.value
    assert len(editor.about(types.TEXT_DOCUMENT_INLAY_HINT, range=EVERYTHING)) == 1
