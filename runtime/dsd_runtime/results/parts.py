"""The pydantic models of `results.json`: what a run measured, and what its schedule asked of it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

TestName = Literal["paired", "welch", "student"]
ItemTestName = Literal["mcnemar", "cluster", "bootstrap"]


class ResultPart(BaseModel):
    """A base for all parts: unchangeable, and without fields that this version does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Interval(ResultPart):
    """A 95% confidence interval."""

    low: float
    high: float


class SeedTest(ResultPart):
    """The comparison of two arms over their seeds: is the *recipe* better?

    Differences are left minus right, in the metric's unit. `effect` is d_z for paired seeds, else Hedges' g. Where no
    test is possible, `why_not` says why, and `p` is None.
    """

    test: TestName
    n_left: int
    n_right: int
    mean_left: float | None = None
    mean_right: float | None = None
    deviation_left: float | None = None
    deviation_right: float | None = None
    difference: float | None = None
    interval: Interval | None = None
    effect: float | None = None
    effect_name: Literal["d_z", "Hedges' g"] | None = None
    t: float | None = None
    df: float | None = None
    p: float | None = None
    p_holm: float | None = None
    wins: int | None = None
    pairs: int | None = None
    seeds_needed: int | None = None
    why_not: str | None = None


class ItemTest(ResultPart):
    """The comparison of one pair of models over the same test items: is this *model* better on such items?"""

    test: ItemTestName
    seed: int
    items: int
    units: int
    unit: Literal["samples", "utterances", "speakers", "captions"]
    left: float | None = None
    right: float | None = None
    difference: float | None = None
    interval: Interval | None = None
    p: float | None = None
    left_only: int | None = None
    right_only: int | None = None
    why_not: str | None = None


class ArmCost(ResultPart):
    """What the phases of an arm cost for one seed, its trunk included."""

    epochs: float
    updates: int
    density_weighted_epochs: float
    flops: float | None = None


class ArmValue(ResultPart):
    """The value of an arm for one seed, and the phase it was measured in; `why_not` where there is none."""

    seed: int
    path: str
    phase: str | None = None
    value: float | None = None
    why_not: str | None = None


class ComparedArm(ResultPart):
    """One side of a comparison."""

    name: str
    values: tuple[ArmValue, ...] = ()
    budget: ArmCost | None = None


class ComparisonResult(ResultPart):
    """A `compare`, answered: the two arms, the tests, what qualifies the answer, and the verdict in one sentence."""

    text: str
    on: str
    at: Literal["end", "best"]
    higher_is_better: bool | None
    left: ComparedArm
    right: ComparedArm
    seeds: SeedTest
    items: tuple[ItemTest, ...] = ()
    flags: tuple[str, ...] = ()
    verdict: str


class ExpectationResult(ResultPart):
    """An `expect`, checked: whether it holds, both sides, and by how much it does or does not; None is undecided."""

    text: str
    holds: bool | None
    left: float | None = None
    right: float | None = None
    margin: float | None = None
    verdict: str


class LayerWeights(ResultPart):
    """A weight of a layer: its size, and how many of its values are not pruned."""

    size: int = Field(ge=0)
    alive: int = Field(ge=0)


class MaskOverlap(ResultPart):
    """The weights that two masks keep over those that either keeps, and what random masks of their sizes would share.

    ``phase`` is the sparse phase before this one on the line.
    """

    phase: str
    jaccard: float
    by_chance: float


class WeightGroup(ResultPart):
    """Some weights by value: their number, how many are exactly 0, their mean magnitude, the others in equal bins."""

    weights: int = Field(ge=0)
    zeros: int = Field(ge=0)
    mean_abs: float
    counts: tuple[int, ...]


class WeightHistogram(ResultPart):
    """The weights of a layer (an empty name: of all layers) at a boundary that changes masks, or at a phase's end.

    Pruned are those that the mask of the sparse phase at that boundary prunes. The bins lie between minus and plus
    ``limit``; values beyond are in the outermost ones.
    """

    phase: str
    layer: str
    moment: Literal["before", "after", "end"]
    limit: float = Field(gt=0)
    pruned: WeightGroup
    surviving: WeightGroup


class PhaseResult(ResultPart):
    """One phase of the plan and what became of it."""

    id: str
    parent: str | None = None
    path: str
    label: str | None
    node: str | None
    mode: Literal["dense", "sparse"]
    target: str | None
    seed: int
    variables: dict[str, str] = Field(default_factory=dict)
    length: str
    updates: int | None = None
    epochs: float | None = None
    lr: float | None = None
    sparsity: float | None = None
    state: str
    seconds: float | None = None
    metrics: dict[str, float | None] = Field(default_factory=dict)
    layers: dict[str, LayerWeights] = Field(default_factory=dict)
    entropies: dict[str, float] = Field(default_factory=dict)
    overlap: MaskOverlap | None = None


class MetricRow(ResultPart):
    """One measurement; `epoch` and `update` count within the phase."""

    node: str
    epoch: float
    update: int
    name: str
    value: float | None


class Cost(ResultPart):
    """What the whole run costs. Each node counts once; `shared` is how many phases are one that is counted already."""

    epochs: float | None = None
    updates: int | None = None
    density_weighted_epochs: float | None = None
    flops_theoretical: float | None = None
    flops_executed: float | None = None
    seconds: float | None = None
    trained: int = 0
    shared: int = 0
    skipped: int = 0
    missing: int = 0


class Provenance(ResultPart):
    """Everything that running it again needs."""

    schedule: str | None = None
    schedule_text: str | None = None
    plan_hash: str
    command: tuple[str, ...] = ()
    model: str | None = None
    data: str | None = None
    data_fingerprint: str | None = None
    seed: int | None = None
    scale: str = "1"
    noise: str | None = None
    own_metrics: dict[str, Literal["higher", "lower"]] = Field(default_factory=dict)
    versions: dict[str, str | None] = Field(default_factory=dict)
    git: str | None = None
    setting: dict[str, Any] = Field(default_factory=dict)
