"""The difference of two plans: aligned phases, moves, renamed branches, references, settings, what a run loses."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dsd_lang
from dsd_lang.views.diff import PlanDiff, diff_plans
from dsd_lang.views.diff.run_effect import NodeState, run_effect
from dsd_lang.views.diff.text import DiffText, diff_data
from dsd_lang.views.diff.totals import totals

BASE = "dense 50ep lr=8e-4; sparse 50% 40ep; dense 30ep; sparse 25% 20ep; dense 10ep"


def diff(old: str, new: str) -> PlanDiff:
    return diff_plans(dsd_lang.compile(old, source="old"), dsd_lang.compile(new, source="new"))


def kinds(found: PlanDiff) -> list[tuple[str, int | None, int | None]]:
    return [(change.kind, change.old, change.new) for change in found.phases if change.kind != "same"]


def page(found: PlanDiff, width: int = 80) -> str:
    return DiffText(width=width).text(found, totals(found.old, found.new))


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (BASE, []),
        (BASE.replace("sparse 50%", "sparse 60%"), [("changed", 1, 1)]),
        (BASE.replace("sparse 50%", "warm: dense 5ep; sparse 50%"), [("added", None, 1)]),
        (BASE.replace("dense 30ep; sparse 25% 20ep; dense 10ep", "dense 30ep"),
         [("removed", 3, None), ("removed", 4, None)]),
        ("dense 50ep lr=8e-4; sparse 25% 20ep lr=8e-5; dense 30ep lr=8e-5; sparse 50% 40ep lr=8e-4; dense 10ep lr=8e-6",
         [("moved", 3, 1), ("moved", 1, 3)]),
    ],
)  # fmt: skip
def test_phases_are_aligned(new: str, expected) -> None:
    found = diff(BASE, new)
    assert kinds(found) == expected
    assert found.is_same is (not expected)


def test_a_derived_change_is_marked() -> None:
    found = diff("dense 50ep lr=1; sparse 50%; dense", "dense 40ep lr=1; sparse 50%; dense")
    assert [[(one.name, one.is_derived) for one in change.attributes] for change in found.phases] == [
        [("length", False)], [("length", True)], [("length", True)],
    ]  # fmt: skip
    assert "length: 50ep -> 40ep*" in page(found)


def test_another_spelling_is_the_same() -> None:
    found = diff(
        "dense 50ep lr=8e-4; sparse 0.5 layers=fc,conv", "D: dense lr=0.0008 50ep\nsparse 50% layers=conv,fc 50ep"
    )
    assert found.is_same
    assert [tuple(label) for label in found.labels] == [("0", None, "D")]
    assert "the same schedule" in page(found)


def test_a_renamed_branch_is_renamed() -> None:
    old = "dense 9ep lr=1; fork seeds=3 { a: { sparse 50% 5ep; dense 5ep }  b: dense 5ep }"
    found = diff(old, old.replace("b:", "control:"))
    assert found.is_same
    assert found.renamed == tuple((f"b.seed{i}", f"control.seed{i}") for i in range(3))
    assert page(found).count("renamed: branch `b` -> `control`") == 1


def test_a_new_branch_is_added_and_its_seeds_are_one_entry() -> None:
    old = "dense 9ep lr=1; fork seeds=3 { a: { sparse 50% 5ep; dense 5ep } }"
    found = diff(old, old.replace("dense 5ep }", "dense 5ep }  c: sparse 20% 5ep"))
    assert [kind for kind, _, _ in kinds(found)] == ["added"] * 3
    assert "+ 7, 8, 9  c: sparse 20% 5ep, lr 1" in page(found)


def test_a_fork_that_moves_is_a_change() -> None:
    found = diff(
        "a: dense 9ep lr=1; fork { x: sparse 50% 5ep lr=1 }; dense 5ep lr=1",
        "a: dense 9ep lr=1; dense 5ep lr=1; fork { x: sparse 50% 5ep lr=1 }",
    )
    changed = [change for change in found.phases if change.kind == "changed"]
    assert [[tuple(one)[:3] for one in change.attributes] for change in changed] == [[("after", "phase 0", "phase 1")]]


def test_references_follow_their_phases() -> None:
    old = "a: dense 5ep lr=1; sparse 50%; dense restore=@a.end"
    assert kinds(diff(old, "dense 1ep lr=1; " + old)) == [("added", None, 0)]
    found = diff(old, old.replace("a: dense 5ep lr=1;", "dense 1ep lr=1; a: dense 5ep;").replace("@a.end", "@a.start"))
    assert ("restore", "@p1.end", "@p1.start") in [
        tuple(one)[:3] for change in found.phases for one in change.attributes
    ]


def test_settings_claims_and_totals() -> None:
    old = "set wd=1e-4\ndense 5ep lr=1; fork { a: sparse 50% 10ep; b: dense 10ep }\ncompare a vs b on=test.err"
    found = diff(old, old.replace("1e-4", "1e-3").replace("test.err", "val.err") + "\nexpect a.val.err < 5")
    assert not found.is_same
    text = page(found)
    assert "3 phases changed by the settings below alone" in text
    assert "settings: wd: 1e-4 -> 1e-3" in text
    assert "compares: a vs b on test.err: paired at end -> none" in text
    assert "expects: + a.val.err < 5" in text
    assert "total: 25ep\n" in text
    longer = page(diff(BASE, BASE.replace("50ep", "60ep")))
    assert "total: 150ep -> 160ep (+10ep)" in longer
    assert "density-weighted: 125ep -> 135ep (+10ep)" in longer


def test_the_data() -> None:
    found = diff(BASE, BASE.replace("sparse 50%", "sparse 60%") + "; dense 1it")
    data = diff_data(found, totals(found.old, found.new))
    assert (data["same"], data["num_same"]) == (False, 4)
    assert data["phases"] == [
        {"change": "changed", "old": "p1", "new": "p1",
         "attributes": {"pruned": {"old": "50%", "new": "60%", "derived": False}}},
        {"change": "added", "old": None, "new": "p5", "attributes": {}},
    ]  # fmt: skip
    assert data["totals"]["total"] == {"old": "150ep", "new": "150ep + 1it", "change": "+1it"}


def test_ten_thousand_phases_are_quick_and_short() -> None:
    old = "dense 10ep lr=1; repeat 5000 { sparse 50% 5ep; dense 5ep lr=prev }"
    found = diff(old, old.replace("dense 10ep lr=1;", "dense 10ep lr=1; dense 3ep;"))
    assert kinds(found) == [("added", None, 1)]
    other = page(diff(old, old.replace("50%", "60%").replace("dense 5ep", "dense 4ep")))
    assert len(other.splitlines()) < 20


PHASES = st.lists(
    st.sampled_from(
        ["dense 5ep lr=1", "dense 6ep lr=0.5", "sparse 50% 5ep lr=1", "sparse 2:4 5ep lr=1", "sparse held 1it lr=1"]
    ),
    min_size=1, max_size=8,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(PHASES, PHASES)
def test_every_phase_is_accounted_for_once(old: list[str], new: list[str]) -> None:
    found = diff("dense 1ep lr=1; " + "; ".join(old), "dense 1ep lr=1; " + "; ".join(new))
    assert sorted(change.old for change in found.phases if change.old is not None) == list(range(len(old) + 1))
    assert sorted(change.new for change in found.phases if change.new is not None) == list(range(len(new) + 1))
    assert found.is_same is (found.old.hash == found.new.hash)
    for change in found.phases:
        if change.old is not None and change.new is not None:
            assert found.old.phases[change.old].mode == found.new.phases[change.new].mode


def test_what_a_run_loses() -> None:
    found = diff(BASE, BASE.replace("sparse 25%", "sparse 30%"))
    before = {f"p{i}": NodeState("trained", f"k{i}") for i in range(4)} | {"p4": NodeState("to train", "k4")}
    after = {**before, "p3": NodeState("to train", "n3"), "p4": NodeState("to train", "n4")}
    effect = run_effect(found.old, found.new, before, after)
    assert (effect.num_trained, effect.invalidated, effect.kept, effect.to_train) == (4, (3,), (0, 1, 2), (3, 4))
    assert (effect.lost, effect.needed) == ((Fraction(20), Fraction(0)), (Fraction(30), Fraction(0)))
    text = DiffText(width=80).text(found, (), effect, "runs/x")
    assert "in runs/x: 4 phases of the old plan trained" in text
    assert "invalidated: phase 3 of the old plan, 20ep of training as written" in text
    assert "to train: phases 3, 4 of the new plan, 30ep as written" in text


def test_nodes_that_train_the_same_count_once() -> None:
    text = "fork { a: dense 5ep lr=1; b: dense 5ep lr=1 }"
    found = diff(text, text)
    states = {"p0": NodeState("trained", "k"), "p1": NodeState("trained", "k")}
    other = {"p0": NodeState("to train", "n"), "p1": NodeState("skipped", "m")}
    effect = run_effect(found.old, found.new, states, other)
    assert (effect.num_trained, effect.invalidated, effect.to_train) == (1, (0,), (0,))
