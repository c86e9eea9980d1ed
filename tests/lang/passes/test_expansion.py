"""Pair fixtures of the passes: a schedule and the same written out, phase by phase."""

from __future__ import annotations

import pytest

import dsd_lang
from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Plan

PAIRS = [
    # tail repeat
    (
        "dense 9ep lr=1; sparse 50%; dense; repeat",
        "dense 9ep lr=1; sparse 50%; dense; sparse 50% lr=0.1; dense lr=0.01",
    ),
    (
        "dense 9ep lr=1; sparse 50%; dense; repeat 2 sparse 25%",
        "dense 9ep lr=1; sparse 50%; dense lr=0.1; sparse 25% lr=0.1; dense lr=1e-2; sparse 25% lr=0.01; dense lr=1e-3",
    ),
    (
        "dense 9ep lr=1; sparse 50% 3ep layers=fc; dense 2ep; repeat sparse layers=conv then dense lr=prev scale=0.5",
        "dense 9ep lr=1; sparse 50% 3ep layers=fc; dense 2ep; sparse 50% layers=conv 3ep lr=0.5; dense 2ep lr=0.5",
    ),
    (
        "dense 9ep; sparse 50% lr=prev/2; dense; repeat scale=1",
        "dense 9ep; sparse 50% lr=prev/2; dense; sparse 50% lr=base/2; dense lr=base/20",
    ),
    (
        "dense 9ep lr=1; sparse 0->80% every=5it 90it; dense; repeat sparse every=7it",
        "dense 9ep lr=1; sparse 0->80% every=5it 90it; dense; sparse 0->80% every=7it lr=0.1; dense lr=0.01",
    ),
    (
        "dense 9ep lr=1; sparse 50%; dense; repeat; repeat",
        "dense 9ep lr=1; sparse 50%; dense; repeat 2",
    ),
    (
        "dense 9ep lr=1; sparse 50%; dense; fork { a: { repeat } }",
        "dense 9ep lr=1; sparse 50%; dense; fork { a: { sparse 50% lr=0.1; dense } }",
    ),
    # loops
    ("dense 9ep lr=1; repeat 2 { dense lr=prev/2 }", "dense 9ep lr=1; dense lr=0.5; dense lr=0.25"),
    ("for x in 10%, 2*10% { sparse x 4ep }", "sparse 10% 4ep; sparse 20% 4ep"),
    ("for n in 1ep, 20it { dense n }", "dense 1ep; dense 20it"),
    ("for a in 10%, 20% { for b in a { sparse b 4ep } }", "sparse 10% 4ep; sparse 20% 4ep"),
    ("for s in magnitude, random { sparse 50% by=s 4ep }", "sparse 50% by=magnitude 4ep; sparse 50% by=random 4ep"),
    ("repeat 3 as i { sparse (i+1)*10% 4ep }", "sparse 10% 4ep; sparse 20% 4ep; sparse 30% 4ep"),
    # forks
    (
        "dense 9ep; sweep s in 10%, 20% { sparse s }",
        "dense 9ep; fork { a: sparse 10%; b: sparse 20% }",
    ),
    (
        "sweep s in 10%, 20%, w in 0, 1e-4 { sparse s 4ep wd=w }",
        "fork { a: sparse 10% 4ep wd=0; b: sparse 10% 4ep wd=1e-4; c: sparse 20% 4ep wd=0; d: sparse 20% 4ep wd=1e-4 }",
    ),
    # inheritance
    (
        "dense 9ep lr=1; sparse 50%; dense; dense",
        "dense 9ep lr=1; sparse 50% 9ep lr=1; dense 9ep lr=0.1; dense 9ep lr=0.1",
    ),
    (
        "dense 9ep; sparse 50% layers=fc except=output; dense; sparse 30%; dense; sparse 30% layers=conv",
        "dense 9ep; sparse 50% layers=fc except=output; dense; sparse 30% layers=fc except=output; dense\n"
        "sparse 30% layers=conv",
    ),
    ("dense 9ep; sparse 50%", "dense 9ep; sparse 50% layers=prunable"),
    # settings
    (
        "set wd=1e-4 decay=cosine\ndense 9ep; sparse 50% wd=0",
        "dense 9ep wd=1e-4 decay=cosine; sparse 50% wd=0 decay=cosine",
    ),
    ("set restore=saved\ndense 9ep; sparse 50%; dense; dense", "dense 9ep; sparse 50%; dense restore=saved; dense"),
    ("set scope=global by=random\ndense 9ep; sparse 50%", "dense 9ep; sparse 50% scope=global by=random"),
    ("set lr=0.1\ndense 9ep; dense", "dense 9ep lr=0.1; dense lr=0.1"),
    ("set layers=fc\nsparse 50% 9ep", "sparse 50% 9ep layers=fc"),
    # values
    ("sparse 0->0.9 1ep", "sparse 0%->90% ramp=cubic every=100it 1ep"),
    ("dense 9ep clip=100", "dense 9ep clip=norm(100)"),
    ("sparse 50% by=magnitude(order=smallest) 9ep", "sparse 50% 9ep"),
    ("dense 9ep decay=step(33%, by=0.1)", "dense 9ep decay=step(0.33)"),
    ("dense 9ep decay=cosine floor=1e-5", "dense 9ep decay=cosine(floor=1e-5)"),
]


@pytest.mark.parametrize(("text", "written_out"), PAIRS)
def test_expands_to(text: str, written_out: str) -> None:
    assert dsd_lang.compile(text).hash == dsd_lang.compile(written_out).hash


def test_a_sweeps_branches_are_named_by_their_source_text() -> None:
    plan = dsd_lang.compile("sweep s in 25%, 0.5, w in 0, 1e-4 { sparse s 4ep wd=w }")
    assert plan.branches == ("s=25%,w=0", "s=25%,w=1e-4", "s=0.5,w=0", "s=0.5,w=1e-4")
    assert plan.phases[0].variables == {"s": "0.25", "w": "0"}


def test_nested_forks_make_dotted_paths() -> None:
    plan = dsd_lang.compile(
        "fork seeds=2 { a: { dense 1ep; fork { x: dense; y: dense }; dense } }\ncompare a.x vs a.y on=val.err"
    )
    assert plan.branches == ("a.seed0", "a.seed0.x", "a.seed0.y", "a.seed1", "a.seed1.x", "a.seed1.y")
    assert [phase.seed_index for phase in plan.phases] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert (plan.comparisons[0].left, plan.comparisons[0].right) == ("a.x", "a.y")


def test_a_compare_inside_a_sweep_is_made_for_each_value() -> None:
    plan = dsd_lang.compile(
        "sweep s in 25%, 50% { fork { a: sparse s 4ep; b: dense 4ep }\n compare a vs b on=test.err }"
    )
    assert [(item.left, item.right) for item in plan.comparisons] == [("s=25%.a", "s=25%.b"), ("s=50%.a", "s=50%.b")]


@pytest.mark.parametrize(
    ("text", "metric"),
    [
        ("dense 5ep; expect val.err < 5", "val.err"),
        ("dense 5ep; expect sparsity < 0.5", "sparsity"),
        ("fork { a: dense 5ep; b: dense 5ep }\nexpect b.test.err < 5", "b.test.err"),
        ("fork { a: { dense 5ep; fork { x: dense } } }\nexpect a.x.test.err < 5", "a.x.test.err"),
    ],
)
def test_an_expectation_names_the_arm_whose_metric_it_is(text: str, metric: str) -> None:
    [expectation] = dsd_lang.compile(text).expectations
    assert expectation.condition.args[0].name == metric


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dense 4ep; sweep s in 25%, 50% { sparse s 4ep; expect test.err < 5 }",
         [("s=25%: test.err < 5", "s=25%.test.err"), ("s=50%: test.err < 5", "s=50%.test.err")]),
        ("fork seeds=2 { a: { dense 5ep; expect test.err < 5 }; b: dense 5ep }",
         [("a: test.err < 5", "a.test.err")]),
        ("fork { a: { dense 5ep; fork { b: { dense 5ep; expect sparsity < 1 } } } }",
         [("a.b: sparsity < 1", "a.b.sparsity")]),
    ],
)  # fmt: skip
def test_in_a_branch_a_metric_alone_is_the_branch_s_own(text: str, expected: list[tuple[str, str]]) -> None:
    found = dsd_lang.compile(text).expectations
    assert [(one.text, one.condition.args[0].name) for one in found] == expected


def test_a_p_value_is_that_of_a_comparison_which_is_made_once() -> None:
    fork = "fork seeds=2 { a: dense 5ep; b: dense 5ep }\n"
    plan = dsd_lang.compile(
        f"{fork}compare a vs b on=test.err; expect p(a vs b on=test.err) < p(b vs a on=val.err test=welch)"
    )
    assert [(item.left, item.right, item.on, item.test) for item in plan.comparisons] == [
        ("a", "b", "test.err", "paired"),
        ("b", "a", "val.err", "welch"),
    ]
    assert [side.comparison for side in plan.expectations[0].condition.args] == [0, 1]
    text = plan.to_json()
    assert Plan.from_json(text) == plan
    with pytest.raises(DsdError, match="asks for comparison 7 of 2"):
        Plan.from_json(text.replace('"comparison": 1', '"comparison": 7'))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("set layers=fc\nsparse 50% 9ep lr=1", "layers from `set`"),
        ("set layers=fc\nsparse 50% 9ep lr=1 layers=conv", "given"),
        ("sparse 50% 9ep lr=1 layers=fc; sparse 20% 9ep lr=1", "layers inherited"),
        ("sparse 50% 9ep lr=1 layers=fc; sparse 20% 9ep lr=1 layers=conv", "given"),
    ],
)
def test_layers_have_a_reason_only_where_they_are_not_written(text: str, why: str) -> None:
    assert dsd_lang.compile(text).phases[-1].why == why


def test_until_on_a_tail_repeat() -> None:
    plan = dsd_lang.compile("dense 9ep lr=1; sparse 50%; dense; repeat 3 until gain(val.err) < 0.1")
    assert [[(cycle.index, cycle.is_last_of_cycle) for cycle in phase.cycles] for phase in plan.phases[3:5]] == [
        [(0, False)], [(0, True)],
    ]  # fmt: skip
    assert plan.phases[8].cycles[0].index == 2
    assert plan.phases[1].cycles == ()
