"""What the parameters of conditions, optimizers and decays take, at the edges."""

from __future__ import annotations

import pytest

from dsd_lang.analysis import analyse
from dsd_lang.base.arguments import ARGUMENTS, Argument

_NOT_WRITTEN = ("inherited", "the model's", "required", "--model", "--data")
_PLACES = {
    "dense": "sparse 50% 2ep; dense {}",
    "sparse": "sparse 50% 2ep {}; dense",
    "set": "set {}; sparse 50% 2ep; dense",
    "repeat": "sparse 50% 2ep; dense; repeat 2 {}",
    "fork": "fork {} { a: dense 2ep; b: sparse 50% 2ep; }",
    "compare": "fork { a: dense 2ep; b: sparse 50% 2ep; }; compare a vs b on=test.err {}",
}
_NEEDED = {"ramp": "0->90%", "every": "0->90%", "masks": "held"}


def _codes(text: str) -> list[str]:
    return [found.code for found in analyse(text).errors]


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        ("until plateau(val.loss, patience={})", ["1", "3"], ["0", "2.5", "-1", "much"]),
        ("until plateau(val.loss, delta={})", ["0", "0.5", "3"], ["-0.1", "much"]),
        ("opt=sgd(momentum={})", ["0", "0.9"], ["-0.5", "much"]),
        ("clip=value({})", ["0.5", "9"], ["0", "-1"]),
        ("warmup={}", ["1it", "0.5ep"], ["-1it", "soon"]),
        ("dropout={}", ["0", "0.5"], ["1", "-0.1", "2"]),
        ("wd={}", ["0", "1e-4", "2"], ["-1", "much"]),
        ("batch={}", ["1", "128"], ["0", "1.5", "-4"]),
        ("decay=linear floor={}", ["0", "0.05"], ["-0.1", "much"]),
    ],
)
def test_good_and_bad_values(parameter: str, good: list[str], bad: list[str]) -> None:
    for value in good:
        assert _codes(f"dense 2ep lr=0.1 {parameter.format(value)}") == [], value
    for value in bad:
        assert _codes(f"dense 2ep lr=0.1 {parameter.format(value)}"), value


@pytest.mark.parametrize(("rounds", "is_good"), [("1", True), ("4", True), ("0", False), ("1.5", False)])
def test_rounds_are_whole_and_at_least_one(rounds: str, is_good: bool) -> None:
    text = f"repeat 3 until falling(val.acc, rounds={rounds}) {{ dense 1ep lr=0.1 }}"
    assert (_codes(text) == []) == is_good


@pytest.mark.parametrize(
    "argument", [row for row in ARGUMENTS if row.default not in _NOT_WRITTEN], ids=lambda row: row.name
)
def test_a_default_may_be_written(argument: Argument) -> None:
    head = "set lr=0.1 decay=cosine" if argument.name == "floor" else "set lr=0.1"
    for place in argument.places:
        text = _PLACES[place].replace("{}", f"{argument.name}={argument.default}")
        if argument.name in _NEEDED:
            text = text.replace("50%", _NEEDED[argument.name])
            text = f"sparse 50% 1ep; {text}" if argument.name == "masks" else text
        assert _codes(f"{head}\n{text}") == [], text
