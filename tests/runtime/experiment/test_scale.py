"""`--scale X` multiplies whatever is a length, in epochs or updates, and nothing else."""

from __future__ import annotations

import pytest

import dsd_lang
from dsd_lang.plan import Plan
from dsd_lang.plan.scaling import scaled_plan

from .conftest import Run

TEXT = """a: dense 20it lr=0.1 warmup=4it decay=step(8it,50%,3ep,by=0.5)
b: sparse [fc: 0->50%, conv: 30%] ramp=linear every=6it 4ep from=@a.10it until plateau(val.loss, patience=4)
dense 2.5ep lr=0.2 decay=cosine floor=0.02 batch=8"""


def _lengths(plan: Plan) -> list[tuple[str, str]]:
    return [(phase.duration.value, phase.duration.unit) for phase in plan.phases]


def test_every_length_is_scaled_and_no_other_number() -> None:
    plan, half = dsd_lang.compile(TEXT), scaled_plan(dsd_lang.compile(TEXT), "0.5")
    assert _lengths(half) == [("10", "it"), ("2", "ep"), ("1.25", "ep")]
    first, second, third = half.phases
    assert first.lr.warmup is not None
    assert (first.lr.warmup.value, first.lr.warmup.unit) == ("2", "it")
    assert [(point.value, point.unit) for point in first.lr.decay.milestones] == [
        ("4", "it"), (plan.phases[0].lr.decay.milestones[1].value, "ratio"), ("1.5", "ep")
    ]  # fmt: skip
    assert first.lr.decay.factor == "0.5"
    assert second.target is not None
    ramp = second.target.items[0].target
    assert ramp.every is not None
    assert (ramp.every.value, ramp.start, ramp.end) == ("3", "0", "0.5")
    assert second.from_.reference is not None
    assert second.from_.reference.offset is not None
    assert second.from_.reference.offset.value == "5"
    assert [point.offset.value for point in half.checkpoints if point.offset is not None] == ["5"]
    assert second.until == plan.phases[1].until
    assert (third.lr.start, third.lr.decay, third.batch) == ("0.2", plan.phases[2].lr.decay, 8)


def test_other_scales_and_their_hashes() -> None:
    plan = dsd_lang.compile(TEXT)
    assert scaled_plan(plan, "1") == plan
    assert _lengths(scaled_plan(plan, "3")) == [("60", "it"), ("12", "ep"), ("7.5", "ep")]
    assert scaled_plan(plan, "0.5").hash != plan.hash == plan.with_hash().hash
    assert scaled_plan(plan, "0.5").hash == scaled_plan(plan, "0.5").with_hash().hash


@pytest.mark.parametrize("scale", ["0.5", "2"])
def test_as_many_updates_are_trained(dsd_run: Run, scale: str) -> None:
    outcome = dsd_run("dense 20it lr=0.05\nsparse 50% 1ep batch=60", "--scale", scale)
    assert outcome.code == 0
    updates = [int(next((outcome.folder / "checkpoints" / phase["node"]).glob("end-*")).name[4:])
               for phase in outcome.result["phases"]]  # fmt: skip
    assert updates == ([10, 10] if scale == "0.5" else [40, 42])
