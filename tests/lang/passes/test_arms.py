"""Arms of sweeps and seeds of branches, by name."""

from __future__ import annotations

import pytest

import dsd_lang
from dsd_lang.analysis import analyse
from dsd_lang.base.errors import DsdError

GRID = "dense 4ep lr=0.1\ngrid: sweep s in 25%, 50% { sparse s; S: dense }\n"
SEEDS = "dense 4ep lr=0.1\nfork seeds=3 { dsd: { sparse 50%; dense }  no: dense 8ep }\n"


def test_paths() -> None:
    assert dsd_lang.compile(GRID).branches == ("grid[25%]", "grid[50%]")
    text = "dense 4ep lr=0.1\ngrid: sweep s in 25%, w in 0, 1e-4 { sparse s wd=w; dense }"
    assert dsd_lang.compile(text).branches == ("grid[s=25%,w=0]", "grid[s=25%,w=1e-4]")
    rows = "dense 4ep lr=0.1\ngrid: sweep (s, r) in (25%, 1e-3), (50%, 1e-4) { sparse s lr=r; dense }"
    assert dsd_lang.compile(rows).branches == ("grid[s=25%,r=1e-3]", "grid[s=50%,r=1e-4]")


@pytest.mark.parametrize("name", ["grid[25%]", "grid[0.25]", "grid[s=25%]", "grid[ s = 25% ]"])
def test_an_arm_has_several_spellings(name: str) -> None:
    plan = dsd_lang.compile(f"{GRID}compare {name} vs grid[50%] on=test.err\nexpect {name}.test.err < 3")
    assert (plan.comparisons[0].left, plan.comparisons[0].right) == ("grid[25%]", "grid[50%]")
    assert plan.branch(name).hash == plan.branch("grid[25%]").hash
    referring = dsd_lang.compile(f"{GRID}dense from=@{name}.S.end")
    assert [(one.phase, one.moment) for one in referring.checkpoints] == [("p2", "end")]


def test_all_arms_of_a_sweep_are_compared_with_the_first() -> None:
    plan = dsd_lang.compile(
        "dense 4ep lr=0.1\ngrid: sweep s in 10%..40% by 10% { sparse s; dense }\ncompare grid on=test.err"
    )
    assert [(one.left, one.right) for one in plan.comparisons] == [
        ("grid[10%]", f"grid[{share}%]") for share in (20, 30, 40)
    ]


def test_one_seed_of_a_branch() -> None:
    plan = dsd_lang.compile(f"{SEEDS}dense from=@dsd[seed=2].end")
    assert [plan.phase(one.phase or "").path for one in plan.checkpoints] == ["dsd.seed2"]
    assert plan.branch("dsd[seed=2]").hash == plan.branch("dsd.seed2").hash
    with pytest.raises(DsdError, match="no branch"):
        plan.branch("dsd[seed=7]")


@pytest.mark.parametrize(
    ("text", "arms"),
    [
        ("let t = 25%\ndense from=@grid[t].end", ["grid[25%]"]),
        ("for x in 25%, 50% { dense from=@grid[s=x].S.end }", ["grid[25%]", "grid[50%]"]),
        ("for x in 25%..50% by 25% { dense from=@grid[x].end }", ["grid[25%]", "grid[50%]"]),
        ("def f(t) { dense from=@grid[t].end }\nf(50%)", ["grid[50%]"]),
        ("for x in 50% { let it_was = @grid[x].end\nfor x in 25% { dense from=it_was } }", ["grid[50%]"]),
    ],
    ids=["let", "for", "range", "parameter", "bound-where-it-is-written"],
)
def test_names_in_the_brackets_of_a_reference(text: str, arms: list[str]) -> None:
    plan = dsd_lang.compile(f"{GRID}{text}")
    assert [plan.phase(one.phase or "").path for one in plan.checkpoints] == arms


def test_names_in_the_brackets_of_comparisons_and_expectations() -> None:
    loop = "for x in 25%, 50% { compare grid[x] vs no on=test.err\nexpect grid[ x ].test.err < 3 }"
    text = f"{GRID}fork {{ no: dense 8ep }}\n{loop}"
    plan = dsd_lang.compile(text)
    assert [one.left for one in plan.comparisons] == ["grid[25%]", "grid[50%]"]
    assert [one.text for one in plan.expectations] == ["grid[25%].test.err < 3", "grid[50%].test.err < 3"]
    assert "DSD904" not in [
        one.code for one in analyse(f"let t = 25%\n{GRID}compare grid[t] vs grid[50%] on=test.err").diagnostics
    ]
    seeds = dsd_lang.compile(f"{SEEDS}for i in 0, 2 {{ dense from=@dsd[seed=i].end }}")
    assert [seeds.phase(one.phase or "").path for one in seeds.checkpoints] == ["dsd.seed0", "dsd.seed2"]


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (f"{GRID}compare grid[60%] vs grid[25%] on=test.err", "DSD203", None),
        (f"{GRID}dense from=@grid[60%].end", "DSD203", "`grid` has no arm `grid[60%]`"),
        (f"{GRID}for x in 60% {{ dense from=@grid[x].end }}", "DSD203", "`grid` has no arm `grid[60%]`"),
        (f"{GRID}dense from=@grid[1/0].end", "DSD203", "`grid` has no arm `grid[1/0]`"),
        (f"{GRID}compare gird on=test.err", "DSD203", "`gird` is not the label of a sweep with several arms"),
        (f"{GRID}grid: sweep s in 5%, 6% {{ sparse s; dense }}", "DSD204", "the label `grid` is taken"),
        ("dense 4ep lr=0.1\nfork { a: dense  b: dense }\nfork { a: dense }", "DSD204", "the label `a` is taken"),
        (f"{GRID}expect p(grid on=test.err) < 0.05", "DSD101", None),
    ],
)
def test_mistakes(text: str, code: str, message: str | None) -> None:
    found = [(item.code, item.message) for item in analyse(text).errors]
    assert [one for one in found if one[0] == code], found
    assert message is None or (code, message) in found
