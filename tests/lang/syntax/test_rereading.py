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


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            "dense 5ep\nrepeat 2\nsparse 30%\ndense\n", "dense 5ep\nrepeat 2 \\\nsparse 30%\ndense\n", id="continued"
        ),
        pytest.param("dense 5ep\nsparse 30%\ndense\n", "dense 5ep;sparse 30%\ndense\n", id="joined lines"),
        pytest.param("dense 5ep\r\nsparse 30%\r\n", "dense 5ep\nsparse 30%\r\n", id="another line end"),
        pytest.param("dense 5ep\n\nsparse 30%\n", "dense 5ep\n\r\nsparse 30%\n", id="one line end of two signs"),
        pytest.param("dense 5ep\nsparse 30%\n", "dense 5ep\nsparse 30%", id="no last line end"),
        pytest.param("dense 5ep\nsparse 30%\n", "# new\n\ndense 5ep\nsparse 30%\n", id="a comment before all"),
        pytest.param("dense 5ep\nsparse 30%\n", "", id="nothing left"),
        pytest.param("dense 5ep\nsparse 30%\n", "\ufeffdense 5ep\nsparse 30%\n", id="byte-order mark"),
        pytest.param(
            "dense 5ep\nfork {\n a: dense\n}\ndense\n", "dense 5ep\nfork {\n a: dense\n}\n}\ndense\n", id="stray brace"
        ),
    ],
)
def test_one_edit(before: str, after: str) -> None:
    check([before, after, before])


def lexed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the lexer reads from now on."""
    stretches = []
    run = Lexer.run

    def noted(lexer: Lexer) -> object:
        stretches.append(lexer.text[lexer.start :])
        return run(lexer)

    monkeypatch.setattr(Lexer, "run", noted)
    return stretches


def test_only_what_is_around_the_change_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"dense {number + 1}ep lr=0.1\n" for number in range(100))
    before = read(text)
    stretches = lexed(monkeypatch)
    read(text + "sparse 50%", before)
    read("sparse 50%\n" + text, before)
    read(text.replace("dense 50ep lr=0.1", "dense 50ep"), before)
    assert stretches == [
        "dense 100ep lr=0.1\nsparse 50%",
        "sparse 50%\n",
        "dense 49ep lr=0.1\ndense 50ep\n",
    ]


def test_a_missing_brace_reads_all(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "dense 5ep\nrepeat 2 {\n  dense\n}\ndense\ndense\n"
    before = read(text)
    stretches = lexed(monkeypatch)
    read(text + "fork {", before)
    assert stretches == [text + "fork {"]


def test_a_mistake_that_is_taken_back_costs_only_its_statement(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(f"dense {number + 1}ep lr=0.1\n" for number in range(100))
    wrong = read(text.replace("dense 50ep", "dens 50ep ("), read(text))
    stretches = lexed(monkeypatch)
    read(text.replace("dense 50ep", "dense 51ep"), wrong)
    assert stretches == ["dense 49ep lr=0.1\ndense 51ep lr=0.1\n"]
