"""The parts of a plan, from a span to a phase: frozen, strictly validated, defaults omitted in JSON.

Exact numbers are stored as strings (:func:`dsd_lang.base.units.exact` reads them).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from dsd_lang.base.units import Length, exact
from dsd_lang.plan.checked import (
    NotNegative,
    Number,
    ShareText,
    check_condition,
    check_decay,
    check_rate,
    check_reference,
    check_target,
)
from dsd_lang.plan.written import kept_items


class PlanPart(BaseModel):
    """Frozen, rejects unknown keys, and omits defaults in JSON (except ``_always``)."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)
    _always: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _omit_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        return {key: written[key] for key, _ in kept_items(self) if key in written}


class SpanInfo(PlanPart):
    """The span of a phase in the source: lines and columns from 1, the end exclusive.

    A phase that stands in a `def` of the schedule has ``called``, the line and column of the call. One that stands in
    another file has the span of the call, and in ``defined`` the file, line and column of the phase.
    """

    line: int
    column: int
    end_line: int
    end_column: int
    called: str | None = None
    defined: str | None = None


class Duration(PlanPart):
    """A length: `ep` epochs or `it` optimizer updates."""

    unit: Literal["ep", "it"]
    value: NotNegative

    @property
    def length(self) -> Length:
        return Length(exact(self.value), self.unit)


class Milestone(PlanPart):
    """A point inside a phase: a share of it, or a length from its start."""

    unit: Literal["ratio", "ep", "it"]
    value: NotNegative


class Decay(PlanPart):
    """The shape of the learning rate within a phase; `factor` multiplies at a milestone (step) or per epoch (exp)."""

    kind: Literal["constant", "cosine", "linear", "step", "exp"] = "constant"
    milestones: tuple[Milestone, ...] = ()
    factor: NotNegative | None = None
    floor: NotNegative | None = None
    _always: ClassVar[frozenset[str]] = frozenset({"kind"})

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        check_decay(self)
        return self


class RateGroup(PlanPart):
    """Layers whose rate is a multiple of the phase's: the first group that matches a layer counts."""

    selector: str
    scale: NotNegative
    _always: ClassVar[frozenset[str]] = frozenset({"selector", "scale"})


class LearningRate(PlanPart):
    """The start and shape of a phase's learning rate.

    Either ``start`` is the exact value, or ``of`` names the rate at run time that it is relative to (`optimizer`: the
    optimizer's own; `last`: the final value of the phase ``phase``) and ``scale`` is the factor. What none of the
    ``groups`` selects has this rate.
    """

    start: NotNegative | None = None
    of: Literal["optimizer", "last"] | None = None
    phase: str | None = None
    scale: NotNegative | None = None
    decay: Decay = Decay()
    warmup: Duration | None = None
    groups: tuple[RateGroup, ...] = ()
    _always: ClassVar[frozenset[str]] = frozenset({"decay"})

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        check_rate(self)
        return self


class SelectorTarget(PlanPart):
    """One item of a list target."""

    selector: str
    target: Target


class Target(PlanPart):
    """How much is pruned.

    fraction/remaining: ``pruned``; nm: keep ``n`` of ``m``; ramp: ``start``, ``end``, ``shape``, ``every``; held, and
    current (the zeros of the weights): no fields; list: ``items``, the first match applies.
    """

    kind: Literal["fraction", "remaining", "nm", "ramp", "held", "current", "list"]
    pruned: ShareText | None = None
    n: int | None = None
    m: int | None = None
    start: ShareText | None = None
    end: ShareText | None = None
    shape: Literal["cubic", "linear", "cosine", "exp"] | None = None
    every: Duration | None = None
    items: tuple[SelectorTarget, ...] = ()

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        check_target(self)
        return self


class Function(PlanPart):
    """A named choice with arguments: `magnitude(order=largest)`, `sgd(momentum=0.9)`, `value(5)`.

    Values are exact decimals as strings, words, lengths (`100it`) or booleans; positional ones have the keys `0`, `1`,
    ...
    """

    name: str
    arguments: dict[str, str | bool] = Field(default_factory=dict)


class ReferenceInfo(PlanPart):
    """A checkpoint of a phase: `start`, `entered`, `end`, `best`, `at` (then ``offset``), or `init`/`file`."""

    moment: Literal["start", "entered", "end", "best", "at", "init", "file"]
    phase: str | None = None
    offset: Duration | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        check_reference(self)
        return self


class Source(PlanPart):
    """What the weights start from: `last`, `random`, or a reference."""

    kind: Literal["last", "random", "reference"] = "last"
    reference: ReferenceInfo | None = None
    _always: ClassVar[frozenset[str]] = frozenset({"kind"})


class Restore(PlanPart):
    """What revived weights become."""

    kind: Literal["zero", "saved", "init", "random", "reference"] = "zero"
    reference: ReferenceInfo | None = None
    _always: ClassVar[frozenset[str]] = frozenset({"kind"})


class Clock(PlanPart):
    """Which clock drives the learning rate's shape and the data order.

    That of a `within` is a `block`: the phase begins ``start`` after the beginning of ``length``.
    """

    kind: Literal["phase", "global", "reference", "block"] = "phase"
    reference: ReferenceInfo | None = None
    start: Duration | None = None
    length: Duration | None = None
    _always: ClassVar[frozenset[str]] = frozenset({"kind"})


class Distillation(PlanPart):
    """Knowledge distillation: the teacher's checkpoint, the weight of its loss, the temperature.

    ``model`` names the teacher's architecture if it is a file of another model than the student.
    """

    teacher: ReferenceInfo
    model: str | None = None
    alpha: NotNegative = "0.8"
    temperature: NotNegative = "10"


class Condition(PlanPart):
    """A stop condition as a small tree.

    compare: ``op``, ``args`` two operands; and/or/not: ``args``; call: ``name`` (`plateau`, `falling`, `gain`, `drop`),
    ``args`` positional and ``options``; metric: ``name``; number: ``value`` with ``percent`` when written as `10%`;
    arithmetic: ``op`` (`+ - * /`) on ``args``; p: the p value of the plan's comparison of that index.
    """

    kind: Literal["compare", "and", "or", "not", "call", "metric", "number", "arithmetic", "p"]
    op: str | None = None
    name: str | None = None
    value: Number | None = None
    percent: bool = False
    args: tuple[Condition, ...] = ()
    options: dict[str, str] = Field(default_factory=dict)
    comparison: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        check_condition(self)
        return self


class Cycle(PlanPart):
    """Membership in a `repeat N until COND` loop: once the condition is true, later cycles are skipped."""

    loop: str
    index: int
    is_last_of_cycle: bool
    until: Condition


class Phase(PlanPart):
    """One resolved phase: which weights may be non-zero, what they start from, how long, and at which learning rate."""

    id: str
    label: str | None = None
    path: str = ""
    parent: str | None = None
    mode: Literal["dense", "sparse"]
    target: Target | None = None
    layers: tuple[str, ...] = ()
    except_: tuple[str, ...] = Field(default=(), alias="except")
    freeze: tuple[str, ...] = ()
    duration: Duration
    lr: LearningRate
    derived: tuple[str, ...] = ()
    why: str = ""
    span: SpanInfo | None = None
    by: Function = Function(name="magnitude")
    scope: Literal["layer", "global", "row", "group"] = "layer"
    alloc: Literal["uniform", "erk", "er"] = "uniform"
    unit: Function = Function(name="weight")
    minimum: Annotated[int, Field(ge=0)] = 1
    others: Literal["none", "hold"] = "none"
    restore: Restore = Restore()
    from_: Source = Field(default=Source(), alias="from")
    clock: Clock = Clock()
    state: Literal["zero", "reset", "keep"] = "zero"
    opt: Function | None = None
    wd: NotNegative | None = None
    l1: NotNegative | None = None
    clip: Function | None = None
    batch: Annotated[int, Field(ge=1)] | None = None
    dropout: ShareText | None = None
    update: Function | None = None
    enforce: Function = Function(name="hard")
    distill: Distillation | None = None
    calibrate: Duration | None = None
    until: Condition | None = None
    cycles: tuple[Cycle, ...] = ()
    seed_index: Annotated[int, Field(ge=0)] = 0
    rng: Literal["shared", "distinct"] = "shared"
    variables: dict[str, str] = Field(default_factory=dict)
    _always: ClassVar[frozenset[str]] = frozenset(
        {"label", "path", "parent", "target", "layers", "except_", "derived", "span"}
    )


class Comparison(PlanPart):
    """`compare left vs right on=metric`."""

    left: str
    right: str
    on: str
    test: Literal["welch", "student", "paired"] = "welch"
    at: Literal["end", "best"] = "end"
    span: SpanInfo | None = None


class Expectation(PlanPart):
    """`expect CONDITION`, with its source text."""

    condition: Condition
    text: str
    span: SpanInfo | None = None


class Checkpoint(PlanPart):
    """A checkpoint that is saved because something refers to it."""

    phase: str | None
    moment: Literal["start", "entered", "end", "best", "at", "init"]
    offset: Duration | None = None


SelectorTarget.model_rebuild()
Target.model_rebuild()
Condition.model_rebuild()
