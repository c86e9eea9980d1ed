"""What a model cannot do, told of a whole plan before it is trained, and the same by the linter."""

from __future__ import annotations

import time

import pytest

import dsd_lang
from dsd_lang.analysis import analyse
from dsd_lang.base.errors import DsdError
from dsd_lang.base.layers import (
    LayerInfo,
    Selector,
    WeightInfo,
    are_disjoint,
    covers,
    parse_selector,
    with_inferred_roles,
)
from dsd_lang.lint.checking import check_text
from dsd_lang.plan.division import divide
from dsd_lang.plan.fitting import misfits, pattern_misfit, require_fit, unreachable_items
from dsd_lang.plan.layer_counts import count_weights

LAYERS = with_inferred_roles(
    (
        LayerInfo("c1", "conv", (WeightInfo("c1.weight", (8, 3, 3, 3)),)),
        LayerInfo("c2", "conv", (WeightInfo("c2.weight", (16, 8, 3, 3)),)),
        LayerInfo(
            "up", "conv", (WeightInfo("up.weight", (12, 5, 2, 2), input_dim=0, input_blocks=2),)
        ),  # transposed, two groups of 6 inputs
        LayerInfo("fc", "fc", (WeightInfo("fc.weight", (10, 16)), WeightInfo("fc.bias", (10,)))),
    )
)


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        ("sparse 2:4", ["`2:4` does not fit `up.weight`: it has 6 inputs, not a multiple of 4"]),
        ("sparse 1:2", []),
        ('sparse 1:8 except="up"', []),
        (
            "sparse 2:4 layers=conv,first_conv",
            ["`2:4` does not fit `c1.weight`, `up.weight`: they have 3 and 6 inputs"],
        ),
        ('sparse 2:4 layers="fc.bias"', ["it has no input dimension"]),
        ("sparse [fc: 2:4, conv: 50%]", []),
        ("sparse [fc: 3:5, conv: 50%]", ["`3:5` does not fit `fc.weight`: it has 16 inputs"]),
        ("sparse [fc: 50%, output: 10%]", ["`output` is never reached: `fc` before it"]),
        ("sparse [conv: 50%] layers=fc", ["`conv` is not among `layers=fc`"]),
        ('sparse [conv: 50%, "up": 10%]', ['`"up"` is never reached: `conv` before it']),
        ("sparse 50%", []),
    ],
)
def test_a_plan_and_the_linter_tell_the_same(phase: str, expected: list[str]) -> None:
    text = f"dense 1ep lr=0.1; {phase} 1ep; dense"
    found = analyse(text, layers=LAYERS).errors
    assert len(found) == len(expected)
    assert all(part in item.message for part, item in zip(expected, found, strict=True))
    if expected and "among" in expected[0]:
        return  # the linter knows without a model: there is no plan
    plan = dsd_lang.compile(text)
    assert [(item.misfit.code, item.misfit.message) for item in misfits(plan, LAYERS)] == [
        (item.code, item.message) for item in found
    ]
    if expected:
        with pytest.raises(DsdError, match=r"DSD\d{3}: .*\(line 1\)"):
            require_fit(plan, LAYERS)


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        ("sparse [fc: 1:2, conv: 50%] unit=filter", "`unit=filter` is not defined for a pattern `N:M`"),
        ("sparse 50% scope=row unit=block(2, 1)", "`unit=block(2, 1)` is not defined with `scope=row`"),
        ("sparse 50% scope=row unit=row", "one unit is the whole row"),
        ("sparse 50% scope=row unit=block(1, 2)", None),
        ("sparse [fc: 50%, conv: 50%] scope=global unit=channel", None),
        ("sparse 1:2 unit=weight scope=row", None),
        ("sparse held unit=filter", None),
    ],
)
def test_a_unit_that_is_not_defined_is_told_by_both(phase: str, expected: str | None) -> None:
    text = f"dense 1ep lr=0.1; sparse 10% 1ep; {phase} 1ep; dense"
    found = [item for item in check_text(text, selected=frozenset(("DSD413",))) if item.code == "DSD413"]
    plan = dsd_lang.compile(text)
    assert [(one.code, one.message) for one in found] == [
        (one.misfit.code, one.misfit.message) for one in misfits(plan, LAYERS)
    ]
    assert [expected in one.message for one in found] == ([True] if expected else [])


def test_a_unit_may_be_inherited() -> None:
    text = "set unit=filter scope=row\ndense 1ep lr=0.1\nsparse 2:4 1ep\nsparse 50% unit=weight\nsparse 50%\ndense"
    found = [item for item in check_text(text, selected=frozenset(("DSD413",))) if item.code == "DSD413"]
    assert [(item.span.line, item.span.column) for item in found] == [(3, 1), (5, 1)]


def test_a_pattern_that_fits_is_counted_exactly() -> None:
    plan = dsd_lang.compile(
        'dense 1ep lr=0.1; sparse 3:6 layers="up",fc 1ep; sparse 3:6 layers="up"; sparse 1:4 layers=fc'
    )
    found = [count_weights(plan, LAYERS)[phase.id] for phase in plan.phases[2:]]
    assert [(counts.num_weights, counts.alive_at_end) for counts in found] == [(240, 120), (160, 40)]


def test_the_advice_names_patterns_that_fit_and_what_to_leave_out() -> None:
    weights = [WeightInfo("a.weight", (2, 12)), WeightInfo("b.weight", (2, 30))]
    misfit = pattern_misfit(2, 4, weights)
    assert misfit is not None
    assert misfit.help == '`N:2` or `N:3` or `N:6` fits all of them; or leave it out with `except="b"`'
    odd = pattern_misfit(1, 2, [WeightInfo("a.weight", (2, 7))])
    assert odd is not None
    assert odd.help == "`N:7` fits all of them"


@pytest.mark.parametrize(
    ("num_inputs", "message", "help"),
    [
        ((1,), "does not fit `w0.weight`: it has 1 input, not", "no pattern fits all of these weights"),
        ((3, 5, 6), "`w0.weight`, `w1.weight`, `w2.weight`: they have 3, 5 and 6 inputs", "no pattern"),
        ((3, 3, 8), "`w0.weight`, `w1.weight`: they have 3 inputs", 'leave them out with `except="w0","w1"`'),
        ((3, 5, 7, 8), "`w2.weight`: they have 3, 5 and 7 inputs", 'with `except="w0","w1","w2"`'),
        ((3, 5, 7, 3, 8), "`w2.weight` and 1 other: they have 3, 5 and 7 inputs", "leave them out with `except=`"),
        ((3, 5, 7, 3, 5), "`w2.weight` and 2 others: they have", "no pattern fits all of these weights"),
    ],
)
def test_a_misfit_names_three_weights_and_counts_the_others(num_inputs, message: str, help: str) -> None:
    misfit = pattern_misfit(2, 4, [WeightInfo(f"w{i}.weight", (2, size)) for i, size in enumerate(num_inputs)])
    assert misfit is not None
    assert message in misfit.message
    assert help in misfit.help


@pytest.mark.parametrize(
    ("target", "item"),
    [
        ("[conv: 50%, first_conv: 10%]", "first_conv"),
        ("[all: 50%, conv: 10%]", "conv"),
        ('["head": 50%, "head": 10%]', '"head"'),
        ("[fc: 50%, output: 10%]", None),
        ('[fc: 50%, "head": 10%]', None),
        ("[first_conv: 50%, conv: 10%]", None),
    ],
)
def test_without_a_model_only_what_holds_for_every_model_is_told(target: str, item: str | None) -> None:
    found = analyse(f"dense 1ep lr=0.1; sparse {target}; dense").errors
    assert [one.message.split(" is never reached")[0] for one in found] == ([f"`{item}`"] if item else [])


def test_a_ramp_with_one_selection_is_told_where_only_the_run_knows_the_epoch() -> None:
    plan = dsd_lang.compile("dense 1ep lr=0.1; sparse 0->90% 1ep; sparse [fc: 20%, conv: 0->50%] every=1ep 40it; dense")
    found = misfits(plan, LAYERS, updates_per_epoch=lambda phase: 90)
    assert [(item.phase.id, item.misfit.code) for item in found] == [("p1", "DSD404"), ("p2", "DSD404")]
    assert [item.phase.id for item in misfits(plan, LAYERS, updates_per_epoch=lambda phase: 30)] == ["p1"]


def test_first_match_wins_and_the_rest_is_left_over() -> None:
    division = divide(("conv", "fc"), (), ('"c2"', "conv"), LAYERS)
    assert [[weight.name for weight in part.weights] for part in division.parts] == [
        ["c2.weight"],
        ["c1.weight", "up.weight"],
    ]
    assert [weight.name for weight in division.left_over] == ["fc.weight"]
    only_listed = divide((), (), ('"fc.bias"',), LAYERS)
    assert [[weight.name for weight in part.weights] for part in only_listed.parts] == [["fc.bias"]]
    assert only_listed.left_over == ()
    assert divide(("gru",), (), ("fc", "lstm"), LAYERS).missing == (Selector("word", "gru"), Selector("word", "lstm"))


@pytest.mark.parametrize(
    ("one", "other", "disjoint", "covered"),
    [
        ("conv", "fc", True, False), ("conv", "conv", False, True), ("all", "fc", False, True),
        ("all", "norm", False, False), ("prunable", "fc", False, True), ("prunable", "conv", False, False),
        ("lstm", "lstm.hh", False, True), ("lstm.ih", "lstm.hh", True, False), ("birnn", "lstm", False, False),
        ("fc", "output", False, False), ("fc", '"head"', False, False), ("prunable", "embed", True, False),
        ('"head"', '"head"', False, True), ("conv", "first_conv", False, True),
    ],
)  # fmt: skip
def test_what_two_selectors_have_in_common_in_any_model(one: str, other: str, disjoint: bool, covered: bool) -> None:
    first, second = parse_selector(one), parse_selector(other)
    assert (are_disjoint(first, second), covers(first, second)) == (disjoint, covered)


def test_a_list_of_thousands_of_items_is_looked_through_in_linear_time() -> None:
    items = [f'"layer{number}"' for number in range(20_000)]
    start = time.process_time()
    assert not list(unreachable_items((), (), items, None))
    [twice] = unreachable_items((), (), [*items, '"layer0"'], None)
    assert '`"layer0"` is never reached' in twice.message
    assert time.process_time() - start < 4  # 0.2 s; each against all before it, minutes
