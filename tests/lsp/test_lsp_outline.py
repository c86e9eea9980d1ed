"""The shape of a document: symbols, folding, roles of words, inherited values."""

from __future__ import annotations

from lsp_editor import EVERYTHING, Editor, edited, session
from lsprotocol import types

import dsd_lang
from dsd_lang.lsp.semantic_tokens import LEGEND

SCHEDULE = """# one
# two
base: dense 10ep lr=0.1
fork {
  a: {
    S: sparse 50% 5ep
    # alone
    dense
  }
  b: dense 5ep
}
repeat 2 {
  sparse 20%
}
"""


def test_symbols_are_nested(editor: Editor) -> None:
    editor.open(SCHEDULE)
    base, fork, loop = editor.about(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    assert (base.name, base.detail, base.selection_range.end.character) == ("base", "base: dense 10ep lr=0.1", 4)
    assert fork.name == "fork"
    assert [child.name for child in fork.children] == ["a", "b"]
    assert [child.name for child in fork.children[0].children] == ["S", "dense"]
    assert list(fork.children[1].children) == []
    assert (loop.name, loop.range.start.line, loop.range.end.line) == ("repeat 2", 11, 13)


def test_symbols_are_flat_for_an_editor_that_knows_no_trees() -> None:
    with session(capabilities=types.ClientCapabilities()) as editor:
        editor.open(SCHEDULE)
        found = editor.about(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
        assert [(item.name, item.container_name) for item in found[:4]] == [
            ("base", None), ("fork", None), ("a", "fork"), ("S", "a"),
        ]  # fmt: skip


def test_folding(editor: Editor) -> None:
    editor.open(SCHEDULE)
    found = editor.about(types.TEXT_DOCUMENT_FOLDING_RANGE)
    assert [(item.start_line, item.end_line, item.kind) for item in found] == [
        (0, 1, types.FoldingRangeKind.Comment),
        (3, 9, types.FoldingRangeKind.Region),
        (4, 7, types.FoldingRangeKind.Region),
        (11, 12, types.FoldingRangeKind.Region),
    ]


def roles(text: str, data: list[int]) -> str:
    lines, line, character, found = text.split("\n"), 0, 0, []
    for index in range(0, len(data), 5):
        down, along, length, kind, _ = data[index : index + 5]
        line, character = line + down, along + (0 if down else character)
        units = lines[line].encode("utf-16-le")[2 * character : 2 * (character + length)]
        found.append(f"{units.decode('utf-16-le')} {LEGEND.token_types[kind]}")
    return ", ".join(found)


def test_roles_of_words(editor: Editor) -> None:
    text = 'a: sparse 50% layers=fc,"x*" by=random 5ep # \U0001f600\n'
    text += "dense lr=prev/2 from=@a.end until plateau(val.loss) < 1"
    editor.open(text)
    whole = editor.about(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL)
    first = (
        'a label, sparse keyword, 50% number, layers property, fc class, "x*" string, by property, random enumMember, '
        "5ep number, # \U0001f600 comment"
    )
    second = (
        "dense keyword, lr property, prev variable, / operator, 2 number, from property, @a.end label, until keyword, "
        "plateau function, val.loss function, < operator, 1 number"
    )
    assert roles(text, list(whole.data)) == f"{first}, {second}"
    line = types.Range(types.Position(1, 0), types.Position(1, 5))
    part = editor.about(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_RANGE, range=line)
    assert roles(text, list(part.data)) == second


def hints(editor: Editor, text: str) -> list[tuple[int, str]]:
    editor.open(text)
    found = editor.about(types.TEXT_DOCUMENT_INLAY_HINT, range=EVERYTHING)
    return [(item.position.line, item.label) for item in found]


def test_inherited_length_and_rate(editor: Editor) -> None:
    text = "dense 50ep lr=8e-4\nsparse 0.5 layers=fc\ndense lr=3e-4\nrepeat sparse 0.25\n"
    assert hints(editor, text) == [(1, "50ep lr=8e-4"), (2, "50ep"), (3, "50ep lr=8e-5")]
    assert hints(editor, "dense 5ep\nsparse 50%\n") == [(0, "lr=the optimizer's"), (1, "5ep lr=the optimizer's")]
    loop = "dense 5ep lr=1\nrepeat 3 { dense lr=prev/2\n dense }\n"
    assert hints(editor, loop) == [(1, "5ep"), (2, "5ep lr=0.5 ... 0.125")]


def test_accepted_hints_keep_the_plan(editor: Editor) -> None:
    text = "dense 50ep lr=8e-4  # start\nsparse 0.5 layers=fc\ndense until val.err < 1\nrepeat sparse 0.25\n"
    editor.open(text)
    found = editor.about(types.TEXT_DOCUMENT_INLAY_HINT, range=EVERYTHING)
    assert all(item.padding_left for item in found)
    for hint in found:
        assert dsd_lang.compile(edited(text, hint.text_edits)).hash == dsd_lang.compile(text).hash


def test_hints_of_a_range_and_of_a_broken_text(editor: Editor) -> None:
    editor.open("dense 5ep lr=1\nsparse 50%\ndense\n")
    second = types.Range(types.Position(1, 0), types.Position(1, 99))
    assert len(editor.about(types.TEXT_DOCUMENT_INLAY_HINT, range=second)) == 1
    editor.change("dense 5 lr=1\nsparse 50%\n", version=2)
    assert editor.about(types.TEXT_DOCUMENT_INLAY_HINT, range=EVERYTHING) is None
