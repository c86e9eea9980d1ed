"""The JSON shapes that the passes fill in are those that the plan's models read."""

from __future__ import annotations

import pytest

from dsd_lang.plan import parts, shapes

MODELS = {
    "LengthData": [parts.Duration],
    "MilestoneData": [parts.Milestone],
    "DecayData": [parts.Decay],
    "RateData": [parts.LearningRate],
    "ItemData": [parts.SelectorTarget],
    "RateGroupData": [parts.RateGroup],
    "FunctionData": [parts.Function],
    "ReferenceData": [parts.ReferenceInfo],
    "SourceData": [parts.Source, parts.Restore],
    "ClockData": [parts.Clock],
    "TeacherData": [parts.Distillation],
    "CheckpointData": [parts.Checkpoint],
    "ConditionData": [parts.Condition],
    "CycleData": [parts.Cycle],
    "SpanData": [parts.SpanInfo],
    "ComparisonData": [parts.Comparison],
    "ExpectationData": [parts.Expectation],
}
TARGETS = ("ShareData", "PatternData", "RampData", "HeldData", "ListData")


@pytest.mark.parametrize("name", MODELS)
def test_a_shape_has_the_keys_of_its_part(name: str) -> None:
    for model in MODELS[name]:
        assert set(getattr(shapes, name).__annotations__) == set(model.model_fields)


def test_the_shapes_of_targets_have_the_keys_of_a_target_together() -> None:
    keys = {key for name in TARGETS for key in getattr(shapes, name).__annotations__}
    assert keys == set(parts.Target.model_fields)


def test_every_shape_is_of_some_part() -> None:
    written = {name for name, value in vars(shapes).items() if hasattr(value, "__total__")}
    assert written == {*MODELS, *TARGETS}
