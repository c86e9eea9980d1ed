"""The pydantic models of `results.json`: what a run measured, and what its schedule asked of it.

The docstring of a field becomes its description in the schema (`dsd-report --schema`).
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

TestName = Literal["paired", "welch", "student"]
ItemTestName = Literal["mcnemar", "cluster", "bootstrap"]


class ResultPart(BaseModel):
    """A base for all parts: unchangeable, and without fields that this version does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Interval(ResultPart):
    """A 95% confidence interval."""

    low: float
    high: float


class SeedTest(ResultPart):
    """The comparison of two arms over their seeds: is the *recipe* better?

    Differences are left minus right, in the metric's unit. Where no test is possible, `why_not` says why, and `p` is
    None.
    """

    test: TestName
    n_left: int
    """The number of seeds with a value."""
    n_right: int
    mean_left: float | None = None
    mean_right: float | None = None
    deviation_left: float | None = None
    """The standard deviation over the seeds (n - 1)."""
    deviation_right: float | None = None
    difference: float | None = None
    interval: Interval | None = None
    """The t interval of the difference."""
    effect: float | None = None
    """The difference in standard deviations: d_z for paired seeds, else Hedges' g."""
    effect_name: Literal["d_z", "Hedges' g"] | None = None
    t: float | None = None
    df: float | None = None
    """The degrees of freedom of t."""
    p: float | None = None
    """Two-sided."""
    p_holm: float | None = None
    """p adjusted over all `compare`s of the schedule after Holm, if there are several."""
    wins: int | None = None
    """In how many pairs of seeds the left arm is better."""
    pairs: int | None = None
    seeds_needed: int | None = None
    """The number of seeds with which the difference would be shown with a probability of 80%."""
    why_not: str | None = None


class ItemTest(ResultPart):
    """The comparison of one pair of models over the same test items: is this *model* better on such items?"""

    test: ItemTestName
    seed: int
    items: int
    """The number of test items."""
    units: int
    """The number of independent units, of which a unit may have several items: speakers have utterances."""
    unit: Literal["samples", "utterances", "speakers", "captions"]
    left: float | None = None
    right: float | None = None
    difference: float | None = None
    interval: Interval | None = None
    p: float | None = None
    left_only: int | None = None
    """The number of items that only the left model has right."""
    right_only: int | None = None
    why_not: str | None = None


class LayerFlops(ResultPart):
    """The FLOPs of a layer, or of everything. A multiplication and addition are two."""

    executed: int
    """As the dense kernels execute them, those of pruned weights included."""
    theoretical: int | None = None
    """Without those of pruned weights; None if the run has not recorded its masks."""


class ArmCost(ResultPart):
    """What the phases of an arm cost for one seed, its trunk included."""

    epochs: float
    updates: int
    density_weighted_epochs: float
    """Epochs, each times the share of the selected weights that was not masked."""
    flops_executed: int | None = None
    """FLOPs of the training as the dense kernels execute them; None if the run has not counted them."""
    flops_theoretical: int | None = None
    """FLOPs without those of pruned weights."""


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
    """The mean over the seeds that are trained to their end."""


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
    """What qualifies the answer: scaled lengths, noise, one baseline for all seeds, unequal budgets."""
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
    """The branch; empty for the main line."""
    label: str | None
    node: str | None
    """The key of what was trained. Phases with one key were trained once."""
    mode: Literal["dense", "sparse"]
    target: str | None
    """How much is pruned, as a schedule writes it."""
    seed: int
    """The number of the seed within its fork, from 0."""
    variables: dict[str, str] = Field(default_factory=dict)
    """The values of the variables of `sweep`, as written."""
    length: str
    """The planned length: `10ep`, `500it`."""
    updates: int | None = None
    """The updates that were trained."""
    epochs: float | None = None
    """Those updates in passes over the training data."""
    lr: float | None = None
    """The learning rate of the first update."""
    sparsity: float | None = None
    """The share of the selected weights that is masked at the end, from 0 to 1."""
    state: str
    """`trained`, `skipped` (its loop had ended before it), `unfinished (500it)`, or `to train`."""
    seconds: float | None = None
    """How long its training and evaluations took, in all sittings."""
    flops_executed: int | None = None
    """FLOPs of the training as the dense kernels execute them; None if the run has not counted them."""
    flops_theoretical: int | None = None
    """FLOPs without those of pruned weights."""
    flops_by_layer: dict[str, LayerFlops] = Field(default_factory=dict)
    """Both by layer; `(teacher)` are the forward passes of a teacher, `(model)` products outside of every module."""
    metrics: dict[str, float | None] = Field(default_factory=dict)
    """The metrics at the end; the unit of each is in the table of metrics. None is not a finite number."""
    layers: dict[str, LayerWeights] = Field(default_factory=dict)
    """The weights that are not pruned at the end, by layer."""
    entropies: dict[str, float] = Field(default_factory=dict)
    """`entropy.relu` by layer at the last evaluation, in bits, where the schedule reads it."""
    overlap: MaskOverlap | None = None
    """With the mask of the sparse phase before."""


class MetricRow(ResultPart):
    """One measurement; `epoch` and `update` count within the phase."""

    node: str
    epoch: float
    update: int
    name: str
    value: float | None


class Cost(ResultPart):
    """What the whole run costs. Each node counts once."""

    epochs: float | None = None
    updates: int | None = None
    density_weighted_epochs: float | None = None
    """Epochs, each times the share of the selected weights that was not masked."""
    flops_executed: int | None = None
    """FLOPs of the training as the dense kernels execute them; None if the run has not counted them."""
    flops_theoretical: int | None = None
    """FLOPs without those of pruned weights."""
    flops_by_layer: dict[str, LayerFlops] = Field(default_factory=dict)
    """Both by layer."""
    flops_counted_on: str | None = None
    """The shapes of the batch on which FLOPs were counted; each update counts as that batch."""
    seconds: float | None = None
    """The time of training and evaluations."""
    trained: int = 0
    """The number of nodes that are trained to their end."""
    shared: int = 0
    """The number of phases whose node another phase has trained."""
    skipped: int = 0
    missing: int = 0
    """The number of nodes that are not trained to their end."""


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
    """The factor by which every length of the schedule was multiplied."""
    noise: str | None = None
    own_metrics: dict[str, Literal["higher", "lower"]] = Field(default_factory=dict)
    """The user's own metrics, and what is better."""
    versions: dict[str, str | None] = Field(default_factory=dict)
    git: str | None = None
    """The revision of the working folder, with `+` if it had changes."""
    setting: dict[str, Any] = Field(default_factory=dict)
    """What results depend on besides the plan: precision, device, threads."""
