"""The cost of a plan as the plan alone tells it: totals, weights by density, and arms measured by a baseline."""

from __future__ import annotations

from fractions import Fraction

import pytest

import dsd_lang
from dsd_lang.plan.cost import arms, budget, density_by_phase, first_phase_multiple, times


@pytest.mark.parametrize(
    ("text", "epochs", "weighted"),
    [
        ("dense 10ep", 10, 10),
        ("sparse 50% 10ep", 10, 5),
        ("sparse 2:4 10ep", 10, 5),
        ("sparse 1:4 10ep", 10, Fraction(5, 2)),
        ("sparse 0->80% ramp=cubic 10ep", 10, 4),
        ("sparse 0->80% ramp=linear 10ep", 10, 6),
        ("sparse 20%->80% ramp=linear 10ep", 10, 5),
        ("sparse 50% 10ep; sparse held", 20, 10),
        ("sparse 0->80% 10ep; sparse held", 20, 6),
        ("sparse 50% 10ep; sparse 20% of=remaining", 20, 9),
        ("sparse 0->80% 10ep; sparse 50% of=remaining", 20, 5),
        ("sparse 50% 10ep; sparse held; sparse 20% of=remaining", 30, 14),
        ("sparse 50% 10ep; dense; sparse 20% of=remaining", 30, 23),
    ],
)
def test_a_phase_costs_the_share_that_it_keeps(text: str, epochs: int, weighted: Fraction) -> None:
    assert budget(dsd_lang.compile(text)) == (epochs, 0, weighted, 0, True)


def test_epochs_and_updates_are_summed_apart() -> None:
    plan = dsd_lang.compile("sparse 50% 10ep; dense 5ep; sparse 50% 100it; dense 30it")
    assert budget(plan) == (15, 130, 10, 80, True)


@pytest.mark.parametrize(
    "text",
    [
        "sparse 50% layers=fc 1ep lr=1; sparse 20% of=remaining layers=conv",
        "sparse 50% layers=fc 1ep lr=1; sparse held; sparse 20% of=remaining layers=conv",
        "sparse 50% 1ep lr=1; sparse 20% of=remaining except=fc",
        "sparse [fc: 50%] 1ep lr=1",
    ],
)
def test_a_share_that_depends_on_the_model_is_not_guessed(text: str) -> None:
    plan = dsd_lang.compile(text)
    assert density_by_phase(plan)[plan.phases[-1].id] == (None, None)
    assert not budget(plan).is_complete


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fork { a: dense 10ep; b: dense 20ep; baseline: dense 5ep }", {"a": (2, "baseline"), "b": (4, "baseline")}),
        ("fork { a: dense 5it; baseline: dense 20it }", {"a": (Fraction(1, 4), "baseline")}),
        ("dense 5ep; fork { a: dense 10ep; baseline: dense 5ep }", {"a": (Fraction(3, 2), "baseline")}),
        ("fork seeds=3 { a: dense 10ep; b: dense 5ep }\ncompare a vs b on=test.err", {"a": (2, "b")}),
        ("fork { a: dense 10ep; b: dense 5ep }", {}),
        # no ratio: other units, a mixture of units, a baseline of no length
        ("fork { a: dense 10it; baseline: dense 5ep }", {}),
        ("fork { a: dense 10ep; baseline: dense 5it }", {}),
        ("dense 5ep; fork { a: dense 10it; baseline: dense 5it }", {}),
        ("fork { a: { dense 10ep; dense 1it }  baseline: dense 5ep }", {}),
        ("fork { a: dense 10ep; baseline: { dense 5ep; dense 1it } }", {}),
        ("fork { a: dense 10ep; baseline: dense 0ep }", {}),
    ],
)
def test_arms_are_measured_by_the_baseline_or_by_what_they_are_compared_with(
    text: str, expected: dict[str, tuple[Fraction, str]]
) -> None:
    assert {arm.name: (arm.multiple, arm.baseline) for arm in arms(dsd_lang.compile(text))} == expected


@pytest.mark.parametrize(
    ("text", "multiple"),
    [
        ("dense 50ep lr=1; sparse 50%; dense; repeat", 5),
        ("dense 20ep lr=1; sparse 50% 10ep", Fraction(3, 2)),
        ("dense 5ep lr=1", None),
        ("dense 5ep lr=1; fork { a: dense 5ep }", None),
        ("sparse 50% 5ep lr=1; dense", None),
        ("dense 5ep lr=1; dense 5it", None),
        ("dense 0ep lr=1; dense 5ep", None),
    ],
)
def test_the_multiple_of_the_first_phase(text: str, multiple: Fraction | None) -> None:
    assert first_phase_multiple(dsd_lang.compile(text)) == multiple


def test_multiples_have_three_figures() -> None:
    assert [times(Fraction(*pair)) for pair in ((5, 3), (1, 3), (5001, 1))] == ["1.67", "0.333", "5001"]
