"""Reading a changed text again gives what reading it for the first time gives, and reads less."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from random_parts import ProgramsOfParts
from random_programs import Programs, laid_out

from dsd_lang.analysis import analyse
from dsd_lang.base.diagnostics import CATALOGUE
from dsd_lang.lint.checking import check_analysis, check_text
from dsd_lang.syntax import rereading
from dsd_lang.syntax.lexer import Lexer
from dsd_lang.syntax.rereading import read

SCHEDULES = sorted((Path(__file__).parents[3] / "schedules").glob("*.dsd"))
ALL_BUT_LAYOUT = frozenset(CATALOGUE) - {"DSD902"}
PIECES = (
    *(
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        ";",
        "\n",
        "\r\n",
        " ",
        "#",
        "\\",
        "\\\n",
        "'",
        '"',
        "/",
        ",",
        "3",
        "ep",
        "->",
        "}\n}",
    ),
    *("a: ", "@x", "dense", "sparse 0.5", " until val.err < 1", "repeat", "fork {", "then", "\x00", "\x07", "\ufeff"),
)


def changed(text: str, random: Random) -> str:
    """The text after one edit of an editor: something deleted, something put in."""
    start = random.randint(0, len(text))
    end = min(len(text), start + random.choice((0, 0, 0, 1, 2, 9, 60)))
    return text[:start] + random.choice(("", *PIECES)) + text[end:]


def check(texts: list[str]) -> None:
    reading = None
    for text in texts:
        reading = read(text, reading)
        fresh = read(text)
        assert reading.parsed.program == fresh.parsed.program, texts
        assert reading.parsed.diagnostics == fresh.parsed.diagnostics, texts
        assert reading.parsed.broken == fresh.parsed.broken, texts
        assert list(reading.parsed.tokens) == list(fresh.parsed.tokens), texts


@pytest.mark.parametrize("block", range(4))
def test_random_edits_of_random_programs(block: int) -> None:
    for seed in range(block * 60, block * 60 + 60):
        random = Random(seed)
        programs = (Programs, ProgramsOfParts)[seed % 2]
        texts = [laid_out(programs(random, is_sound=False).program(), random)]
        for _ in range(12):
            texts.append(changed(texts[-1], random))
        check(texts)


@pytest.mark.parametrize("block", range(4))
def test_the_same_is_said_of_a_text_that_is_read_again(block: int) -> None:
    for seed in range(1000 + block * 10, 1000 + block * 10 + 10):
        random = Random(seed)
        text = laid_out((Programs, ProgramsOfParts)[seed % 2](random).program(), random)
        reading = read(text)
        for _ in range(6):
            text = changed(text, random)
            reading = read(text, reading)
            again = check_analysis(text, analyse(text, parsed=reading.parsed), selected=ALL_BUT_LAYOUT)
            assert again == check_text(text, selected=ALL_BUT_LAYOUT), text


@pytest.mark.parametrize("path", SCHEDULES, ids=lambda path: path.stem)
def test_typing_at_every_statement_of_a_schedule(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    random = Random(path.stem)
    for statement in read(text).parsed.program.statements:
        for place in (statement.span.start, statement.span.end):
            for piece in random.sample(PIECES, 6):
                check([text, text[:place] + piece + text[place:], text])


def test_only_what_follows_the_change_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"dense {number + 1}ep lr=0.1\n" for number in range(100))
    before = read(text)
    starts = []
    run = Lexer.run

    def noted(lexer: Lexer) -> object:
        starts.append(lexer.start)
        return run(lexer)

    monkeypatch.setattr(Lexer, "run", noted)
    read(text + "sparse 50%", before)
    read("sparse 50%\n" + text, before)
    assert starts == [text.index("dense 100ep"), 0]


def test_a_missing_brace_reads_all(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "dense 5ep\nrepeat 2 {\n  dense\n}\ndense\ndense\n"
    assert rereading._head(read(text), text + "fork {") is None
    assert rereading._head(read(text), text + "dense") is not None
