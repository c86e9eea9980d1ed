"""`--why`: every derived value has its rule and the place where it is written."""

from __future__ import annotations

import pytest

from dsd_lang.analysis import analyse
from dsd_lang.passes.derivations import derivations

README = """\
dense 50ep lr=8e-4
sparse 50% layers=fc,birnn
dense lr=3e-4
repeat sparse 25%
"""


def explained(text: str, **options) -> list[dict[str, tuple[str, str | None]]]:
    """Of every phase: attribute -> rule, and the place `line:column` of the value."""
    resolved = analyse(text, **options).resolved
    assert resolved is not None
    return [
        {one.name: (one.rule, f"{one.written.line}:{one.written.column}" if one.written else None) for one in some}
        for some in derivations(resolved.book, resolved.settings, text, resolved.used_texts)
    ]


def test_the_example() -> None:
    assert explained(README) == [
        {},
        {
            "duration": ("inherited from phase 0 (50ep)", "1:7"),
            "lr": ("inherited from the start of phase 0 (8e-4)", "1:12"),
        },
        {"duration": ("inherited from phase 1 (50ep)", "1:7")},
        {
            "duration": ("copied from phase 1 (50ep)", "1:7"),
            "lr": ("copied from phase 1 (8e-4) x 0.1", "1:12"),
            "layers": ("copied from phase 1", "2:12"),
        },
        {
            "duration": ("copied from phase 2 (50ep)", "1:7"),
            "lr": ("copied from phase 2 (3e-4) x 0.1", "3:7"),
        },
    ]


def test_the_place_of_the_repeat_is_known() -> None:
    resolved = analyse(README).resolved
    assert resolved is not None
    statements = [one.statement for one in derivations(resolved.book, resolved.settings, README)[3]]
    assert [(span.line, span.column) for span in statements if span] == [(4, 1)] * 3


@pytest.mark.parametrize(
    ("text", "options", "phase", "name", "expected"),
    [
        ("dense 5ep; dense", {}, 0, "lr", ("the optimizer's own rate", None)),
        ("set lr=0.1\ndense 5ep", {}, 0, "lr", ("from `set`", "1:5")),
        ("set lr=0.1\ndense 5ep", {"overrides": {"lr": "1"}}, 0, "lr", ("from `--set`", None)),
        ("dense 5ep", {"defaults": {"lr": "1"}}, 0, "lr", ("from the model's preset", None)),
        ("dense 5ep lr=1; sparse 50%; dense", {}, 2, "lr",
         ("0.1 x the start of phase 1 (1), as `dense` after `sparse`", "1:11")),
        ("dense 5ep lr=1; sparse 50%", {}, 1, "layers", ("the default", None)),
        ("set layers=fc\ndense 5ep lr=1; sparse 50%", {}, 1, "layers", ("from `set`", "1:5")),
        ("dense 5ep lr=1; sparse [fc: 50%]", {}, 1, "layers", ("the layers of the target's list", None)),
        ("sparse 50% layers=fc 5ep lr=1; dense; sparse 20%", {}, 2, "layers",
         ("inherited from phase 0, the last sparse one", "1:12")),
        ("sparse 50% except=fc 5ep lr=1; sparse 20%", {}, 1, "except",
         ("inherited from phase 0, the last sparse one", "1:12")),
        ("sparse 50% 5ep lr=1; dense; repeat", {}, 2, "target", ("copied from phase 0", "1:8")),
        ("dense 5ep lr=1; dense lr=prev/10", {}, 1, "lr", ("written as `prev/10`", "1:26")),
        ("dense 5ep lr=1\nfor s in 20%, 40% { sparse s 5ep }", {}, 2, "target", ("written as `s`", "2:28")),
        ("for n in 5ep, 6ep { dense n lr=1 }", {}, 1, "duration", ("written as `n`", "1:27")),
    ],
)  # fmt: skip
def test_every_rule(text: str, options, phase: int, name: str, expected: tuple[str, str | None]) -> None:
    assert explained(text, **options)[phase][name] == expected


def test_all_that_the_plan_marks_is_explained(repository) -> None:
    from dsd_lang.compiler import plan_of

    for path in sorted((repository / "schedules").glob("*.dsd")):
        text = path.read_text(encoding="utf-8")
        resolved = analyse(text, source=str(path)).resolved
        assert resolved is not None
        plan = plan_of(resolved)
        for phase, some in zip(plan.phases, explained(text, source=str(path)), strict=True):
            assert set(phase.derived) <= set(some), (path.name, phase.id)


def test_a_within_says_where_its_lengths_and_rates_come_from() -> None:
    text = "within 9ep { dense 3ep lr=0.1; sparse 50% }\nlet n = 2ep\ndef f(s) { sparse s n }\nf(50%)"
    resolved = analyse(text).resolved
    assert resolved is not None
    rules = [[(one.name, one.rule) for one in some] for some in derivations(resolved.book, resolved.settings, text)]
    assert rules[1][:2] == [
        ("duration", "the rest of the 9ep of its `within`"),
        ("lr", "the one rate of the `within`, from phase 0 (0.1)"),
    ]
    assert ("target", "written as `s`") in rules[2]
    assert ("duration", "written as `n`") in rules[2]
