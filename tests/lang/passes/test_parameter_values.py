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


@pytest.mark.parametrize(
    ("argument", "message", "label"),
    [
        ("update=set", "`set` needs `drop=`, a share", "expected `set(drop=30%, every=100it)`"),
        ("update=set(drop=20%)", "`set` needs `every=`, a length", "expected `set(drop=30%, every=100it)`"),
        ("clip=norm", "`norm` needs a number above 0", "expected `norm(5)`"),
        ("unit=block(2)", "`block` needs a whole number", "expected `block(4, 1)`"),
        ("update=50%", "`update=` does not take `50%`", "not a value it takes"),
    ],
)
def test_what_a_method_lacks_is_told_in_the_way_it_is_written(argument: str, message: str, label: str) -> None:
    [error] = analyse(f"sparse 50% 2ep lr=0.1 {argument}; dense").errors
    assert (error.code, error.label) == ("DSD209", label)
    assert error.message.startswith(message)


def test_no_guess_is_what_is_written() -> None:
    """For every option of every argument, with and without parentheses."""
    for argument in ARGUMENTS:
        for option in argument.options:
            for value in (option.name, f"{option.name}()", f"{option.name}(3)"):
                for place in argument.places:
                    text = "set lr=0.1\n" + _PLACES[place].replace("{}", f"{argument.name}={value}")
                    for found in analyse(text).errors:
                        written = text[found.span.start : found.span.end]
                        assert found.label != f"did you mean `{written}`?", text
