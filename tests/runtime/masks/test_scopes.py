"""Scopes, units and allocations: exactly the selection of a slow oracle in plain Python, and cases done by hand."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import slow_selection
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from slow_selection import Weight
from torch import Tensor, nn

from dsd_lang.base.arguments import BY_NAME
from dsd_lang.base.errors import DsdError
from dsd_lang.base.layers import LayerInfo, WeightInfo
from dsd_lang.plan.allocation import ALLOCATIONS
from dsd_lang.plan.unit_counts import Rule, Standing, count_kept
from dsd_lang.plan.weight_units import WEIGHT, Unit
from dsd_runtime import inventory
from dsd_runtime.masks import InputAxis, NofM, PerSelector, Pruned, Remaining, choose_masks, input_axes
from dsd_runtime.masks.scopes import SCOPES

HALF = Fraction(1, 2)
FORMS: dict[str, tuple[tuple[int, ...], bool, int]] = {
    "conv": ((4, 3, 2, 1), False, 1),
    "grouped": ((6, 2, 1, 2), False, 3),
    "depthwise": ((4, 1, 3), False, 4),
    "turned": ((4, 3, 2), True, 1),
    "turned_in_groups": ((4, 2, 2), True, 2),
    "gates": ((8, 3), False, 1),
    "fc": ((5, 7), False, 1),
    "vector": ((6,), False, 1),
}
AXES = {
    name: InputAxis(0 if is_turned else 1, groups if is_turned else 1, 1 if is_turned else groups)
    for name, (_, is_turned, groups) in FORMS.items()
}
UNITS = (
    WEIGHT,
    Unit("row"),
    Unit("filter"),
    Unit("channel"),
    Unit("block", 2, 3),
    Unit("block", 1, 4),
    Unit("block", 3),
)


def test_the_registries_have_the_words_of_the_language() -> None:
    assert {option.name for option in BY_NAME["scope"].options if option.is_supported} == set(SCOPES)
    assert {option.name for option in BY_NAME["alloc"].options if option.is_supported} == set(ALLOCATIONS)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """A few weights with many ties, and every way to choose of them."""
    names = draw(st.lists(st.sampled_from(sorted(FORMS)), min_size=1, max_size=4, unique=True))
    seed = draw(st.integers(0, 1000))
    generator = torch.Generator().manual_seed(seed)
    weights = {name: torch.randint(-3, 4, FORMS[name][0], generator=generator).float() / 4 for name in names}
    scope = draw(st.sampled_from(["layer", "global", "row", "group"]))
    units = [unit for unit in UNITS if scope != "row" or not (unit.crosses_rows or unit.is_whole_row)]
    alloc = draw(st.sampled_from(["uniform", "er", "erk"] if scope in ("layer", "row") else ["uniform"]))
    return {
        "weights": weights,
        "alive": {name: torch.rand(w.shape, generator=generator) < 0.6 for name, w in weights.items()},
        "is_remaining": draw(st.booleans()),
        "pruned": Fraction(draw(st.integers(0, 20)), 20),
        "scope": scope,
        "alloc": alloc,
        "unit": draw(st.sampled_from(units)),
        "minimum": 0 if alloc != "uniform" else draw(st.integers(0, 2)),
        "groups": {name: name[0] for name in names},
    }


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests())
def test_every_selection_is_that_of_the_oracle(request_: dict[str, Any]) -> None:
    weights, pruned, alive = request_["weights"], request_["pruned"], request_["alive"]
    same = {key: request_[key] for key in ("scope", "alloc", "minimum", "groups")}
    target = Remaining(pruned) if request_["is_remaining"] else Pruned(pruned)
    unit: Unit = request_["unit"]
    chosen = choose_masks(weights=weights, target=target, alive=alive, input_axes=AXES, unit=unit, **same)
    plain = {name: Weight(w.reshape(-1).tolist(), *FORMS[name]) for name, w in weights.items()}
    among = {name: mask.reshape(-1).tolist() for name, mask in alive.items()} if request_["is_remaining"] else None
    how = (unit.name, unit.rows, unit.columns) if unit.name != "weight" else ("block", 1, 1)
    if unit == WEIGHT and any(FORMS[name][1] for name in weights) and request_["scope"] != "row":
        plain = {name: Weight(w.values, (1, len(w.values))) for name, w in plain.items()}  # ties by the flat index
        if request_["alloc"] != "uniform":
            return
    expected = slow_selection.select(plain, pruned, unit=how, alive=among, **same)
    assert {name: mask.reshape(-1).tolist() for name, mask in chosen.masks.items()} == expected
    assert chosen.alive_counts == {name: sum(mask) for name, mask in expected.items()}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests())
def test_the_plan_counts_what_the_masks_keep(request_: dict[str, Any]) -> None:
    """Twice: the second selection among the remaining of the first."""
    weights, scope, unit = request_["weights"], request_["scope"], request_["unit"]
    infos = {
        name: WeightInfo(name, tuple(w.shape), input_dim=AXES[name].dim, input_blocks=AXES[name].blocks,
                         output_blocks=AXES[name].output_blocks)
        for name, w in weights.items()
    }  # fmt: skip
    pools = {"global": [list(infos)], "group": [[n for n in infos if n[0] == g] for g in {n[0]: 0 for n in infos}]}
    lists: list[list[str]] = pools.get(scope, [[name] for name in infos])
    rule = Rule(scope, request_["alloc"], unit, request_["minimum"], request_["pruned"])
    same = {key: request_[key] for key in ("scope", "alloc", "minimum", "groups", "unit")}
    standing = [Standing(tuple(infos[n] for n in names), sum(infos[n].size for n in names), "") for names in lists]
    alive: dict[str, Tensor] = {}
    for target in (Pruned(request_["pruned"]), Remaining(request_["pruned"])):
        chosen = choose_masks(weights=weights, target=target, alive=alive, input_axes=AXES, **same)
        kept = count_kept(rule, standing, is_remaining=isinstance(target, Remaining))
        for names, (count, _) in zip(lists, kept, strict=True):
            assert count in (None, sum(chosen.alive_counts[name] for name in names))
        standing = [Standing(one.weights, *after) for one, after in zip(standing, kept, strict=True)]
        alive = chosen.masks


def test_each_row_keeps_the_same_share() -> None:
    weight = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0], [10.0, 9.0, 9.0, 9.0, 9.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    chosen = choose_masks(weights={"w": weight}, target=Pruned(HALF), scope="row")  # of 2.5 pruned the even 2
    assert chosen.masks["w"].int().tolist() == [[0, 0, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 0, 0]]


def test_a_tensor_whose_rows_keep_nothing_keeps_its_best() -> None:
    weight = torch.tensor([[1.0, 2.0], [4.0, 3.0]])
    chosen = choose_masks(weights={"w": weight}, target=Pruned(Fraction(9, 10)), scope="row")
    assert (chosen.masks["w"].tolist(), chosen.kept_by_minimum) == ([[False, False], [True, False]], ("w",))
    empty = choose_masks(weights={"w": weight}, target=Pruned(Fraction(9, 10)), scope="row", minimum=0)
    assert (empty.alive_counts, empty.kept_by_minimum) == ({"w": 0}, ())


def test_the_filters_with_the_smallest_l1_norm_go() -> None:
    """As `torch.nn.utils.prune.ln_structured` with `n=1` and `dim=0`."""
    from torch.nn.utils import prune

    torch.manual_seed(0)
    ours, theirs = nn.Conv2d(5, 12, 3), nn.Conv2d(5, 12, 3)
    theirs.load_state_dict(ours.state_dict())
    for dim, unit in ((0, Unit("filter")), (1, Unit("channel"))):
        prune.ln_structured(theirs, "weight", amount=0.4, n=1, dim=dim)
        chosen = choose_masks(weights={"w": ours.weight}, target=Pruned(Fraction(2, 5)), unit=unit)
        assert torch.equal(chosen.masks["w"], theirs.weight_mask.bool())
        prune.remove(theirs, "weight")
        theirs.load_state_dict(ours.state_dict())


def test_input_channels_of_grouped_convolutions_are_those_of_the_layer() -> None:
    """What a masked channel holds has no effect on the outputs: the unit is the input channel, in every group."""
    torch.manual_seed(0)
    for layer in (nn.Conv1d(6, 9, 2, groups=3), nn.ConvTranspose1d(6, 9, 2, groups=3), nn.ConvTranspose1d(6, 9, 2)):
        axes = input_axes(inventory(layer))
        chosen = choose_masks(
            weights={"weight": layer.weight}, target=Pruned(Fraction(1, 3)), unit=Unit("channel"), input_axes=axes
        )
        with torch.no_grad():
            layer.weight.mul_(chosen.masks["weight"])
        x = torch.randn(1, 6, 5)
        dead = [i for i in range(6) if torch.equal(layer(x), layer(x * (torch.arange(6) != i)[None, :, None]))]
        assert len(dead) == 2


def test_filters_of_transposed_convolutions_are_their_outputs() -> None:
    torch.manual_seed(0)
    for layer in (nn.ConvTranspose1d(6, 9, 2, groups=3, bias=False), nn.Conv1d(6, 9, 2, groups=3, bias=False)):
        axes = input_axes(inventory(layer))
        chosen = choose_masks(
            weights={"weight": layer.weight}, target=Pruned(Fraction(1, 3)), unit=Unit("filter"), input_axes=axes
        )
        with torch.no_grad():
            layer.weight.mul_(chosen.masks["weight"])
        assert int((layer(torch.randn(1, 6, 5)).abs().sum((0, 2)) == 0).sum()) == 3


def test_blocks_at_the_edges_are_units_of_their_own() -> None:
    weight = torch.ones(5, 5)
    weight[4, 4] = 100.0  # alone in its block
    chosen = choose_masks(weights={"w": weight}, target=Pruned(Fraction(8, 9)), unit=Unit("block", 2, 2))
    assert chosen.masks["w"].nonzero().tolist() == [[4, 4]]


def test_random_units_do_not_depend_on_their_size() -> None:
    """The score of a random unit is one draw: the last block, of one weight, is kept as often as others."""
    kept = [
        bool(choose_masks(weights={"w": torch.ones(1, 9)}, target=Pruned(HALF), unit=Unit("block", 1, 4),
                          by="random", key=key).masks["w"][0, 8])
        for key in range(200)
    ]  # fmt: skip
    assert 40 < sum(kept) < 100  # one of three is kept: 67 are expected


def test_the_largest_go_first_with_order_largest() -> None:
    weight = torch.tensor([[1.0, 1.0], [5.0, 0.0], [2.0, 2.0]])
    chosen = choose_masks(
        weights={"w": weight}, target=Pruned(Fraction(1, 3)), unit=Unit("row"), arguments={"order": "largest"}
    )
    assert chosen.masks["w"].all(1).tolist() == [True, False, True]


def test_a_list_has_units_in_each_of_its_targets() -> None:
    weights = {"a": torch.randn(4, 6), "b": torch.randn(10, 3)}
    target = PerSelector((Pruned(HALF), Pruned(Fraction(1, 5))))
    chosen = choose_masks(weights=weights, target=target, selectors={"a": 0, "b": 1}, unit=Unit("row"), scope="group")
    assert chosen.alive_counts == {"a": 12, "b": 24}


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"target": NofM(2, 4), "unit": Unit("filter")}, "`unit=filter` is not defined for a pattern `N:M`"),
        ({"target": Pruned(HALF), "unit": Unit("row"), "scope": "row"}, "one unit is the whole row"),
        ({"target": Pruned(HALF), "unit": Unit("channel"), "scope": "row"}, "one unit has weights of several rows"),
        ({"target": Pruned(HALF), "unit": Unit("block", 2, 1), "scope": "row"}, r"`unit=block\(2, 1\)`"),
    ],
)
def test_a_unit_that_is_not_defined_is_refused(request_: dict[str, Any], said: str) -> None:
    with pytest.raises(DsdError, match=f"DSD413: .*{said}"):
        choose_masks(weights={"w": torch.randn(4, 8)}, **request_)


@pytest.mark.parametrize(
    "how", [{"scope": "row"}, {"unit": Unit("row")}, {"unit": Unit("channel"), "scope": "global"}, {"alloc": "erk"}]
)
def test_a_weight_that_cannot_be_ranked_is_named(how: dict[str, Any]) -> None:
    weights = {"a": torch.randn(4, 8), "b": torch.randn(3, 5)}
    weights["b"][1, 2] = float("nan")
    with pytest.raises(DsdError, match="`b` has the weight nan at index 7 at update 5"):
        choose_masks(weights=weights, target=Pruned(HALF), update=5, **how)
    pruned = {name: torch.isfinite(weight) for name, weight in weights.items()}
    assert choose_masks(weights=weights, target=Remaining(HALF), alive=pruned, **how).alive_counts["b"] < 15


def test_a_sum_past_the_largest_number_is_named() -> None:
    weight = torch.tensor([[1.0, 1.0], [3e38, 3e38]])
    with pytest.raises(DsdError, match=r"`w` has the weight 3.*e\+38 at index 2"):
        choose_masks(weights={"w": weight}, target=Pruned(HALF), unit=Unit("row"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_number_formats(dtype: torch.dtype) -> None:
    weight = torch.randint(-8, 9, (6, 10), generator=torch.Generator().manual_seed(0)).to(dtype)
    for how in ({"scope": "row"}, {"unit": Unit("row")}, {"unit": Unit("block", 4, 4), "scope": "global"}):
        masks = [
            choose_masks(weights={"w": w}, target=Pruned(HALF), **how).masks["w"] for w in (weight, weight.float())
        ]
        assert torch.equal(*masks)


def test_groups_of_layers() -> None:
    from dsd_lang.plan.division import groups_of

    layers = (
        LayerInfo("a", "conv", (WeightInfo("a.weight", (4, 3, 3, 3)),), roles=("first_conv",)),
        LayerInfo("b", "conv", (WeightInfo("b.weight", (4, 4, 3, 3)),)),
        LayerInfo("c", "lstm", (WeightInfo("c.weight_ih", (8, 3), "ih"), WeightInfo("c.weight_hh", (8, 2), "hh"))),
        LayerInfo("d", "fc", (WeightInfo("d.weight", (4, 4)),), roles=("output",)),
    )
    weights = [weight for layer in layers for weight in layer.weights]
    kinds = {"a.weight": "conv", "b.weight": "conv", "c.weight_ih": "lstm", "c.weight_hh": "lstm", "d.weight": "fc"}
    assert groups_of((), weights, layers) == groups_of(("all",), weights, layers) == kinds
    assert groups_of(("conv", "lstm", "fc"), weights, layers) == kinds
    parted = groups_of(('"[ab]"', "lstm.ih", "lstm.hh", "fc"), weights, layers)
    assert len(set(parted.values())) == 4
    assert parted["a.weight"] == parted["b.weight"]
    assert groups_of(("fc", "conv", "first_conv"), weights[:2], layers) == groups_of(
        ("first_conv", "conv", "fc"), weights[:2], layers
    )
    assert len(set(groups_of(("all", "output"), weights, layers).values())) == 3
