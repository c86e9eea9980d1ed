"""Regular expressions and globs: the same answers as Python's `re` and `fnmatch`, in bounded time for every pattern."""

from __future__ import annotations

import fnmatch
import re
import time
from random import Random

import pytest

from dsd_lang.base.patterns import PatternError, glob, regular_expression

PIECES = [
    "a",
    "b",
    "c",
    ".",
    "[ab]",
    "[^a]",
    "[a-c0-2]",
    r"\d",
    r"\w",
    r"\W",
    r"\s",
    r"\.",
    r"[\d.]",
    r"\b",
    "^",
    "$",
    "(?:)",
]
TIMES = ["", "", "", "*", "+", "?", "{2}", "{1,2}", "{,2}", "{1,}", "*?", "+?"]


def random_expression(random: Random, depth: int = 3) -> str:
    parts: list[str] = []
    for _ in range(random.randint(0, 3)):
        piece = random.choice(PIECES)
        if depth and random.random() < 0.4:
            piece = f"({random.choice(['', '?:'])}{random_expression(random, depth - 1)})"
        is_place = piece in (r"\b", "^", "$")
        parts.append(piece if is_place else piece + random.choice(TIMES))
    text = "".join(parts)
    return f"{text}|{random_expression(random, depth - 1)}" if depth and random.random() < 0.2 else text


@pytest.mark.parametrize("seed", range(20))
def test_the_answers_are_those_of_re(seed: int) -> None:
    random = Random(seed)
    for _ in range(100):
        text = random_expression(random)
        ours, theirs = regular_expression(text), re.compile(text)
        for _ in range(10):
            subject = "".join(random.choices("abc012._ ", k=random.randint(0, 8)))
            assert ours.search(subject) == bool(theirs.search(subject)), (text, subject)
            assert ours.fullmatch(subject) == bool(theirs.fullmatch(subject)), (text, subject)


@pytest.mark.parametrize("seed", range(5))
def test_the_answers_are_those_of_fnmatch(seed: int) -> None:
    random = Random(seed)
    for _ in range(300):
        text = "".join(random.choices(["a", "b", ".", "*", "?", "[ab]", "[!a]", "[a-c]", "[", "]", "[]a]", "-"], k=6))
        for _ in range(5):
            subject = "".join(random.choices("abc.[]-", k=random.randint(0, 8)))
            assert glob(text).fullmatch(subject) == fnmatch.fnmatchcase(subject, text), (text, subject)


@pytest.mark.parametrize(
    "text",
    [
        "(a+)+b",
        "(a*)*b",
        "(a|a)*b",
        "(a|aa)+$",
        "(.*a){20}",
        "((a?){20}){20}",
        "a?" * 300 + "a" * 300,
        "(" * 50 + "a" + ")*" * 50,
    ],
)
def test_no_expression_takes_long(text: str) -> None:
    started = time.process_time()
    regular_expression(text).search("a" * 300)
    assert time.process_time() - started < 2


def test_no_glob_takes_long() -> None:
    started = time.process_time()
    assert not glob("*a" * 30 + "*b").fullmatch("a" * 2000)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(?=a)b", "look-ahead and look-behind"),
        ("(?<!a)b", "look-ahead and look-behind"),
        (r"(a)\1", "back references"),
        ("(?P<x>a)(?P=x)", "back references"),
        ("(?>a)", "cannot begin with"),
        ("a(?i)", "cannot begin with"),
        ("a++", "possessive"),
        ("(a", "never closed"),
        ("a)", r"no matching `\(`"),
        ("[a", "never closed"),
        ("[z-a]", "range"),
        ("*a", "nothing for"),
        ("a**", "repeated"),
        ("^*", "repeated"),
        ("a\\", "ends it"),
        (r"\q", "means nothing"),
        (r"\xg1", "is not a character"),
        (r"\Uffffffff", "is not a character"),
        ("a{3,2}", "from more to less"),
        ("a{1001}", "too large"),
        ("((a{100}){100}){100}", "too large"),
        ("a{99999999999999999999}", "too large"),
        ("(" * 5000, "nest deeper"),
        ("a" * 2000, "too large"),
    ],
)
def test_what_cannot_be_matched_is_told(text: str, message: str) -> None:
    with pytest.raises(PatternError, match=message):
        regular_expression(text)


def test_case_may_be_ignored() -> None:
    assert regular_expression("(?i)Conv[a-c]").search("layer.cONVB")
    assert not regular_expression("(?i)[^a]").search("A")
    assert not regular_expression("Conv").search("conv")
