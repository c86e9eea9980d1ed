"""`let`, `def`, `use`, `within` and the arms of sweeps in the editor, in one file and across files."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from lsp_editor import ALL_CAPABILITIES, EVERYTHING, Editor, edited, place_of, session
from lsprotocol import types

import dsd_lang
from dsd_lang.lsp.documents import Document
from dsd_lang.lsp.hover import hover
from dsd_lang.lsp.inlay_hints import inlay_hints
from dsd_lang.lsp.rename import rename
from dsd_lang.lsp.semantic_tokens import roles
from dsd_lang.syntax.parser import parse

SCHEDULE = """let s = 50%
let twice = s * 1.5
# Prunes and trains again.
# As in the paper.
def again(t, n=5ep, where=conv) {
  S: sparse t n layers=where lr=0.1
  let t2 = t
  dense n lr=0.01
}
dense 5ep lr=0.1
again(s)
again(t=25%, n=10ep)
for (s, k) in (30%, conv), (60%, fc) { sparse s layers=k 5ep; dense }
grid: sweep t in 20%, 40% { again(t, n=3ep) }
compare grid[20%] vs grid[t=40%] on=test.err
within 100ep { dense 10%; sparse twice; dense 20% }
"""
PATH = Path("/nowhere/main.dsd")


def document_of(text: str, path: Path = PATH) -> Document:
    return Document(path.as_uri(), 1, text)


def at(marked: str) -> tuple[str, types.Position]:
    return place_of(marked)


def words(text: str, spans: list[types.Range]) -> list[tuple[int, str]]:
    lines = text.split("\n")
    return sorted(
        (item.start.line, lines[item.start.line][item.start.character : item.end.character]) for item in spans
    )


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("twice = ", 0),
        ("sparse twi", 1),
        ("\naga", 4),
        ("\nagain(", 0),
        ("again(t=25%, ", 4),
        ("again(", 4),
        ("S: sparse ", 4),
        ("layers=whe", 4),
        ("let t2 = ", 4),
        ("{ sparse ", 12),
        ("layers=k", 12),
        ("compare ", 13),
        ("vs grid[", 13),
        ("{ again(", 13),
    ],
)
def test_definition(editor: Editor, before: str, line: int) -> None:
    text, position = at(SCHEDULE.replace(before, f"{before}|", 1))
    editor.open(text)
    assert editor.at(types.TEXT_DOCUMENT_DEFINITION, position).range.start.line == line


@pytest.mark.parametrize(
    ("mark", "lines"),
    [
        ("let |s =", [0, 1, 10]),
        ("again(|t,", [4, 5, 6, 11]),
        ("for (|s,", [12, 12]),
        ("sweep |t in", [13, 13, 14]),
        ("def |again", [4, 10, 11, 13]),
        ("|grid:", [13, 14, 14]),
    ],
)
def test_references_are_those_of_the_scope(editor: Editor, mark: str, lines: list[int]) -> None:
    text, position = at(SCHEDULE.replace(mark.replace("|", ""), mark, 1))
    editor.open(text)
    context = types.ReferenceContext(include_declaration=True)
    found = editor.at(types.TEXT_DOCUMENT_REFERENCES, position, context=context)
    assert [line for line, _ in words(text, [item.range for item in found])] == lines
    marks = editor.at(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT, position)
    assert sorted(item.range.start.line for item in marks) == lines


ARMS = """let few = 20%
base: dense 5ep lr=0.1
grid: sweep (t, w) in (few, 0), (40%, 0) { sparse t wd=w 1ep; dense 1ep }
compare grid[t = few, w=0] vs grid[t=40%, w=0] on=test.err
for x in few, 40% { dense from=@grid[ t=x, w = 0 ].end; expect grid[t=few,w=0].test.err < 3 }
"""


@pytest.mark.parametrize(
    ("mark", "lines"),
    [
        ("let |few", [0, 2, 3, 4, 4]),
        ("for |x", [4, 4]),
        ("(t, |w)", [2, 2, 3, 3, 4, 4]),
        ("|grid:", [2, 3, 3, 4, 4]),
    ],
)
def test_names_in_the_brackets_of_arms(editor: Editor, mark: str, lines: list[int]) -> None:
    text, position = at(ARMS.replace(mark.replace("|", ""), mark, 1))
    editor.open(text)
    context = types.ReferenceContext(include_declaration=True)
    found = editor.at(types.TEXT_DOCUMENT_REFERENCES, position, context=context)
    spans = words(text, [item.range for item in found])
    assert [line for line, _ in spans] == lines
    assert len({word for _, word in spans}) == 1
    [of_document] = editor.at(types.TEXT_DOCUMENT_RENAME, position, new_name="renamed").document_changes
    renamed = edited(text, of_document.edits)
    assert renamed.count("renamed") == len(lines)
    assert dsd_lang.compile(renamed).hash == dsd_lang.compile(text).hash


@pytest.mark.parametrize(
    "mark", ["let |s =", "again(|t,", "for (|s,", "sweep |t in", "def |again", "|grid:", "let |t2"]
)
def test_rename_keeps_the_plan(editor: Editor, mark: str) -> None:
    text, position = at(SCHEDULE.replace(mark.replace("|", ""), mark, 1))
    editor.open(text)
    [of_document] = editor.at(types.TEXT_DOCUMENT_RENAME, position, new_name="renamed").document_changes
    renamed = edited(text, of_document.edits)
    assert renamed != text
    assert dsd_lang.compile(renamed).hash == dsd_lang.compile(text).hash


@pytest.mark.parametrize(
    ("mark", "new", "sentence"),
    [
        ("let |s =", "twice", "`twice` cannot be the new name of `s`: it is the name of a `let` on line 2"),
        ("let |s =", "conv", "`conv` selects layers"),
        ("again(|t,", "n", "`n` cannot be the new name of `t`: it is the name of a parameter on line 5"),
        ("def |again", "sparse", "`sparse` is a reserved word"),
    ],
)
def test_names_that_cannot_be_taken(editor: Editor, mark: str, new: str, sentence: str) -> None:
    text, position = at(SCHEDULE.replace(mark.replace("|", ""), mark, 1))
    editor.open(text)
    assert editor.refusal(types.TEXT_DOCUMENT_RENAME, position, new_name=new).startswith(sentence)


def hovered(marked: str) -> str:
    text, position = at(marked)
    document = document_of(text)
    found = hover(document, types.HoverParams(types.TextDocumentIdentifier(document.uri), position))
    assert found is not None
    assert isinstance(found.contents, types.MarkupContent)
    return found.contents.value


def test_hover_tells_values_signatures_and_what_a_call_stands_for() -> None:
    assert "value: `75%`" in hovered(SCHEDULE.replace("sparse twice", "sparse tw|ice"))
    page = hovered(SCHEDULE.replace("\nagain(s)", "\nag|ain(s)"))
    assert "def again(t, n=5ep, where=conv)" in page
    assert "As in the paper" in page
    rows = [line for line in page.splitlines() if line.startswith("|")][2:]
    assert [mode in row for mode, row in zip(("| sparse |", "| dense |"), rows, strict=True)] == [True, True]
    assert "the step of a range" in hovered("for s in 10%..30% b|y 10% { sparse s 5ep lr=0.1 }\ndense 1ep\n")


def test_a_comment_of_the_user_is_shown_and_not_run() -> None:
    page = hovered("# <b>x</b> [a](http://b) `c`\ndef f() { dense 1ep lr=0.1 }\n|f()\n")
    assert r"\<b\>x\</b\> \[a\]\(http://b\) \`c\`" in page


def hints(text: str) -> list[tuple[int, str]]:
    document = document_of(text)
    found = inlay_hints(document, types.InlayHintParams(types.TextDocumentIdentifier(document.uri), EVERYTHING))
    return [(item.position.line, str(item.label)) for item in found or ()]


def test_hints_in_a_def_hold_for_every_call() -> None:
    body = "def f(n) {\n  sparse 50% n\n  dense\n}\ndense 5ep lr=0.1\n"
    assert hints(f"{body}f(5ep)\n") == [(1, "lr=0.1"), (2, "5ep lr=0.01")]
    assert hints(f"{body}f(5ep)\nf(5ep)\n") == []
    assert hints("def f(n) {\n  dense n\n}\nset lr=0.1\nf(5ep)\nf(5ep)\n") == [(1, "lr=0.1")]


def test_outline_and_folding(editor: Editor) -> None:
    editor.open(SCHEDULE)
    found = editor.about(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    names = [item.name for item in found]
    assert names[:3] == ["s", "twice", "again"]
    assert [child.name for child in found[2].children] == ["S", "t2", "dense n lr=0.01"]
    assert "grid" in names
    assert [child.name for child in found[-1].children] == ["dense 10%", "sparse twice", "dense 20%"]
    assert (4, 7) in {(item.start_line, item.end_line) for item in editor.about(types.TEXT_DOCUMENT_FOLDING_RANGE)}


def labels_at(editor: Editor, marked: str, uri: str = PATH.as_uri()) -> list[str]:
    text, position = at(marked)
    editor.open(text, uri=uri)
    return [item.label for item in editor.at(types.TEXT_DOCUMENT_COMPLETION, position, uri=uri).items]


def test_completion_of_names(editor: Editor) -> None:
    start = SCHEDULE + "dense 1ep\n"
    assert {"s", "twice"} <= set(labels_at(editor, f"{start}sparse |"))
    assert "k" not in labels_at(editor, f"{start}sparse |")
    assert "k" in labels_at(editor, SCHEDULE.replace("layers=k", "layers=|"))
    assert "where" in labels_at(editor, SCHEDULE.replace("layers=where", "layers=|"))
    assert "again" in labels_at(editor, f"{start}|")
    assert "again" not in labels_at(editor, SCHEDULE.replace("  dense n lr=0.01", "  |"))
    assert labels_at(editor, f"{start}again(|")[:3] == ["t=", "n=", "where="]
    assert labels_at(editor, f"{start}again(10%, |")[:2] == ["n=", "where="]
    assert "t=" not in labels_at(editor, f"{start}again(t=5%, |")
    assert {"s", "twice", "conv"} <= set(labels_at(editor, f"{start}again(t=|"))


def test_completion_of_arms(editor: Editor) -> None:
    start = SCHEDULE + "dense 1ep\n"
    arms = ["grid[20%]", "grid[40%]"]
    assert labels_at(editor, f"{start}compare |") == ["grid", *arms]
    assert labels_at(editor, f"{start}compare grid[|") == ["grid", *arms]
    assert labels_at(editor, f"{start}compare grid[20%] vs |") == arms
    assert "grid[20%].test.err" in labels_at(editor, f"{start}expect grid[20%].te|")
    assert {"@grid[20%]", "@init"} <= set(labels_at(editor, f"{start}dense from=@|"))
    assert "@grid[20%].S.end" not in labels_at(editor, f"{start}dense from=@grid[20%].|")
    assert {"@grid[20%].end", "@grid[20%].S"} <= set(labels_at(editor, f"{start}dense from=@grid[20%].|"))
    text, position = at(f"{start}compare grid[|]")
    editor.open(text)
    item = editor.at(types.TEXT_DOCUMENT_COMPLETION, position).items[-1]
    assert edited(text, [item.text_edit]).endswith("compare grid[40%]")


# --- several files ----------------------------------------------------------------------------------------------------

COMMON = "let rate = 0.1\n# Once more.\ndef again(t, n=5ep) {\n  sparse t n lr=rate\n  dense n lr=0.01\n}\n"
MAIN = 'use "parts/common.dsd"\ndense 5ep lr=rate\nagain(50%)\nagain(t=25%)\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "common.dsd").write_text(COMMON)
    (tmp_path / "main.dsd").write_text(MAIN)
    return tmp_path


def test_definition_and_references_across_files(editor: Editor, folder: Path) -> None:
    main, common = (folder / "main.dsd").as_uri(), (folder / "parts" / "common.dsd").as_uri()
    for mark, line in (("\n|again", 2), ("lr=|rate", 0), ("again(|t=", 2), ('"parts|/', 0)):
        text, position = at(MAIN.replace(mark.replace("|", ""), mark, 1))
        editor.open(text, uri=main)
        found = editor.at(types.TEXT_DOCUMENT_DEFINITION, position, uri=main)
        assert (found.uri, found.range.start.line) == (common, line)
    editor.open(COMMON, uri=common)
    context = types.ReferenceContext(include_declaration=True)
    _, position = at(COMMON.replace("def ", "def |"))
    uses = editor.at(types.TEXT_DOCUMENT_REFERENCES, position, uri=common, context=context)
    assert [(item.uri, item.range.start.line) for item in uses] == [(common, 2), (main, 2), (main, 3)]


@pytest.mark.parametrize("mark", ["\n|again(50", "lr=|rate", "again(|t="])
@pytest.mark.parametrize("is_open", [True, False])
def test_rename_across_files(editor: Editor, folder: Path, mark: str, is_open: bool) -> None:
    main, common = (folder / "main.dsd").as_uri(), (folder / "parts" / "common.dsd").as_uri()
    text, position = at(MAIN.replace(mark.replace("|", ""), mark, 1))
    editor.open(text, uri=main)
    if is_open:
        editor.open(COMMON, uri=common, version=7)
    before = dsd_lang.compile_file(folder / "main.dsd").hash
    changes = editor.at(types.TEXT_DOCUMENT_RENAME, position, uri=main, new_name="other").document_changes
    assert {item.text_document.uri: item.text_document.version for item in changes} == {
        common: 7 if is_open else None,
        main: 1,
    }
    for item in changes:
        path = folder / "main.dsd" if item.text_document.uri == main else folder / "parts" / "common.dsd"
        path.write_text(edited(path.read_text(), item.edits))
    assert "other" in (folder / "main.dsd").read_text()
    assert dsd_lang.compile_file(folder / "main.dsd").hash == before


def test_rename_reaches_files_of_the_folder_that_are_not_open(folder: Path) -> None:
    common = folder / "parts" / "common.dsd"
    (folder / "parts" / "beside.dsd").write_text('use "common.dsd"\ndense 5ep lr=rate\nagain(50%)\n')
    (folder / "parts" / "other.dsd").write_text("# common.dsd\ndef again(x) { dense x lr=1 }\nagain(1ep)\n")
    (folder / "broken.dsd").write_bytes(b'\xffuse "parts/common.dsd"')
    text, position = at(COMMON.replace("def ", "def |"))
    uri = common.as_uri()
    with session(root_uri=folder.as_uri()) as editor:
        editor.open(text, uri=uri)
        changes = editor.at(types.TEXT_DOCUMENT_RENAME, position, uri=uri, new_name="anew").document_changes
    hashes = {path: dsd_lang.compile_file(path).hash for path in (folder / "main.dsd", folder / "parts" / "beside.dsd")}
    assert {item.text_document.uri for item in changes} == {path.as_uri() for path in (common, *hashes)}
    for item in changes:
        path = next(path for path in (common, *hashes) if path.as_uri() == item.text_document.uri)
        path.write_text(edited(path.read_text(), item.edits))
        assert "anew" in path.read_text()
    assert {path: dsd_lang.compile_file(path).hash for path in hashes} == hashes


def test_a_name_taken_in_the_other_file_is_refused(editor: Editor, folder: Path) -> None:
    main = (folder / "main.dsd").as_uri()
    text, position = at(
        MAIN.replace("dense 5ep", "def mine() { dense 1ep }\ndense 5ep").replace("\nagain(50", "\n|again(50")
    )
    editor.open(text, uri=main)
    sentence = editor.refusal(types.TEXT_DOCUMENT_RENAME, position, uri=main, new_name="mine")
    assert sentence.startswith("`mine` cannot be the new name of `again`")


def test_completion_and_hover_across_files(editor: Editor, folder: Path) -> None:
    main = (folder / "main.dsd").as_uri()
    (folder / "parts" / "text.txt").write_text("")
    assert labels_at(editor, 'use "|"', main) == ["parts/"]
    assert labels_at(editor, 'use "parts/|', main) == ["common.dsd"]
    assert labels_at(editor, 'use "nowhere/|', main) == []
    assert "again" in labels_at(editor, f"{MAIN}|", main)
    assert labels_at(editor, f"{MAIN}again(|", main)[:2] == ["t=", "n="]
    assert "rate" in labels_at(editor, f"{MAIN}dense lr=|", main)
    text, position = at(MAIN.replace("\nagain(50", "\n|again(50"))
    editor.open(text, uri=main)
    page = editor.at(types.TEXT_DOCUMENT_HOVER, position, uri=main).contents.value
    assert "def again(t, n=5ep)" in page
    assert "Once more" in page


def test_a_changed_file_has_its_users_checked_again(editor: Editor, folder: Path) -> None:
    main, path = (folder / "main.dsd").as_uri(), folder / "parts" / "common.dsd"
    common = path.as_uri()

    def codes() -> list[str]:
        return [str(item.code) for item in [one for one in editor.published if one.uri == main][-1].diagnostics]

    editor.open(MAIN, uri=main)
    assert editor.diagnostics(uri=main) == []
    editor.open(COMMON, uri=common)
    editor.change(COMMON.replace("again", "other"), uri=common, version=2)
    editor.until(lambda: codes() == ["DSD203", "DSD203"])
    editor.change(COMMON, uri=common, version=3)
    editor.until(lambda: codes() == [])
    editor.change(COMMON + "dense 5\n", uri=common, version=4)
    editor.until(lambda: codes()[:1] == ["DSD211"])
    editor.close(uri=common)  # now the file on disk counts
    editor.until(lambda: codes() == [])
    path.unlink()
    event = types.FileEvent(common, types.FileChangeType.Deleted)
    editor.client.workspace_did_change_watched_files(types.DidChangeWatchedFilesParams([event]))
    editor.until(lambda: codes()[:1] == ["DSD211"])


@pytest.mark.parametrize(
    "files",
    [
        {"main.dsd": 'use "main.dsd"\ndense 1ep lr=0.1\n'},
        {
            "main.dsd": 'use "a.dsd"\nlet x = 1\nf()\n',
            "a.dsd": 'use "main.dsd"\nlet y = x\ndef f() { dense 1ep lr=0.1 }\n',
        },
        {"main.dsd": 'use "."\nuse ""\nuse "/dev/zero"\nuse "nowhere.dsd"\ndense 1ep lr=0.1\n'},
    ],
)
def test_circles_and_missing_files_are_told(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    document = document_of(files["main.dsd"], tmp_path / "main.dsd")
    assert "DSD211" in {item.code for item in document.diagnostics}
    for offset in range(len(document.text)):
        params = types.HoverParams(types.TextDocumentIdentifier(document.uri), document.positions.position(offset))
        hover(document, params)
        renamed = types.RenameParams(params.text_document, params.position, new_name="renamed")
        assert rename(document, renamed) is None or len(files) > 1


def test_formatting_keeps_a_schedule_that_uses_another(editor: Editor, folder: Path) -> None:
    main = (folder / "main.dsd").as_uri()
    text = MAIN.replace("dense 5ep lr=rate", "dense lr=rate 5ep; sparse .5")
    editor.open(text, uri=main)
    edits = editor.about(types.TEXT_DOCUMENT_FORMATTING, uri=main, options=types.FormattingOptions(2, True))
    assert "dense 5ep lr=rate\nsparse 50%\n" in edited(text, edits)


def test_a_schedule_that_is_not_saved_uses_no_relative_file() -> None:
    document = Document("untitled:1", 1, 'use "common.dsd"\ndense 1ep lr=0.1\n')
    assert "not saved yet" in document.diagnostics[0].message


def test_a_diagnostic_names_the_other_file(folder: Path) -> None:
    capabilities = types.ClientCapabilities(
        text_document=types.TextDocumentClientCapabilities(
            publish_diagnostics=types.PublishDiagnosticsClientCapabilities(related_information=True)
        )
    )
    main, common = (folder / "main.dsd").as_uri(), (folder / "parts" / "common.dsd").as_uri()
    with session(capabilities=capabilities) as editor:
        editor.open(MAIN.replace("50%", "150%"), uri=main)
        [told] = [item for item in editor.diagnostics(uri=main) if item.code == "DSD401"]
        assert told.range.start.line == 2
        assert [(item.location.uri, item.location.range.start.line) for item in told.related_information] == [
            (common, 3)
        ]
        editor.open(COMMON + "again(150%)\n", uri=common)
        [told] = [item for item in editor.diagnostics(uri=common) if item.code == "DSD401"]
        assert [item.location.uri for item in told.related_information] == [common]
    assert ALL_CAPABILITIES.text_document is not None


PIECES = (
    "let s = 50%\n",
    "def f(a, n=5ep) {\n",
    "}\n",
    "f(s)\n",
    "f(a=25%, n=1ep)\n",
    "sparse s 5ep\n",
    "dense 5ep lr=0.1\n",
    'use "common.dsd"\n',
    "within 10ep {\n",
    "dense 10%\n",
    "for s in 10%..30% by 10% { sparse s 5ep }\n",
    "again(30%)\n",
    "grid: sweep s in 25%, 50% { sparse s 5ep }\n",
    "compare grid on=test.err\n",
    "# a comment; def g\n",
    *("let", "def", "(", ")", "{", "s", ";", "\n", " ", '"', "[", "]", "=", "by", ".."),
)


@pytest.mark.parametrize("seed", range(8))
def test_a_reading_after_edits_is_that_of_the_text(tmp_path: Path, seed: int) -> None:
    """Whatever is typed, what was reused of the version before changes nothing."""
    (tmp_path / "common.dsd").write_text(COMMON)
    chance = random.Random(seed)
    path = tmp_path / "main.dsd"
    sound = document_of(SCHEDULE if seed % 2 else 'use "common.dsd"\n' + SCHEDULE.replace("again", "mine"), path)
    document = sound
    for number in range(40):
        document = sound if number % 4 == 0 else document
        _ = document.diagnostics
        text = document.text
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice((0, 0, 0, 1, 3, 20)))
        text = text[:start] + chance.choice(PIECES) + text[end:]
        document = Document(document.uri, 1, text, before=document.last_reading)
        fresh = document_of(text, path)
        assert document.reading.parsed.program == parse(text).program, text
        assert document.diagnostics == fresh.diagnostics, text
        assert document.labels.uses == fresh.labels.uses, text


def test_words_have_the_roles_of_what_they_name() -> None:
    document = document_of(SCHEDULE)
    found = {(document.text[span.start : span.end], role) for span, role in roles(document)}
    assert {("let", "keyword"), ("def", "keyword"), ("within", "keyword"), ("again", "function")} <= found
    assert {("s", "variable"), ("t", "parameter"), ("where", "parameter"), ("conv", "class")} <= found
    assert ("s", "property") not in found
