"""The JSON forms of a plan's parts as types: the passes produce them and `dsd_lang.plan.parts` reads them.

As types they cost nothing at run time, so the linter can handle a program's phases without loading pydantic.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class LengthData(TypedDict):
    """A plan `Duration`."""

    unit: Literal["ep", "it"]
    value: str


class MilestoneData(TypedDict):
    """A plan `Milestone`."""

    unit: Literal["ratio", "ep", "it"]
    value: str


class DecayData(TypedDict):
    """A plan `Decay`."""

    kind: str
    milestones: NotRequired[tuple[MilestoneData, ...]]
    factor: NotRequired[str]
    floor: NotRequired[str]


class RateGroupData(TypedDict):
    """A plan `RateGroup`."""

    selector: str
    scale: str


class RateData(TypedDict):
    """A plan `LearningRate`."""

    decay: DecayData
    start: NotRequired[str]
    of: NotRequired[str]
    scale: NotRequired[str]
    phase: NotRequired[str]
    warmup: NotRequired[LengthData]
    groups: NotRequired[tuple[RateGroupData, ...]]


class ShareData(TypedDict):
    """A plan `Target` with one number."""

    kind: Literal["fraction", "remaining"]
    pruned: str


class PatternData(TypedDict):
    """A plan `Target` N:M."""

    kind: Literal["nm"]
    n: int
    m: int


class RampData(TypedDict):
    """A plan `Target` that is a ramp."""

    kind: Literal["ramp"]
    start: str
    end: str
    shape: str
    every: LengthData


class HeldData(TypedDict):
    """A plan `Target` that keeps the masks, or takes the zeros of the weights as masks."""

    kind: Literal["held", "current"]


class ItemData(TypedDict):
    """A plan `SelectorTarget`."""

    selector: str
    target: TargetData


class ListData(TypedDict):
    """A plan `Target` for several selectors."""

    kind: Literal["list"]
    items: tuple[ItemData, ...]


TargetData = ShareData | PatternData | RampData | HeldData | ListData


class FunctionData(TypedDict):
    """A plan `Function`."""

    name: str
    arguments: dict[str, str | bool]


class ReferenceData(TypedDict):
    """A plan `ReferenceInfo`."""

    moment: str
    phase: NotRequired[str]
    offset: NotRequired[LengthData]
    file: NotRequired[str]


class SourceData(TypedDict):
    """A plan `Source` or `Restore`."""

    kind: str
    reference: NotRequired[ReferenceData]


class ClockData(TypedDict):
    """A plan `Clock`."""

    kind: str
    reference: NotRequired[ReferenceData]
    start: NotRequired[LengthData]
    length: NotRequired[LengthData]


class TeacherData(TypedDict):
    """A plan `Distillation`."""

    teacher: ReferenceData
    model: NotRequired[str]
    alpha: NotRequired[str]
    temperature: NotRequired[str]


class CheckpointData(TypedDict):
    """A plan `Checkpoint`."""

    phase: str | None
    moment: str
    offset: NotRequired[LengthData]


class ConditionData(TypedDict):
    """A plan `Condition`; which keys there are depends on ``kind``."""

    kind: Literal["compare", "and", "or", "not", "call", "metric", "number", "arithmetic", "p"]
    op: NotRequired[str]
    name: NotRequired[str]
    value: NotRequired[str]
    percent: NotRequired[bool]
    args: NotRequired[tuple[ConditionData, ...]]
    options: NotRequired[dict[str, str]]
    comparison: NotRequired[int]


class CycleData(TypedDict):
    """A plan `Cycle`."""

    loop: str
    index: int
    is_last_of_cycle: bool
    until: ConditionData


class SpanData(TypedDict):
    """A plan `SpanInfo`."""

    line: int
    column: int
    end_line: int
    end_column: int
    called: NotRequired[str]
    defined: NotRequired[str]


class ComparisonData(TypedDict):
    """A plan `Comparison`."""

    left: str
    right: str
    on: str
    test: NotRequired[str]
    at: NotRequired[str]
    span: SpanData


class ExpectationData(TypedDict):
    """A plan `Expectation`."""

    condition: ConditionData
    text: str
    span: SpanData


AttributeData = str | int | tuple[str, ...] | LengthData | FunctionData | SourceData | ClockData | TeacherData
"""An attribute of a plan `Phase` that is an argument's value."""
