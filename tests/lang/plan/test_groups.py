"""Which weights `lr=[...]` and `freeze=` mean on a model's layers."""

from __future__ import annotations

import time

import pytest

from dsd_lang.base.layers import LayerInfo, WeightInfo, parse_selector, trained_together, with_inferred_roles
from dsd_lang.plan.groups import always_unreached, frozen_weights, group_weights, why_nothing_is_trained


def _layer(name: str, kind: str, *weights: WeightInfo) -> LayerInfo:
    return LayerInfo(name, kind, weights)


def _with_bias(name: str, kind: str, shape: tuple[int, ...], **options: object) -> LayerInfo:
    return _layer(name, kind, WeightInfo(f"{name}.weight", shape, **options), WeightInfo(f"{name}.bias", shape[:1]))


LAYERS = with_inferred_roles(
    (
        _layer("words", "embed", WeightInfo("words.weight", (9, 4))),
        _with_bias("stem", "conv", (8, 3, 3, 3)),
        _with_bias("stem_norm", "norm", (8,)),
        _with_bias("body.fc", "fc", (4, 8)),
        _layer(
            "body.rnn",
            "lstm",
            WeightInfo("body.rnn.weight_ih", (16, 4), "ih"),
            WeightInfo("body.rnn.weight_hh", (16, 4), "hh"),
            WeightInfo("body.rnn.bias_ih", (16,)),
        ),
        _with_bias("head", "fc", (9, 4), tied_to="words.weight"),
    )
)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("embed", "words.weight"),
        ("conv", "stem.weight stem.bias"),
        ("norm", "stem_norm.weight stem_norm.bias"),
        ("fc", "body.fc.weight body.fc.bias words.weight head.bias"),
        ("output", "words.weight head.bias"),
        ("lstm", "body.rnn.weight_ih body.rnn.weight_hh body.rnn.bias_ih"),
        ("lstm.hh", "body.rnn.weight_hh"),
        ("prunable", "stem.weight stem.bias body.fc.weight body.fc.bias body.rnn.weight_ih body.rnn.weight_hh "
                     "body.rnn.bias_ih"),
        ('"body.*"', "body.fc.weight body.fc.bias body.rnn.weight_ih body.rnn.weight_hh body.rnn.bias_ih"),
        ('"head"', "words.weight head.bias"),
        ('"head.bias"', "head.bias"),
        ("/bias/", "stem.bias stem_norm.bias body.fc.bias body.rnn.bias_ih head.bias"),
        ("gru", ""),
    ],
)  # fmt: skip
def test_a_layer_is_trained_as_a_whole(selector: str, expected: str) -> None:
    layers = LAYERS
    if selector == "prunable":  # a first layer that is a convolution is not prunable
        layers = with_inferred_roles((_with_bias("first", "fc", (2, 2)), *LAYERS))
        expected = f"first.weight first.bias {expected}"
    found = {weight.name for weight in trained_together(parse_selector(selector), layers)}
    assert found == set(expected.split())


def test_all_is_every_weight() -> None:
    every = {weight.first_name for layer in LAYERS for weight in layer.weights}
    assert {weight.name for weight in trained_together(parse_selector("all"), LAYERS)} == every


def test_the_first_item_counts() -> None:
    found = group_weights(["embed", "lstm.hh", "lstm", '"head.weight"', "gru"], LAYERS)
    assert found.items == {
        "words.weight": 0, "body.rnn.weight_hh": 1, "body.rnn.weight_ih": 2, "body.rnn.bias_ih": 2,
    }  # fmt: skip
    assert found.unreached == (3,)
    assert [str(selector) for selector in found.missing] == ["gru"]


@pytest.mark.parametrize(
    ("selectors", "unreached"),
    [
        ("embed all", ()),
        ("all norm", (1,)),
        ('all "x"', (1,)),
        ('"x" fc "x"', (2,)),
        ("conv first_conv fc output", (1,)),
        ("lstm.hh lstm lstm.ih", (2,)),
    ],
)
def test_what_no_model_reaches(selectors: str, unreached: tuple[int, ...]) -> None:
    assert always_unreached(selectors.split()) == unreached


def test_a_list_of_thousands_of_items_takes_no_time() -> None:
    started = time.perf_counter()
    always_unreached([f'"layer{index}"' for index in range(20_000)])
    assert time.perf_counter() - started < 2


def test_a_freeze_of_everything_that_is_trained_is_told() -> None:
    assert frozen_weights(["embed", "gru"], LAYERS)[0] == {"words.weight"}
    assert why_nothing_is_trained(["fc", "conv", "lstm"], LAYERS) is None
    every = why_nothing_is_trained(["fc", "conv", "lstm", "norm"], LAYERS)
    assert every is not None
    assert "leaves no weight that is trained" in every[0]
    assert "this model has: embed (1)" in every[1]
    fixed = _layer("fixed", "fc", WeightInfo("fixed.weight", (2, 2), is_trainable=False))
    assert why_nothing_is_trained(["norm"], (_with_bias("n", "norm", (2,)), fixed)) is not None
    assert why_nothing_is_trained(["fc"], None) is None
    assert why_nothing_is_trained(["all"], None) is not None
