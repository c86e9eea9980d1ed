"""Lines and characters as editors count them: in UTF-8, UTF-16 and UTF-32, with every kind of line end."""

from __future__ import annotations

import time

import pytest
from lsp_editor import edited, session
from lsprotocol import types

from dsd_lang.base.source import SourceText
from dsd_lang.lsp.positions import Positions, num_units

TEXT = 'dense 5ep lr=0.1  # \U0001f600 é\r\nsparse 50% layers="\U0001d4d0é" lr=0 # \U0001f600\r\ndense\r\n'


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 27), ("utf-16", 24), ("utf-32", 23)])
def test_places_behind_long_characters(encoding: str, column: int) -> None:
    capabilities = types.ClientCapabilities(
        general=types.GeneralClientCapabilities(position_encodings=[types.PositionEncodingKind(encoding)])
    )
    line = TEXT.split("\r\n")[1]
    before = line[: line.index("lr=0") + 3]
    width = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]
    assert len(before.encode(encoding if encoding == "utf-8" else f"{encoding}-le")) // width == column + 3
    with session(capabilities=capabilities) as editor:
        assert editor.result is not None
        assert editor.result.capabilities.position_encoding == encoding
        editor.open(TEXT)
        [diagnostic] = [item for item in editor.diagnostics() if item.code == "DSD403"]
        assert diagnostic.range == types.Range(types.Position(1, column + 3), types.Position(1, column + 4))
        change = types.TextDocumentContentChangePartial(diagnostic.range, "1e-3")
        editor.change([change], version=2)
        assert [item.code for item in editor.diagnostics(version=2)] == []
        hover = editor.at(types.TEXT_DOCUMENT_HOVER, types.Position(1, column + 1))
        assert "`lr=`" in hover.contents.value
        assert hover.range == types.Range(types.Position(1, column), types.Position(1, column + 2))


def test_utf_16_is_spoken_when_nothing_is_said() -> None:
    with session(capabilities=types.ClientCapabilities()) as editor:
        assert editor.result is not None
        assert editor.result.capabilities.position_encoding == "utf-16"


def test_edits_of_a_formatted_text_keep_its_line_ends() -> None:
    with session() as editor:
        editor.open("dense   5ep lr=0.1 # \U0001f600\r\nsparse .5\r\ndense\r\n")
        edits = editor.about(types.TEXT_DOCUMENT_FORMATTING, options=types.FormattingOptions(2, True))
        assert edited("dense   5ep lr=0.1 # \U0001f600\r\nsparse .5\r\ndense\r\n", edits) == (
            "dense 5ep lr=0.1  # \U0001f600\r\nsparse 50%\r\ndense\r\n"
        )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
@pytest.mark.parametrize("text", [TEXT, "", "a", "\r", "a\rb\r\nc\nd", "\ud800x\U0001f600", "x\u2028y\nz"])
def test_every_offset_is_found_again(text: str, encoding: str) -> None:
    positions = Positions(SourceText(text), encoding)
    line_ends = {
        index for index in range(len(text)) if text[index : index + 1] == "\n" and text[index - 1 : index] == "\r"
    }
    for offset in range(len(text) + 1):
        if offset not in line_ends:  # between `\r` and `\n` is the end of the line
            assert positions.offset(positions.position(offset)) == offset


def test_places_outside_are_moved_inside() -> None:
    positions = Positions(SourceText("ab\ncd"), "utf-16")
    assert positions.offset(types.Position(0, 99)) == 2
    assert positions.offset(types.Position(99, 0)) == 5
    assert Positions(SourceText("\U0001f600"), "utf-16").offset(types.Position(0, 1)) == 0  # within a character


def test_units() -> None:
    assert [num_units("é\U0001f600", encoding) for encoding in ("utf-8", "utf-16", "utf-32")] == [6, 3, 2]


@pytest.mark.parametrize("sign", ["x", "é", "\U0001f600"])
def test_every_place_of_a_very_long_line_is_found_in_linear_time(sign: str) -> None:
    positions = Positions(SourceText("\n" + f"{sign}; " * 200_000), "utf-16")
    width = 4 if sign > "\uffff" else 3
    start = time.process_time()
    assert all(positions.position(1 + 3 * n).character == width * n for n in range(0, 200_000, 7))
    assert positions.position(4).character == width  # and back again
    assert time.process_time() - start < 4  # 0.1 s; each counted from the start of the line, a minute
