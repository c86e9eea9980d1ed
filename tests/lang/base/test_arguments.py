"""The table of arguments: what the language reference lists is there, once, with its default among its options."""

from __future__ import annotations

from dsd_lang.base.arguments import ARGUMENTS, BY_NAME, allowed_at

REFERENCE = [
    "lr",
    "decay",
    "warmup",
    "layers",
    "except",
    "by",
    "scope",
    "alloc",
    "unit",
    "restore",
    "from",
    "clock",
    "state",
    "opt",
    "wd",
    "l1",
    "clip",
    "batch",
    "dropout",
    "update",
    "enforce",
    "distill",
    "calibrate",
    "of",
    "ramp",
    "every",
    "others",
    "min",
    "floor",
]
SETTINGS = ["model", "data", "opt", "lr", "wd", "batch", "decay", "seed", "precision", "noise"]


def test_every_argument_of_the_reference_has_one_row() -> None:
    assert len(BY_NAME) == len(ARGUMENTS)
    assert set(REFERENCE) <= {*allowed_at("dense"), *allowed_at("sparse")}
    assert set(SETTINGS) <= set(allowed_at("set"))
    assert allowed_at("fork") == ("seeds", "rng")
    assert allowed_at("repeat") == ("scale",)
    assert set(allowed_at("compare")) == {"on", "test", "at"}


def test_a_default_that_is_a_word_is_an_option() -> None:
    for row in ARGUMENTS:
        if row.kind in ("choice", "function", "source", "decay") and not row.default.startswith("the model"):
            assert row.option(row.default) is not None, row.name
