"""Findings as an editor gets them: on opening, after each change, pulled, cleared."""

from __future__ import annotations

import pytest
from lsp_editor import EVERYTHING, Editor, session
from lsprotocol import types

from dsd_lang.base.diagnostics import rule_url

WRONG = "dense 5ep lr=0.1\nsparse 50% layers=birn\ndense\n"


def insertion(line: int, character: int, text: str) -> types.TextDocumentContentChangePartial:
    place = types.Position(line, character)
    return types.TextDocumentContentChangePartial(types.Range(place, place), text)


def codes(found: list[types.Diagnostic]) -> list[object]:
    return [item.code for item in found]


def test_a_diagnostic_has_all_that_an_editor_can_show(editor: Editor) -> None:
    editor.open(WRONG)
    [diagnostic] = editor.diagnostics()
    assert diagnostic.code == "DSD201"
    assert diagnostic.severity == types.DiagnosticSeverity.Error
    assert diagnostic.source == "dsd"
    assert diagnostic.code_description == types.CodeDescription(rule_url("DSD201"))
    assert diagnostic.range == types.Range(types.Position(1, 18), types.Position(1, 22))
    assert diagnostic.message.startswith("no layer matches `birn`: did you mean `birnn`?\nhelp: ")
    assert diagnostic.data == {"name": "unknown-layer", "fix": "unsafe"}


def test_severities_and_tags(editor: Editor) -> None:
    editor.open("dense 5ep lr=0.1  # dsd: ignore[DSD304]\nsparse 50%\n")
    unused, ends = editor.diagnostics()
    assert (unused.code, list(unused.tags or ())) == ("DSD903", [types.DiagnosticTag.Unnecessary])
    assert (ends.code, ends.severity) == ("DSD303", types.DiagnosticSeverity.Warning)


def test_each_change_is_checked(editor: Editor) -> None:
    editor.open("dense 5ep lr=0.1\n")
    assert editor.diagnostics() == []
    editor.change([insertion(0, 0, "dense ")], version=2)
    assert codes(editor.diagnostics(version=2)) == ["DSD102"]
    editor.change([types.TextDocumentContentChangePartial(
        types.Range(types.Position(0, 0), types.Position(0, 6)), "")], version=3)  # fmt: skip
    assert editor.diagnostics(version=3) == []


def test_changes_in_one_message_apply_one_after_the_other(editor: Editor) -> None:
    editor.open("dense 5ep lr=0.1")
    editor.change([insertion(0, 16, "\nsparse 50%"), insertion(1, 10, "\ndense"), insertion(2, 5, " lr=0")], version=2)
    [diagnostic] = editor.diagnostics(version=2)
    assert (diagnostic.code, diagnostic.range.start) == ("DSD403", types.Position(2, 9))


def test_a_burst_of_changes_is_checked_at_its_end(editor: Editor) -> None:
    editor.open("dense 5ep lr=0.1\n")
    editor.diagnostics()
    word = "\nsparse 50% lr=0"
    for index, character in enumerate(word):
        line = 1 if index else 0
        column = index - 1 if index else 16
        editor.change([insertion(line, column, character)], version=2 + index)
    found = editor.diagnostics(version=1 + len(word))
    assert "DSD403" in codes(found)
    versions = [item.version for item in editor.published if item.version is not None]
    assert versions == sorted(versions)
    assert len(versions) < len(word)  # most of the texts in between were never analysed


def test_closing_clears(editor: Editor) -> None:
    editor.open(WRONG)
    assert editor.diagnostics()
    editor.published.clear()
    editor.close()
    assert editor.diagnostics(version=None) == []
    editor.published.clear()
    editor.change("dense", version=9)  # no longer open: nothing happens
    editor.pause(0.1)
    assert editor.published == []


def test_a_waiting_check_of_a_closed_document_is_dropped(editor: Editor) -> None:
    editor.open("dense 5ep lr=0.1")
    editor.diagnostics()
    editor.published.clear()
    editor.change(WRONG, version=2)
    editor.close()
    editor.pause(0.2)
    assert editor.published[-1].version is None
    assert editor.published[-1].diagnostics in ([], ())


def test_two_documents_at_once(editor: Editor) -> None:
    other = "untitled:Untitled-1"
    editor.open(WRONG)
    editor.open("dense 5 lr=0.1", uri=other)
    assert codes(editor.diagnostics()) == ["DSD201"]
    assert codes(editor.diagnostics(uri=other)) == ["DSD402"]
    editor.change("dense 5ep lr=0.1", version=2)
    assert editor.diagnostics(version=2) == []
    hint = editor.about(types.TEXT_DOCUMENT_INLAY_HINT, uri=other, range=EVERYTHING)
    assert hint is None  # the other one still has its error


def test_an_editor_that_pulls_is_not_pushed_to() -> None:
    text_document = types.TextDocumentClientCapabilities(diagnostic=types.DiagnosticClientCapabilities())
    with session(capabilities=types.ClientCapabilities(text_document=text_document)) as editor:
        assert editor.result is not None
        assert editor.result.capabilities.diagnostic_provider is not None
        editor.open(WRONG)
        report = editor.about(types.TEXT_DOCUMENT_DIAGNOSTIC)
        assert codes(report.items) == ["DSD201"]
        again = editor.about(types.TEXT_DOCUMENT_DIAGNOSTIC, previous_result_id=report.result_id)
        assert again.kind == "unchanged"
        editor.change("dense 5ep lr=0.1", version=2)
        fresh = editor.about(types.TEXT_DOCUMENT_DIAGNOSTIC, previous_result_id=report.result_id)
        assert list(fresh.items) == []
        assert [item for item in editor.published if item.diagnostics] == []


@pytest.mark.parametrize(
    "text", ["", "\n", "\x00", "\ufeffdense 5ep lr=0.1", "dense 5ep lr=0.1 # \ud83d", "{", "}" * 2000]
)
def test_odd_texts(editor: Editor, text: str) -> None:
    editor.open(text)
    found = editor.diagnostics()
    assert all(str(item.code).startswith("DSD") for item in found)
    assert bool(found) == (text not in ("", "\n", "\ufeffdense 5ep lr=0.1"))


def test_a_line_separator_in_a_comment_is_no_line(editor: Editor) -> None:
    """U+2028 and its like end lines in Python and not in the protocol."""
    editor.open("dense 5ep lr=0.1  # one\u2028line\x0b\x85\nsparse 50% # x\n")
    editor.diagnostics()
    editor.change([insertion(1, 10, " lr=0")], version=2)
    wrong = [item for item in editor.diagnostics(version=2) if item.code == "DSD403"]
    assert [item.range.start for item in wrong] == [types.Position(1, 14)]


def test_a_file_outside_of_any_workspace(editor: Editor) -> None:
    uri = "file:///no/such/folder/with%20blank/x.dsd"
    editor.open(WRONG, uri=uri)
    assert codes(editor.diagnostics(uri=uri)) == ["DSD201"]
