"""The plan: the resolved schedule as data, the only contract with the runtime.

Phases stand in execution order; `parent` makes the tree; `path` is the branch. Numbers that must stay exact are strings
(:func:`dsd_lang.units.exact` reads them). Attributes at their default are left out of the JSON, except the twelve that
every phase has. The hash covers what the phases do and nothing of how they were written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from fractions import Fraction
from functools import cache
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from dsd_lang.errors import DsdError, nearest
from dsd_lang.units import Length, exact

PLAN_VERSION = 1


class _Part(BaseModel):
    """Frozen, strict about unknown keys, and silent about defaults when written (but for ``_always``)."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, serialize_by_alias=True)
    _always: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _omit_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = handler(self)
        kept: dict[str, Any] = {}
        for name, key, default in _defaults_of(type(self)):
            value = getattr(self, name)
            if value is not default and key in written and value != default:
                kept[key] = written[key]
        return kept


_REQUIRED = object()


@cache
def _defaults_of(part: type[_Part]) -> tuple[tuple[str, str, Any], ...]:
    """Each field's name, its key in the JSON, and the default that is left out (a mark equal to nothing: never)."""
    always = part._always
    return tuple(
        (
            name,
            field.alias or name,
            _REQUIRED if field.is_required() or name in always else field.get_default(call_default_factory=True),
        )
        for name, field in part.model_fields.items()
    )


class SpanInfo(_Part):
    """Where a phase stands in the source: lines and columns from 1, the end exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


class Duration(_Part):
    """A length: `ep` epochs or `it` optimizer updates."""

    unit: Literal["ep", "it"]
    value: str

    @property
    def length(self) -> Length:
        return Length(exact(self.value), self.unit)


class Milestone(_Part):
    """A point inside a phase: a ratio of it, or a length from its start."""

    unit: Literal["ratio", "ep", "it"]
    value: str


class Decay(_Part):
    """The shape of the learning rate within a phase; `factor` multiplies at a milestone (step) or per epoch (exp)."""

    kind: Literal["constant", "cosine", "linear", "step", "exp"] = "constant"
    milestones: tuple[Milestone, ...] = ()
    factor: str | None = None
    floor: str | None = None
    _always: ClassVar[frozenset[str]] = frozenset({"kind"})


class LearningRate(_Part):
    """Where a phase's learning rate starts and what shape it has.

    Either ``start`` is the exact value, or ``of`` names what it hangs on at run time (`optimizer`: the optimizer's own;
    `last`: the final value of the phase ``phase``) and ``scale`` multiplies that.
    """

    start: str | None = None
    of: Literal["optimizer", "last"] | None = None
    phase: str | None = None
    scale: str | None = None
    decay: Decay = Decay()
    warmup: Duration | None = None
    _always: ClassVar[frozenset[str]] = frozenset({"decay"})


class SelectorTarget(_Part):
    """One item of a list target."""

    selector: str
    target: Target


class Target(_Part):
    """How much is pruned.

    fraction/remaining: ``pruned``; nm: keep ``n`` of ``m``; ramp: ``start``, ``end``, ``shape``, ``every``;
    held: nothing; list: ``items``, first match wins.
    """

    kind: Literal["fraction", "remaining", "nm", "ramp", "held", "list"]
    pruned: str | None = None
    n: int | None = None
    m: int | None = None
    start: str | None = None
    end: str | None = None
    shape: Literal["cubic", "linear", "cosine", "exp"] | None = None
    every: Duration | None = None
    items: tuple[SelectorTarget, ...] = ()


class Function(_Part):
    """A named choice with arguments: `magnitude(order=largest)`, `sgd(momentum=0.9)`, `value(5)`.

    Values are exact decimals as strings, words, lengths (`100it`) or booleans; unnamed ones are under `0`, `1`, ...
    """

    name: str
    arguments: dict[str, str | bool] = Field(default_factory=dict)


class ReferenceInfo(_Part):
    """A checkpoint of a phase: `start`, `entered`, `end`, `best`, `at` (then ``offset``), or `init`/`file`."""

    moment: Literal["start", "entered", "end", "best", "at", "init", "file"]
    phase: str | None = None
    offset: Duration | None = None
    file: str | None = None


class Source(_Part):
    """What the weights start from: `last`, `random`, or a reference."""

    kind: Literal["last", "random", "reference"] = "last"
    reference: ReferenceInfo | None = None
    _always: ClassVar[frozenset[str]] = frozenset({"kind"})


class Restore(_Part):
    """What revived weights become."""

    kind: Literal["zero", "saved", "init", "random", "reference"] = "zero"
    reference: ReferenceInfo | None = None
    _always: ClassVar[frozenset[str]] = frozenset({"kind"})


class Clock(_Part):
    """Which clock drives the learning rate's shape and the data order."""

    kind: Literal["phase", "global", "reference"] = "phase"
    reference: ReferenceInfo | None = None
    _always: ClassVar[frozenset[str]] = frozenset({"kind"})


class Distillation(_Part):
    """Knowledge distillation: the teacher's checkpoint, the weight of its loss, the temperature."""

    teacher: ReferenceInfo
    alpha: str = "0.8"
    temperature: str = "10"


class Condition(_Part):
    """A stop condition as a small tree.

    compare: ``op``, ``args`` two operands; and/or/not: ``args``; call: ``name`` (`plateau`, `falling`, `gain`, `drop`),
    ``args`` positional and ``options``; metric: ``name``; number: ``value`` with ``percent`` when written as `10%`;
    arithmetic: ``op`` (`+ - * /`) on ``args``.
    """

    kind: Literal["compare", "and", "or", "not", "call", "metric", "number", "arithmetic"]
    op: str | None = None
    name: str | None = None
    value: str | None = None
    percent: bool = False
    args: tuple[Condition, ...] = ()
    options: dict[str, str] = Field(default_factory=dict)


class Cycle(_Part):
    """Membership of a `repeat N until COND` loop: once the condition holds after a cycle, later cycles are skipped."""

    loop: str
    index: int
    is_last_of_cycle: bool
    until: Condition


class Phase(_Part):
    """One phase, resolved: which weights may be non-zero, what they start from, how long, at which learning rate."""

    id: str
    label: str | None = None
    path: str = ""
    parent: str | None = None
    mode: Literal["dense", "sparse"]
    target: Target | None = None
    layers: tuple[str, ...] = ()
    except_: tuple[str, ...] = Field(default=(), alias="except")
    duration: Duration
    lr: LearningRate
    derived: tuple[str, ...] = ()
    why: str = ""
    span: SpanInfo | None = None
    by: Function = Function(name="magnitude")
    scope: Literal["layer", "global", "row", "group"] = "layer"
    alloc: Literal["uniform", "erk", "er"] = "uniform"
    unit: Function = Function(name="weight")
    minimum: int = 1
    others: Literal["none", "hold"] = "none"
    restore: Restore = Restore()
    from_: Source = Field(default=Source(), alias="from")
    clock: Clock = Clock()
    state: Literal["zero", "reset", "keep"] = "zero"
    opt: Function | None = None
    wd: str | None = None
    l1: str | None = None
    clip: Function | None = None
    batch: int | None = None
    dropout: str | None = None
    update: Function | None = None
    enforce: Function = Function(name="hard")
    distill: Distillation | None = None
    calibrate: Duration | None = None
    until: Condition | None = None
    cycles: tuple[Cycle, ...] = ()
    seed_index: int = 0
    rng: Literal["shared", "distinct"] = "shared"
    variables: dict[str, str] = Field(default_factory=dict)
    _always: ClassVar[frozenset[str]] = frozenset(
        {"label", "path", "parent", "target", "layers", "except_", "derived", "span"}
    )


class Comparison(_Part):
    """`compare left vs right on=metric`."""

    left: str
    right: str
    on: str
    test: Literal["welch", "student", "paired"] = "welch"
    at: Literal["end", "best"] = "end"
    span: SpanInfo | None = None


class Expectation(_Part):
    """`expect CONDITION`, with its source text."""

    condition: Condition
    text: str
    span: SpanInfo | None = None


class Checkpoint(_Part):
    """A checkpoint the compiler planned because something refers to it."""

    phase: str | None
    moment: Literal["start", "entered", "end", "best", "at", "init"]
    offset: Duration | None = None


class Plan(_Part):
    """A compiled schedule."""

    version: Literal[1] = Field(default=1, alias="dsd_plan")
    hash: str = ""
    source: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    settings_from: dict[str, Literal["set", "flag", "preset"]] = Field(default_factory=dict)
    phases: tuple[Phase, ...]
    comparisons: tuple[Comparison, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    _always: ClassVar[frozenset[str]] = frozenset(
        {"version", "hash", "source", "settings", "comparisons", "expectations", "checkpoints"}
    )

    def to_json(self, *, indent: int | None = 2) -> str:
        """The JSON text; :meth:`from_json` reads it back to an equal plan."""
        return json.dumps(self.model_dump(mode="json"), indent=indent, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """A plan from its JSON text; raises :class:`DsdError` when it is not one of this version."""
        from pydantic import ValidationError

        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "the top level"
            raise DsdError(
                f"this is no version {PLAN_VERSION} plan: at `{place}`: {first['msg'].lower()}",
                help="compile the schedule again with `dsd-plan FILE --json`",
            ) from error

    @property
    def branches(self) -> tuple[str, ...]:
        """The names of the branches, in order of their first phase; the main line is the empty name."""
        return tuple(dict.fromkeys(phase.path for phase in self.phases if phase.path))

    @property
    def is_linear(self) -> bool:
        """Whether the plan is one line of phases."""
        return all(
            phase.parent == (self.phases[index - 1].id if index else None) for index, phase in enumerate(self.phases)
        )

    def phase(self, identifier: str) -> Phase:
        """The phase of that id."""
        for phase in self.phases:
            if phase.id == identifier:
                return phase
        raise DsdError(f"the plan has no phase `{identifier}`")

    def line(self, identifier: str) -> tuple[Phase, ...]:
        """The phases from the root to that one."""
        by_id = {phase.id: phase for phase in self.phases}
        line = [by_id[identifier]]
        while line[-1].parent is not None:
            line.append(by_id[line[-1].parent])
        return tuple(reversed(line))

    def branch(self, path: str) -> Plan:
        """A linear plan: the trunk up to the fork, then that branch. ``""`` is the main line."""
        on_path = [phase for phase in self.phases if phase.path == path]
        if not on_path:
            choices = ", ".join(f"`{name}`" for name in self.branches) or "none"
            guess = nearest(path, self.branches)
            raise DsdError(
                f"the plan has no branch `{path}`; its branches are: {choices}",
                help=f"did you mean `{guess}`?" if guess else None,
            )
        phases = self.line(on_path[-1].id)
        kept = {phase.id for phase in phases}
        checkpoints = tuple(point for point in self.checkpoints if point.phase is None or point.phase in kept)
        trimmed = Plan(
            source=self.source,
            settings=self.settings,
            settings_from=self.settings_from,
            phases=phases,
            checkpoints=checkpoints,
        )
        return trimmed.with_hash()

    def with_hash(self) -> Plan:
        """The same plan with its semantic hash filled in."""
        return self.model_copy(update={"hash": semantic_hash(self.phases)})


_NOT_MEANT = ("id", "label", "path", "span", "derived", "why", "variables")
_MEANT = tuple(name for name in Phase.model_fields if name not in (*_NOT_MEANT, "parent"))
_SMALL = ("layers", "except_")
_WITH_PHASES = ("lr", "from", "restore", "clock", "distill")


def meaning(phase: Phase, position: dict[str, int]) -> dict[str, Any]:
    """What a phase does, as plain JSON data: no label, id, span, derivation; references as positions in the plan.

    A phase that is not in the plan (a branch's reference to another branch) keeps its id.
    """

    def positions(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: position.get(item, item) if key == "phase" and isinstance(item, str) else positions(item)
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [positions(item) for item in value]
        return value

    data = phase.model_dump(mode="json")
    for key in _WITH_PHASES:
        if key in data:
            data[key] = positions(data[key])
    data["parent"] = None if phase.parent is None else position.get(phase.parent, phase.parent)
    for key in _NOT_MEANT:
        data.pop(key, None)
    data["layers"] = sorted(set(phase.layers))
    data["except"] = sorted(set(phase.except_))
    loops = {cycle["loop"]: index for index, cycle in enumerate(data.get("cycles", ()))}
    for cycle in data.get("cycles", ()):
        cycle["loop"] = loops[cycle["loop"]]
    return dict(data)


def semantic_hash(phases: Iterable[Phase]) -> str:
    """`sha256:` over what the phases do; two spellings of one schedule have one hash (language reference, 11)."""
    ordered = tuple(phases)
    position = {phase.id: index for index, phase in enumerate(ordered)}
    alike: dict[tuple[Any, ...], dict[str, Any]] = {}
    meanings: list[dict[str, Any]] = []
    for phase in ordered:
        key = _likeness(phase)
        if key not in alike:
            alike[key] = meaning(phase, position)
        parent = None if phase.parent is None else position.get(phase.parent, phase.parent)
        meanings.append({**alike[key], "parent": parent})
    payload = json.dumps(meanings, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(payload.encode()).hexdigest()


def _likeness(phase: Phase) -> tuple[Any, ...]:
    """Equal only for phases that do the same but for their parent: the rounds of a loop share their parts."""
    values = phase.__dict__
    return tuple(
        values[name] if name in _SMALL or isinstance(values[name], str | int) else id(values[name]) for name in _MEANT
    )


def fraction(text: str | None) -> Fraction:
    """An exact number of the plan, None as zero."""
    return exact(text) if text is not None else Fraction(0)


SelectorTarget.model_rebuild()
Target.model_rebuild()
Condition.model_rebuild()
