"""The AC/DC recipe of the SparseML page and the four lines beside it: the same sparsity in every epoch."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import dsd_lang
from dsd_lang.base.units import exact
from dsd_lang.plan import Plan

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "how-to" / "from-sparseml.md").read_text(encoding="utf-8")


def recipe() -> dict[str, Any]:
    """The page's recipe with ACDCPruningModifier; each modifier as a mapping with its class under `class`."""
    yaml = pytest.importorskip("yaml", reason="needs PyYAML, which the extras `dev` and `docs` bring")

    class Loader(yaml.SafeLoader):  # type: ignore[misc, name-defined]
        pass

    Loader.add_multi_constructor(
        "!", lambda loader, name, node: {"class": name, **loader.construct_mapping(node, deep=True)}
    )
    [text] = [text for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "ACDCPruningModifier" in text]
    loaded: dict[str, Any] = yaml.load(text, Loader)
    return loaded


def sparsity_of_recipe(modifier: dict[str, Any], epoch: int) -> Fraction | None:
    """What a modifier holds in an epoch, None where it does not act."""
    start, end = modifier["start_epoch"], modifier["end_epoch"]
    if not start <= epoch < end:
        return None
    if modifier["class"] != "ACDCPruningModifier":
        return Fraction(str(modifier["final_sparsity"]))
    length = modifier["update_frequency"]
    is_dense = math.floor((epoch - start) / length) % 2 == 0 and end - length > epoch
    return Fraction(0) if is_dense else Fraction(str(modifier["compression_sparsity"]))


def of_recipe(epochs: int) -> list[Fraction]:
    modifiers = recipe()["pruning_modifiers"]
    held = [[sparsity_of_recipe(modifier, epoch) for modifier in modifiers] for epoch in range(epochs)]
    return [max((share for share in shares if share is not None), default=Fraction(0)) for shares in held]


def of_plan(plan: Plan) -> list[Fraction]:
    shares = []
    for phase in plan.phases:
        pruned = exact(phase.target.pruned or "0") if phase.target is not None else Fraction(0)
        shares += [pruned] * int(exact(phase.duration.value))
    return shares


def schedule() -> str:
    [text] = re.findall(r'```dsd title="acdc.dsd"\n(.*?)```', PAGE, re.DOTALL)
    return text


def test_the_schedule_has_four_lines() -> None:
    assert len(schedule().splitlines()) == 4


def test_both_prune_as_much_in_every_epoch() -> None:
    [length] = [item["end_epoch"] for item in recipe()["training_modifiers"] if item["class"] == "EpochRangeModifier"]
    plan = of_plan(dsd_lang.compile(schedule()))
    assert plan == of_recipe(length)
    assert len(plan) == 100
    assert [epoch for epoch in range(1, 100) if plan[epoch] > plan[epoch - 1]] == [10, 20, 30, 40, 50, 60, 70, 85]


def test_it_is_the_schedule_that_the_repository_ships_but_for_the_layers() -> None:
    shipped = dsd_lang.compile_file(REPOSITORY / "schedules" / "acdc.dsd")
    assert dsd_lang.compile(schedule().replace(" layers=conv,fc", "")).hash == shipped.hash


def test_the_layers_are_all_convolutions_and_the_last_layer() -> None:
    from dsd_lang.base.layers import match, parse_selector
    from dsd_runtime.models.catalogue import inventory

    layers = inventory("resnet50")
    assert layers is not None
    assert len(match(parse_selector("conv"), layers)) == 53
    assert len(match(parse_selector("fc"), layers)) == 1
