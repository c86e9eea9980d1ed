"""The one call a session makes: targets, scopes and lists of them."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_runtime.masks import Held, NofM, PerSelector, Pruned, Ramp, Remaining, choose_masks

HALF, FIFTH = Fraction(1, 2), Fraction(1, 5)


@pytest.fixture
def weights() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "conv.weight": torch.randn(8, 4, 3, 3, generator=generator),
        "fc.weight": torch.randn(10, 33, generator=generator) * 3,
        "head.weight": torch.randn(3, 10, generator=generator),
    }


def test_each_layer_keeps_its_exact_share(weights: dict[str, Tensor]) -> None:
    chosen = choose_masks(weights=weights, target=Pruned(Fraction("0.3")))
    assert chosen.alive_counts == {"conv.weight": 202, "fc.weight": 231, "head.weight": 21}
    assert list(chosen.masks) == list(weights)
    assert chosen.kept_by_minimum == ()
    for name, mask in chosen.masks.items():
        assert weights[name][mask].abs().min() >= weights[name][~mask].abs().max()


def test_global_scope_is_one_competition(weights: dict[str, Tensor]) -> None:
    chosen = choose_masks(weights=weights, target=Pruned(HALF), scope="global")
    assert sum(chosen.alive_counts.values()) == 324
    kept = torch.cat([weights[n][m].abs() for n, m in chosen.masks.items()])
    lost = torch.cat([weights[n][~m].abs() for n, m in chosen.masks.items()])
    assert kept.min() >= lost.max()


def test_order_largest_and_random(weights: dict[str, Tensor]) -> None:
    largest = choose_masks(weights=weights, target=Pruned(HALF), arguments={"order": "largest"})
    mask = largest.masks["fc.weight"]
    assert weights["fc.weight"][mask].abs().max() <= weights["fc.weight"][~mask].abs().min()
    first = choose_masks(weights=weights, target=Pruned(HALF), by="random", key=5)
    alone = choose_masks(weights={"head.weight": weights["head.weight"]}, target=Pruned(HALF), by="random", key=5)
    assert torch.equal(first.masks["head.weight"], alone.masks["head.weight"])
    assert first.alive_counts == largest.alive_counts
    other = choose_masks(weights=weights, target=Pruned(HALF), by="random", key=6)
    assert not torch.equal(first.masks["fc.weight"], other.masks["fc.weight"])


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("by", ["magnitude", "random"])
def test_remaining_shrinks_the_alive_in_whole_weights(weights: dict[str, Tensor], scope: str, by: str) -> None:
    alive: dict[str, Tensor] = {}
    total = sum(w.numel() for w in weights.values())
    for round_number in range(8):
        chosen = choose_masks(
            weights=weights, target=Remaining(FIFTH), alive=alive, scope=scope, by=by, key=round_number
        )
        for name, mask in chosen.masks.items():
            before = alive.get(name, torch.ones_like(mask))
            assert not (mask & ~before).any()
            if scope == "layer":
                count = int(before.sum())
                assert chosen.alive_counts[name] == count - round(FIFTH * count)
        if scope == "global":
            assert sum(chosen.alive_counts.values()) == total - round(FIFTH * total)
            total = sum(chosen.alive_counts.values())
        alive = chosen.masks


def test_remaining_lets_pruned_weights_be_anything() -> None:
    weights = {"w": torch.tensor([float("nan"), 3.0, 2.0, 1.0])}
    alive = {"w": torch.tensor([False, True, True, True])}
    chosen = choose_masks(weights=weights, target=Remaining(Fraction(1, 3)), alive=alive)
    assert chosen.masks["w"].tolist() == [False, True, True, False]


def test_a_list_of_targets(weights: dict[str, Tensor]) -> None:
    alive = {"head.weight": torch.arange(30).view(3, 10) < 4}
    target = PerSelector((NofM(2, 4), Pruned(Fraction(9, 10)), Held()))
    selectors = {"conv.weight": 0, "fc.weight": 1, "head.weight": 2}
    chosen = choose_masks(weights=weights, target=target, alive=alive, selectors=selectors)
    assert chosen.alive_counts == {"conv.weight": 144, "fc.weight": 33, "head.weight": 4}
    assert torch.equal(chosen.masks["head.weight"], alive["head.weight"])
    with pytest.raises(ValueError, match="selectors"):
        choose_masks(weights=weights, target=target)


def test_a_list_in_global_scope_competes_by_target(weights: dict[str, Tensor]) -> None:
    selectors = {"conv.weight": 0, "fc.weight": 0, "head.weight": 1}
    target = PerSelector((Pruned(HALF), Pruned(Fraction(1, 10))))
    chosen = choose_masks(weights=weights, target=target, scope="global", selectors=selectors)
    assert chosen.alive_counts["conv.weight"] + chosen.alive_counts["fc.weight"] == 309
    assert chosen.alive_counts["head.weight"] == 27


def test_one_weight_of_a_tensor_stays_and_is_reported() -> None:
    weights = {"large": torch.randn(100) + 10, "small": torch.tensor([0.1, 0.3, 0.2])}
    layer = choose_masks(weights=weights, target=Pruned(Fraction(1)))
    assert layer.alive_counts == {"large": 1, "small": 1}
    assert layer.kept_by_minimum == ("large", "small")
    shared = choose_masks(weights=weights, target=Pruned(HALF), scope="global")
    assert shared.alive_counts == {"large": 50, "small": 1}  # 103 - round_half_even(51.5) = 51, kept exactly
    assert shared.masks["small"].tolist() == [False, True, False]
    assert shared.kept_by_minimum == ("small",)
    emptied = choose_masks(weights=weights, target=Pruned(HALF), scope="global", minimum=0)
    assert emptied.alive_counts == {"large": 51, "small": 0}
    assert emptied.kept_by_minimum == ()
    for scope in ("layer", "global"):
        nothing = choose_masks(weights=weights, target=Pruned(Fraction(1)), scope=scope, minimum=0)
        assert nothing.alive_counts == {"large": 0, "small": 0}


@pytest.mark.parametrize("target", [Pruned(HALF), Remaining(HALF), NofM(2, 4)])
@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_named(
    weights: dict[str, Tensor], target: object, scope: str, bad: float
) -> None:
    weights = {"conv.weight": weights["conv.weight"], "fc.weight": torch.randn(10, 32)}
    weights["fc.weight"][0, 3] = bad
    with pytest.raises(DsdError, match=rf"`fc.weight` has the weight {bad} at index 3 at update 300"):
        choose_masks(weights=weights, target=target, scope=scope, update=300)


def test_weights_are_not_touched_and_parameters_are_welcome(weights: dict[str, Tensor]) -> None:
    parameters = {name: torch.nn.Parameter(w.clone()) for name, w in weights.items()}
    chosen = choose_masks(weights=parameters, target=Pruned(HALF))
    assert all(torch.equal(parameters[name], weights[name]) for name in weights)
    assert all(not mask.requires_grad for mask in chosen.masks.values())


def test_a_ramp_is_resolved_before() -> None:
    with pytest.raises(ValueError, match="get its target"):
        choose_masks(weights={"w": torch.randn(3)}, target=Ramp(Fraction(0), HALF))


def test_nothing_selected_is_nothing_chosen() -> None:
    assert choose_masks(weights={}, target=Pruned(HALF), scope="global").masks == {}
