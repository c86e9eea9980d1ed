"""Four lines of schedule against the recipe its authors published for AC/DC on ResNet-50, 90% and 100 epochs.

That recipe lists two pruners and two "recyclers", each with `[start, frequency, end)` in epochs and with the same 54
modules named one by one. Here are its numbers, and what the schedule resolves to.
"""

from __future__ import annotations

from fractions import Fraction

import pytest

import dsd_lang
from dsd_lang.base.layers import parse_selector, select
from dsd_lang.base.units import exact
from dsd_lang.plan import Plan
from dsd_lang.plan.layer_counts import count_weights

SCHEDULE = """\
set opt=sgd(momentum=0.875) lr=0.256 wd=3.051757813e-5 decay=cosine clock=global layers=all
dense 10ep warmup=5ep; repeat 6 { sparse 90% scope=global 5ep; dense 5ep lr=prev state=reset }
sparse 90% scope=global 5ep; dense 10ep lr=prev state=reset
sparse 90% scope=global 15ep  # dsd: ignore[DSD303] the sparse network is what is wanted
"""
NUM_EPOCHS = 100
PRUNED_AT = [*range(10, 71, 10), *range(85, 100, 20)]  # two pruners: [10, 10, 71) and [85, 20, 100), 90% each time
RESTORED_AT = [*range(15, 66, 10), *range(75, 86, 20)]  # two recyclers: [15, 10, 66) and [75, 20, 86)
BLOCKS = {"layer1": 3, "layer2": 4, "layer3": 6, "layer4": 3}


def listed_modules() -> list[str]:
    """The modules under each of its four lists: the first convolution, those of the 16 blocks, the classifier."""
    blocks = [f"{stage}.{block}" for stage, count in BLOCKS.items() for block in range(count)]
    convolutions = [f"{block}.conv{number}" for block in blocks for number in (1, 2, 3)]
    return ["conv1", *convolutions, *(f"{stage}.0.downsample.0" for stage in BLOCKS), "fc"]


def intervals(plan: Plan) -> list[tuple[str, int, int]]:
    """Mode, first epoch and end of every phase."""
    found, start = [], Fraction(0)
    for phase in plan.phases:
        end = start + phase.duration.length.value
        found.append((phase.mode, int(start), int(end)))
        start = end
    return found


def recipe_intervals() -> list[tuple[str, int, int]]:
    """The same of the recipe: it prunes and restores at the beginning of the epochs it names."""
    changes = sorted([(epoch, "sparse") for epoch in PRUNED_AT] + [(epoch, "dense") for epoch in RESTORED_AT])
    starts = [(0, "dense"), *changes]
    ends = [*(epoch for epoch, _ in changes), NUM_EPOCHS]
    return [(mode, start, end) for (start, mode), end in zip(starts, ends, strict=True)]


@pytest.fixture
def plan() -> Plan:
    return dsd_lang.compile(SCHEDULE)


def test_the_phases_are_the_recipes(plan: Plan) -> None:
    assert intervals(plan) == recipe_intervals() == [
        ("dense", 0, 10),
        *((mode, start + offset, start + offset + 5)
          for start in range(10, 70, 10) for mode, offset in (("sparse", 0), ("dense", 5))),
        ("sparse", 70, 75),
        ("dense", 75, 85),
        ("sparse", 85, 100),
    ]  # fmt: skip


def test_what_each_phase_does_is_the_recipes(plan: Plan) -> None:
    for phase in plan.phases:
        assert (phase.opt.name, phase.opt.arguments) == ("sgd", {"momentum": "0.875"})
        assert exact(phase.wd or "") == exact("0.00003051757813")
        assert (phase.lr.start, phase.lr.decay.kind, phase.clock.kind) == ("0.256", "cosine", "global")
        if phase.mode == "sparse":
            assert phase.target is not None
            assert (phase.target.pruned, phase.scope, phase.by.name) == ("0.9", "global", "magnitude")
        elif phase.parent is not None:
            assert (phase.restore.kind, phase.state) == ("zero", "reset")
    assert [str(phase.lr.warmup.length) for phase in plan.phases if phase.lr.warmup] == ["5ep"]


def test_the_layers_are_the_recipes(plan: Plan) -> None:
    catalogue = pytest.importorskip("dsd_runtime.models.catalogue")
    layers = catalogue.inventory("resnet50")
    weights, missing = select([parse_selector(text) for text in plan.phases[1].layers], [], layers)
    assert not missing
    names = [weight.name.removesuffix(".weight") for weight in weights]
    assert sorted(names) == sorted(listed_modules())
    kinds = {layer.name: layer.kind for layer in layers}
    assert (len(names), sum(kinds[name] == "conv" for name in names)) == (54, 53)


@pytest.mark.parametrize(
    ("selector", "num_layers", "num_weights", "alive"),
    [
        ("all", 54, 25_502_912, 2_550_291),  # the recipe's: 53 convolutions and the classifier
        ("prunable", 53, 25_493_504, 2_549_350),  # the default: without the first convolution
        ("conv except=first_conv", 52, 23_445_504, 2_344_550),  # without the classifier too
    ],
)
def test_the_weights_are_counted(selector: str, num_layers: int, num_weights: int, alive: int) -> None:
    catalogue = pytest.importorskip("dsd_runtime.models.catalogue")
    plan = dsd_lang.compile(SCHEDULE.replace(" layers=all", "").replace("sparse 90%", f"sparse 90% layers={selector}"))
    counts = count_weights(plan, catalogue.inventory("resnet50"))
    sparse = [counts[phase.id] for phase in plan.phases if phase.mode == "sparse"]
    assert len(sparse) == 8
    assert {(one.num_layers, one.num_weights, one.alive_at_end) for one in sparse} == {(num_layers, num_weights, alive)}


def test_the_shipped_schedule_has_the_same_phases_and_the_default_layers(plan: Plan, repository) -> None:
    shipped = dsd_lang.compile_file(repository / "schedules" / "acdc.dsd")
    assert intervals(shipped) == intervals(plan)
    assert {phase.layers for phase in shipped.phases if phase.mode == "sparse"} == {("prunable",)}


def test_four_lines() -> None:
    assert len(SCHEDULE.splitlines()) == 4
