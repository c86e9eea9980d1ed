"""The Pygments lexer: every character kept, nothing wrong in real schedules, the tokens of the language's own lexer."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pygments", reason="needs the extra `pygments`")

from pygments.lexers import get_lexer_by_name, get_lexer_for_filename, get_lexer_for_mimetype
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, String
from token_kinds import REPOSITORY, disagreements, random_texts, real_programs

from dsd_lang.editors.pygments_lexer import TOKENS, DsdLexer

SCHEDULES = sorted((REPOSITORY / "schedules").glob("*.dsd"))
RENDERED = """
label: sparse [conv: 2:4, fc: 0->90%] 1.25ep layers=birnn.hh,"a.*",/b/ decay=step(33%, by=0.1) from=@full.500it \\
  until not dsd.val.err < 10%  # dsd: ignore[DSD303] why
"""


def tokens(text: str) -> list[tuple[object, str]]:
    return [(kind, value) for _, kind, value in DsdLexer().get_tokens_unprocessed(text) if value.strip()]


def stretches(text: str) -> list[tuple[int, int, set[str]]]:
    parts: dict[object, set[str]] = {}
    for part, kind in TOKENS.items():
        parts.setdefault(kind, set()).add(part)
    found = DsdLexer().get_tokens_unprocessed(text)
    return [(start, start + len(value), set(parts[kind])) for start, kind, value in found]


@pytest.mark.parametrize("path", SCHEDULES, ids=lambda path: path.stem)
def test_a_schedule_is_kept_whole_and_has_no_errors(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = list(DsdLexer().get_tokens_unprocessed(text))
    assert "".join(value for _, _, value in found) == text
    assert [value for _, kind, value in found if kind is Error] == []


def test_agrees_with_the_lexer_on_real_programs() -> None:
    texts = real_programs()
    assert len(texts) > 40
    assert [wrong for text in texts for wrong in disagreements(text, stretches(text))] == []


def test_agrees_with_the_lexer_on_random_texts() -> None:
    texts = random_texts(3000)
    assert [wrong for text in texts for wrong in disagreements(text, stretches(text))] == []


def test_any_text_is_kept_whole() -> None:
    for text in (
        "50epochs 12abc",
        "x = 'open\nlr=\"",
        "(((\n]]}{",
        "é ² \x00 \u2003 \u202e",
        "sparse [a: (\ndense 1ep\r\r\n",
    ):
        found = DsdLexer().get_tokens_unprocessed(text)
        assert "".join(value for _, _, value in found) == text


def test_each_kind_of_token_has_its_colour() -> None:
    found = tokens(RENDERED)
    for expected in (
        (Name.Label, "label"), (Keyword.Declaration, "sparse"), (Name.Class, "conv"), (Operator, "->"),
        (Number, "1.25"), (Number, "ep"), (Name.Attribute, "layers"), (Name.Class, "birnn.hh"), (String, '"a.*"'),
        (String.Regex, "/b/"), (Name.Function, "step"), (Name.Attribute, "by"), (Name.Decorator, "@full"),
        (Name.Decorator, ".500it"), (Keyword, "until"), (Operator.Word, "not"), (Name.Property, "val.err"),
        (Comment.Special, "DSD303"),
    ):  # fmt: skip
        assert expected in found


def test_wrong_text_is_marked() -> None:
    for text, wrong in (("dense 50epochs", "50epochs"), ("set model='x", "'x"), ("// no comment", "// no comment")):
        assert (Error, wrong) in tokens(text)


def test_a_word_is_reserved_only_where_it_is_a_keyword() -> None:
    assert (Name.Function, "set") in tokens("sparse 50% update=set(drop=30%)")
    assert (Keyword, "set") in tokens("set lr=0.1")
    assert tokens("@dense.end") == [(Name.Decorator, "@dense"), (Name.Decorator, ".end")]
    assert tokens("a.sparse.b") == [(Name.Label, "a.sparse.b")]
    assert tokens("densely") == [(Name.Variable, "densely")]


def test_pygments_finds_it() -> None:
    for lexer in (
        get_lexer_by_name("dsd"),
        get_lexer_for_filename("schedule.dsd"),
        get_lexer_for_mimetype("text/x-dsd"),
    ):
        assert isinstance(lexer, DsdLexer)
