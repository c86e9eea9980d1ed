"""Lines, columns, offsets, and bytes that are no text."""

from __future__ import annotations

from dsd_lang.base.source import SourceText, decode_text


def test_lines_end_as_editors_have_them() -> None:
    source = SourceText("a\nb\r\nc\rd\x0be\u2028f")
    assert [source.line(number) for number in range(1, source.num_lines + 1)] == ["a", "b", "c", "d\x0be\u2028f"]
    assert source.line(0) == source.line(9) == ""


def test_positions_count_code_points() -> None:
    source = SourceText("ab\n😀c")
    assert source.position(4) == (2, 2)
    assert source.span(3, 5) == (2, 1, 2, 3, 3, 5)


def test_bytes_that_are_no_text() -> None:
    text, (found,) = decode_text("dense # é\nx ".encode() + b"\xff\xfe y")
    assert (found.code, found.span.line, found.span.column) == ("DSD105", 2, 3)
    assert found.message == "byte 0xff at offset 13 is not UTF-8 text"
    assert text.endswith("x \ufffd\ufffd y")
    assert decode_text(b"dense") == ("dense", [])
