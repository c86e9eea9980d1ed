"""Every feature at random places of texts cut short and scribbled in: an answer, never an error."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from lsp_editor import EVERYTHING, URI, Editor
from lsprotocol import types

from dsd_lang.lsp.positions import num_units

SCHEDULES = sorted((Path(__file__).resolve().parents[2] / "schedules").glob("*.dsd"))
SCRIBBLES = (
    "{", "}", "(", ")", "[", "]", '"', "'", "/", "\\", "@", "@a.", ":", ";", "=", ",", "->", "%", "#", "\r", "\r\n",
    "\x00", "\U0001f600", "\ud800", "\u2028", "50", "2:4", "sparse ", "dense", "repeat 3 {", "fork {", " until ",
    "a: ", "9" * 500, "compare a vs", "expect ", "# dsd: ignore[", "set ", " for x in ", "layers=", "then ", "@init",
    "lr=prev^", "  ", "é", "let s = ", "def f(a, b=", "f(", 'use "', "within ", "grid[", "..", " by ", "(x, y) in (",
)  # fmt: skip
OPTIONS = types.FormattingOptions(tab_size=2, insert_spaces=True)
AT_A_PLACE = (
    types.TEXT_DOCUMENT_HOVER,
    types.TEXT_DOCUMENT_COMPLETION,
    types.TEXT_DOCUMENT_DEFINITION,
    types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT,
    types.TEXT_DOCUMENT_PREPARE_RENAME,
)
ABOUT_ALL: tuple[tuple[str, dict[str, object]], ...] = (
    (types.TEXT_DOCUMENT_DIAGNOSTIC, {}),
    (types.TEXT_DOCUMENT_FORMATTING, {"options": OPTIONS}),
    (types.TEXT_DOCUMENT_RANGE_FORMATTING, {"options": OPTIONS, "range": EVERYTHING}),
    (types.TEXT_DOCUMENT_DOCUMENT_SYMBOL, {}),
    (types.TEXT_DOCUMENT_FOLDING_RANGE, {}),
    (types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, {}),
    (types.TEXT_DOCUMENT_SEMANTIC_TOKENS_RANGE, {"range": EVERYTHING}),
    (types.TEXT_DOCUMENT_CODE_ACTION, {"range": EVERYTHING, "context": types.CodeActionContext([])}),
    (types.TEXT_DOCUMENT_CODE_ACTION, {"range": EVERYTHING, "context": types.CodeActionContext([], ["source.fixAll"])}),
    (types.TEXT_DOCUMENT_INLAY_HINT, {"range": EVERYTHING}),
)


def place_in(text: str, chance: random.Random) -> types.Position:
    """Any place, often a little outside."""
    offset = chance.randint(0, len(text))
    lines = text[:offset].replace("\r\n", "\n").replace("\r", "\n").split("\n")
    line = len(lines) - 1 + chance.choice((0, 0, 0, 1))
    return types.Position(line, num_units(lines[-1], "utf-16") + chance.choice((0, 0, 5)))


@pytest.mark.parametrize("path", SCHEDULES, ids=lambda path: path.stem)
def test_broken_texts(editor: Editor, path: Path) -> None:
    chance = random.Random(path.stem)
    text = path.read_text(encoding="utf-8")
    editor.open(text)
    version = 1
    for _ in range(10):
        version += 1
        text = text[: chance.randint(0, len(text))] if chance.random() < 0.3 else text
        if len(text) < 20:
            text = path.read_text(encoding="utf-8")
            editor.change(text, version=version)
        else:
            start, end = sorted(
                (place_in(text, chance), place_in(text, chance)), key=lambda at: (at.line, at.character)
            )
            end = start if chance.random() < 0.8 else end
            scribble = types.TextDocumentContentChangePartial(types.Range(start, end), chance.choice(SCRIBBLES))
            editor.change([types.TextDocumentContentChangeWholeDocument(text), scribble], version=version)
        ask_everything(editor, text, chance)
        assert isinstance(editor.diagnostics(version=version), list)
    assert editor.shown == []  # where the server tells of bugs


def ask_everything(editor: Editor, text: str, chance: random.Random) -> None:
    """Each question once; an error in an answer is raised here."""
    for method in AT_A_PLACE:
        editor.at(method, place_in(text, chance))
    context = types.ReferenceContext(include_declaration=True)
    editor.at(types.TEXT_DOCUMENT_REFERENCES, place_in(text, chance), context=context)
    for method, others in ABOUT_ALL:
        editor.about(method, **others)
    assert URI in editor.opened
