"""Labels and loop variables: where they are defined, where they are used, and under another name."""

from __future__ import annotations

import pytest
from lsp_editor import Editor, edited, place_of
from lsprotocol import types

import dsd_lang

SCHEDULE = """base: dense 10ep lr=0.1
fork seeds=2 {
  a: { S: sparse 50% 5ep; dense from=@base.5ep }
  b: { S: dense 5ep; dense from=@S.start restore=@a.S }
}
S: sparse 20% 5ep from=@a.seed1.S.end
dense from=@S
compare a vs b on=test.err
expect a.test.err < b.test.err
"""


def spans_of(text: str, places: list[types.Range]) -> list[tuple[int, str]]:
    lines = text.split("\n")
    return sorted(
        (item.start.line, lines[item.start.line][item.start.character : item.end.character]) for item in places
    )


def ask(editor: Editor, method: str, marked: str, **others: object) -> object:
    text, place = place_of(marked)
    editor.open(text)
    return editor.at(method, place, **others)


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("from=@ba", 0),
        ("from=@base.5", 0),
        ("from=@S.st", 3),
        ("restore=@", 2),
        ("restore=@a.", 2),
        ("from=@a.seed1.", 2),
        ("from=@a.seed1.S.e", 2),
        ("dense from=@S\ncom", None),
        ("\ndense from=@", 5),
        ("compare a vs ", 3),
        ("expect ", 2),
        ("expect a.test.e", None),
    ],
)
def test_definition(editor: Editor, before: str, line: int | None) -> None:
    marked = SCHEDULE.replace(before, f"{before}|", 1)
    found = ask(editor, types.TEXT_DOCUMENT_DEFINITION, marked)
    assert (None if found is None else found.range.start.line) == line  # type: ignore[attr-defined]


def test_references_and_highlights(editor: Editor) -> None:
    text, place = place_of(SCHEDULE.replace("  a: {", "  |a: {"))
    editor.open(text)
    context = types.ReferenceContext(include_declaration=True)
    found = editor.at(types.TEXT_DOCUMENT_REFERENCES, place, context=context)
    expected = [(2, "a"), (3, "a"), (5, "a"), (7, "a"), (8, "a")]
    assert spans_of(text, [item.range for item in found]) == expected
    uses = editor.at(types.TEXT_DOCUMENT_REFERENCES, place, context=types.ReferenceContext(include_declaration=False))
    assert len(uses) == 4
    marks = editor.at(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT, place)
    assert spans_of(text, [item.range for item in marks]) == expected
    assert [item.kind for item in marks].count(types.DocumentHighlightKind.Write) == 1


@pytest.mark.parametrize(
    ("name", "mark", "new"),
    [
        ("base", "|base:", "trunk"),
        ("a", "  |a:", "first"),
        ("S", "b: { |S:", "T"),
        ("S", "\n|S:", "ticket"),
        ("b", "vs |b", "c2"),
    ],
)
def test_rename_keeps_the_plan(editor: Editor, name: str, mark: str, new: str) -> None:
    text, place = place_of(SCHEDULE.replace(mark.replace("|", ""), mark, 1))
    editor.open(text)
    asked = editor.at(types.TEXT_DOCUMENT_PREPARE_RENAME, place)
    assert asked.placeholder == name
    change = editor.at(types.TEXT_DOCUMENT_RENAME, place, new_name=new)
    [of_document] = change.document_changes
    assert of_document.text_document.version == 1
    renamed = edited(text, of_document.edits)
    assert renamed != text
    assert new in renamed
    before, after = dsd_lang.compile(text), dsd_lang.compile(renamed)
    assert [phase.model_dump(exclude={"label", "path", "span"}) for phase in after.phases] == [
        phase.model_dump(exclude={"label", "path", "span"}) for phase in before.phases
    ]


@pytest.mark.parametrize(
    ("mark", "new", "sentence"),
    [
        ("|base:", "sparse", "`sparse` is a reserved word"),
        ("|base:", "init", "`init` is the name of a moment"),
        ("|base:", "end", "`end` is the name of a moment"),
        ("|base:", "a b", "`a b` is not a name"),
        ("|base:", "5ep", "`5ep` is not a name"),
        ("|base:", "", "`` is not a name"),
        ("|base:", "x.y", "`x.y` is not a name"),
        ("|base:", "S", "`S` cannot be the new name of `base`: it is the name of a phase on line 3"),
        ("  |a:", "b", "`b` cannot be the new name of `a`: it is the name of a branch on line 4"),
    ],
)
def test_names_that_cannot_be_taken(editor: Editor, mark: str, new: str, sentence: str) -> None:
    text, place = place_of(SCHEDULE.replace(mark.replace("|", ""), mark, 1))
    editor.open(text)
    assert editor.refusal(types.TEXT_DOCUMENT_RENAME, place, new_name=new).startswith(sentence)


def test_loop_variables(editor: Editor) -> None:
    head = "dense 5ep lr=1\nfor s in 25%, 50% {\n  sparse s\n"
    text, place = place_of(head + "  repeat 2 as s { dense lr=1/2^s }\n  sparse |s by=magnitude\n}\n")
    editor.open(text)
    found = editor.at(types.TEXT_DOCUMENT_DEFINITION, place)
    assert found.range.start == types.Position(1, 4)
    change = editor.at(types.TEXT_DOCUMENT_RENAME, place, new_name="share")
    assert edited(text, change.document_changes[0].edits).count("share") == 3
    refused = editor.refusal(types.TEXT_DOCUMENT_RENAME, place, new_name="magnitude")
    assert refused.startswith("`magnitude` cannot be the new name of `s`: it would change what another word refers to")


@pytest.mark.parametrize(
    "marked", ["den|se 5ep lr=1", "# com|ment", "|", "dense 5ep lr=1 from=@in|it", "dense 5ep from=@un|known"]
)
def test_nothing_to_go_to(editor: Editor, marked: str) -> None:
    assert ask(editor, types.TEXT_DOCUMENT_DEFINITION, marked) is None
    assert ask(editor, types.TEXT_DOCUMENT_PREPARE_RENAME, marked) is None
    assert ask(editor, types.TEXT_DOCUMENT_RENAME, marked, new_name="x") is None
