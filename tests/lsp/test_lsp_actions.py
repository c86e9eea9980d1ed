"""Fixes, all safe fixes at once, suppressions; formatting in as few edits as it takes."""

from __future__ import annotations

import pytest
from lsp_editor import EVERYTHING, Editor, edited
from lsprotocol import types

import dsd_lang
from dsd_lang.base.diagnostics import CATALOGUE
from dsd_lang.syntax.formatter import format_text


def actions(editor: Editor, text: str, *, only: list[str] | None = None) -> list[types.CodeAction]:
    editor.open(text)
    context = types.CodeActionContext([], only=only)
    return list(editor.about(types.TEXT_DOCUMENT_CODE_ACTION, range=EVERYTHING, context=context) or ())


def applied(text: str, action: types.CodeAction) -> str:
    assert action.edit is not None
    assert action.edit.document_changes is not None
    [change] = action.edit.document_changes
    assert isinstance(change, types.TextDocumentEdit)
    return edited(text, [edit for edit in change.edits if isinstance(edit, types.TextEdit)])


def test_a_fix_is_an_action(editor: Editor) -> None:
    text = "dense 5ep lr=0.1 sparse 50%\ndense\n"
    [fix] = actions(editor, text)
    assert (fix.title[:14], fix.kind) == ("DSD102: put in", types.CodeActionKind.QuickFix)
    assert [item.code for item in fix.diagnostics or ()] == ["DSD102"]
    assert applied(text, fix).replace(" ;", ";") == "dense 5ep lr=0.1; sparse 50%\ndense\n"


def test_only_what_is_asked_for(editor: Editor) -> None:
    text = "dense 5ep lr=0.1\nsparse 50%  # dsd: ignore[DSD304]\n"
    assert actions(editor, text, only=["refactor"]) == []
    assert {action.kind for action in actions(editor, text, only=["quickfix"])} == {"quickfix"}
    assert {action.kind for action in actions(editor, text, only=["source"])} == {"source.fixAll.dsd"}
    assert len(actions(editor, text, only=["source.fixAll"])) == 1


def test_all_safe_fixes_at_once(editor: Editor) -> None:
    text = "dense 5ep lr=0.1  # dsd: ignore[DSD304]\nsparse 50%  # dsd: ignore[DSD305]\ndense\n"
    [fix] = actions(editor, text, only=["source.fixAll.dsd"])
    mended = applied(text, fix)
    assert "ignore" not in mended
    assert dsd_lang.compile(mended).hash == dsd_lang.compile(text).hash
    assert actions(editor, "dense 5ep lr=0.1\n", only=["source.fixAll.dsd"]) == []
    assert {action.kind for action in actions(editor, text)} == {"quickfix"}  # costly, so only when asked for


@pytest.mark.parametrize(
    ("text", "silenced"),
    [
        ("dense 5ep lr=1\nsparse 50%\n", "dense 5ep lr=1\nsparse 50%  # dsd: ignore[DSD303]\n"),
        ("dense 5ep lr=1\r\nsparse 50% \t\r\n", "dense 5ep lr=1\r\nsparse 50%  # dsd: ignore[DSD303] \t\r\n"),
        ("dense 5ep lr=1\n  sparse 50%  # why\n", "dense 5ep lr=1\n  # dsd: ignore[DSD303]\n  sparse 50%  # why\n"),
        (
            "dense 5ep lr=1\nsparse 50% # dsd: ignore[DSD304] x\n",
            "dense 5ep lr=1\nsparse 50% # dsd: ignore[DSD304, DSD303] x\n",
        ),
        (
            "dense 5ep lr=1\nsparse 50% \\\n  layers=fc",
            "dense 5ep lr=1\nsparse 50% \\  # dsd: ignore[DSD303]\n  layers=fc",
        ),
    ],
)
def test_a_diagnostic_can_be_silenced(editor: Editor, text: str, silenced: str) -> None:
    [ignore] = [action for action in actions(editor, text) if action.title == "DSD303: ignore it here"]
    assert applied(text, ignore) == silenced
    editor.change(silenced, version=2)
    assert "DSD303" not in [item.code for item in editor.diagnostics(version=2)]


def test_an_error_cannot_be_silenced(editor: Editor) -> None:
    titles = [action.title for action in actions(editor, "dense 5 lr=0\nsparse 50% layers=birn 5ep\n")]
    errors = {entry.code for entry in CATALOGUE.values() if entry.severity == "error"}
    assert titles
    assert not [title for title in titles if "ignore" in title and title[:6] in errors]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_formatting_in_few_edits(editor: Editor, end: str) -> None:
    canonical = [f"# {index}" if index % 3 else f"p{index}: dense {index + 1}ep lr=0.1" for index in range(60)]
    wrong = list(canonical)
    wrong[30] = "p30:   dense lr=0.1   31ep"
    wrong[57] = "p57: dense lr=0.1 58ep; sparse 0.5"
    text = end.join(wrong) + end
    editor.open(text)
    options = types.FormattingOptions(tab_size=2, insert_spaces=True)
    edits = editor.about(types.TEXT_DOCUMENT_FORMATTING, options=options)
    assert edited(text, edits) == format_text(text)
    assert [(edit.range.start.line, edit.range.end.line) for edit in edits] == [(30, 31), (57, 58)]
    near = types.Range(types.Position(25, 0), types.Position(35, 0))
    [one] = editor.about(types.TEXT_DOCUMENT_RANGE_FORMATTING, range=near, options=options)
    assert one.range.start.line == 30
    editor.change(format_text(text), version=2)
    assert list(editor.about(types.TEXT_DOCUMENT_FORMATTING, options=options)) == []


def test_a_text_with_syntax_errors_is_left_alone(editor: Editor) -> None:
    editor.open("dense   5ep lr=\n")
    options = types.FormattingOptions(tab_size=2, insert_spaces=True)
    assert editor.about(types.TEXT_DOCUMENT_FORMATTING, options=options) is None
    assert editor.about(types.TEXT_DOCUMENT_RANGE_FORMATTING, range=EVERYTHING, options=options) is None
