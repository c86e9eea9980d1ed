"""Exact counts of a plan on a model's layers, and the costs that follow from them."""

from __future__ import annotations

from fractions import Fraction

import pytest

import dsd_lang
from dsd_lang.base.layers import LayerInfo, WeightInfo, with_inferred_roles
from dsd_lang.plan.cost import budget, ramp_mean
from dsd_lang.plan.layer_counts import PhaseCounts, count_weights, densities
from dsd_lang.views.counts import counts_table

LAYERS = with_inferred_roles(
    [
        LayerInfo("a", "conv", (WeightInfo("a.weight", (5, 1, 2, 1)), WeightInfo("a.bias", (5,)))),
        LayerInfo("b", "conv", (WeightInfo("b.weight", (5, 4, 5, 1)), WeightInfo("b.bias", (5,)))),
        LayerInfo("c", "fc", (WeightInfo("c.weight", (5, 11)),)),
        LayerInfo("d", "fc", (WeightInfo("d.weight", (3, 1)),)),
    ]
)


def counts(text: str) -> list[PhaseCounts]:
    plan = dsd_lang.compile(text)
    found = count_weights(plan, LAYERS)
    return [found[phase.id] for phase in plan.phases if phase.mode == "sparse"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sparse 50% 1ep", (3, 158, 78, 78)),  # 50 + 27 + 1: of 27.5 and 1.5 pruned, halves go to even
        ("sparse 50% scope=global 1ep", (3, 158, 79, 79)),
        ("sparse 50% layers=all 1ep", (4, 168, 83, 83)),
        ("sparse 50% layers=fc except=output 1ep", (1, 55, 27, 27)),
        ("sparse 99% layers=fc 1ep", (2, 58, 2, 2)),  # at least one weight of each tensor
        ("sparse 99% layers=fc min=0 1ep", (2, 58, 1, 1)),
        ("sparse 2:4 layers=b 1ep".replace("layers=b", 'layers="b"'), (1, 100, 50, 50)),
        ("sparse 2:4 layers=fc 1ep", (2, 58, None, None)),  # 11 inputs are no multiple of 4
        ("sparse [output: 0%, fc: 20%] 1ep", (2, 58, 47, 47)),
        ("sparse 0->90% layers=conv except=first_conv 1ep", (1, 100, 100, 10)),
        ("sparse 50% scope=row 1ep", (3, 158, 78, 78)),  # of 20 inputs 10 go, of 11 the even 6, and of 1 none
        ("sparse 50% scope=row unit=block(1, 5) layers=conv except=first_conv 1ep", (1, 100, 50, 50)),
        ("sparse 50% scope=group 1ep", (3, 158, 79, 79)),
        ("sparse 40% unit=filter layers=conv except=first_conv 1ep", (1, 100, 60, 60)),
        ("sparse 50% unit=channel layers=conv except=first_conv 1ep", (1, 100, 50, 50)),
        (
            "sparse 50% unit=block(5, 4) layers=all except=output 1ep",
            (3, 165, None, None),
        ),  # the last ones are narrower
        ("sparse 50% alloc=erk 1ep", (3, 158, 79, 79)),
        ("sparse 20->60% alloc=er scope=row layers=fc 1ep".replace("20-", "20%-"), (2, 58, 46, 23)),
    ],
)
def test_one_phase(text: str, expected: tuple[int | None, ...]) -> None:
    assert counts(text)[-1] == expected


@pytest.mark.parametrize(
    ("text", "alive"),
    [
        ("sparse 20% of=remaining layers=conv except=first_conv 1ep; repeat 2 { sparse 20% of=remaining }",
         [80, 64, 51]),
        ("sparse 50% 1ep; sparse held; dense; sparse 10%", [78, 78, 142]),
        # how a global selection divides over tensors is the run's to know, its sum is not
        ("sparse 50% scope=global 1ep; sparse 20% of=remaining scope=global; sparse 20% of=remaining", [79, 63, None]),
        ("sparse 50% layers=fc 1ep; sparse 20% layers=conv except=first_conv others=hold", [28, 108]),
        ("sparse 50% layers=fc 1ep; sparse 20% layers=conv except=first_conv", [28, 80]),
        ("sparse 50% scope=global 1ep; sparse 20% layers=fc others=hold", [79, None]),
        ("sparse 40% unit=filter layers=conv except=first_conv 1ep; sparse 34% of=remaining unit=filter; "
         "sparse 10% of=remaining", [60, 40, 36]),
        ("sparse 50% scope=row 1ep; sparse 50% of=remaining scope=row; sparse 50% of=remaining scope=global",
         [78, 43, 21]),
        ("sparse 50% layers=fc 1ep; sparse 50% of=remaining scope=row", [28, None]),
        ("sparse 50% layers=fc 1ep; sparse 50% of=remaining unit=row", [28, None]),
    ],
)  # fmt: skip
def test_what_follows_what(text: str, alive: list[int | None]) -> None:
    assert [one.alive_at_end for one in counts(text)] == alive


def test_a_list_of_targets_has_a_weight_with_a_model() -> None:
    plan = dsd_lang.compile("dense 10ep lr=1; sparse [output: 0%, fc: 20%] 10ep; dense")
    assert not budget(plan).is_complete
    total = budget(plan, densities(plan, count_weights(plan, LAYERS)))
    assert (total.is_complete, total.weighted_epochs) == (True, 20 + 10 * Fraction(47, 58))


def test_the_table() -> None:
    plan = dsd_lang.compile("dense 1ep lr=1; sparse 0->90% layers=conv except=first_conv; sparse 2:4 layers=fc")
    text = counts_table(plan, count_weights(plan, LAYERS), LAYERS, model="tiny")
    assert text.splitlines() == [
        "weights of tiny (178 parameters), in each sparse phase:",
        "#  layers  weights  pruned   alive      density",
        "-  ------  -------  -------  ---------  -----------",
        "1  1       100      0 -> 90  100 -> 10  100% -> 10%",
        "2  2       58       ?        ?          ?",
        "? depends on the values of the weights, known only in the run",
    ]
    dense = dsd_lang.compile("dense 1ep lr=1")
    assert "no phase prunes" in counts_table(dense, count_weights(dense, LAYERS), LAYERS)


@pytest.mark.parametrize(
    ("phase", "during", "at_end"),
    [
        ("sparse 50%", Fraction(78, 158), Fraction(78, 158)),
        ("sparse 0->90% ramp=linear layers=conv except=first_conv", Fraction(55, 100), Fraction(10, 100)),
        ("sparse 0->90% ramp=cubic layers=conv except=first_conv", Fraction(325, 1000), Fraction(10, 100)),
        ("sparse [conv: 0->50%, fc: 0->50%] ramp=linear", Fraction(168 + 83, 2 * 168), Fraction(83, 168)),
        ("sparse [conv: 0->50%, fc: 50%] ramp=linear", Fraction(138 + 83, 2 * 168), Fraction(83, 168)),
        ("sparse [conv: 0->50%, fc: 0->50%] ramp=exp", None, Fraction(83, 168)),  # no closed form for the sum
        ("sparse 2:4 layers=fc", None, None),
    ],
)
def test_the_share_alive_during_a_phase_and_at_its_end(
    phase: str, during: Fraction | None, at_end: Fraction | None
) -> None:
    plan = dsd_lang.compile(f"dense 1ep lr=1; {phase} 1000it; dense")
    found = densities(plan, count_weights(plan, LAYERS))
    assert found == {"p0": (1, 1), "p1": (during, at_end), "p2": (1, 1)}


@pytest.mark.parametrize("shape", ["cubic", "linear", "cosine", "exp"])
def test_the_mean_of_a_ramp(shape: str) -> None:
    from dsd_lang.plan import Duration, Target
    from dsd_lang.views.timeline.shares import ramp_share

    target = Target(kind="ramp", start="0.1", end="0.9", shape=shape, every=Duration(unit="it", value="1"))
    steps = 20_000
    mean = sum(1 - ramp_share(target, (step + 0.5) / steps) for step in range(steps)) / steps
    assert float(ramp_mean(Fraction(9, 10), Fraction(1, 10), shape)) == pytest.approx(mean, rel=1e-6)
