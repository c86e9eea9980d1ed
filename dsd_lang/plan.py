"""The plan: the resolved schedule as data, the only contract with the runtime.

Phases stand in execution order; `parent` makes the tree; `path` is the branch. Numbers that must stay exact are strings
(:func:`dsd_lang.units.exact` reads them). Attributes at their default are left out of the JSON, except the twelve that
every phase has. The hash covers what the phases do and nothing of how they were written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationError

from dsd_lang.errors import DsdError, nearest
from dsd_lang.plan_parts import (
    Checkpoint,
    Clock,
    Comparison,
    Condition,
    Cycle,
    Decay,
    Distillation,
    Duration,
    Expectation,
    Function,
    LearningRate,
    Milestone,
    Part,
    Phase,
    ReferenceInfo,
    Restore,
    SelectorTarget,
    Source,
    SpanInfo,
    Target,
)

__all__ = [
    "PLAN_VERSION",
    "Checkpoint",
    "Clock",
    "Comparison",
    "Condition",
    "Cycle",
    "Decay",
    "Distillation",
    "Duration",
    "Expectation",
    "Function",
    "LearningRate",
    "Milestone",
    "Phase",
    "Plan",
    "ReferenceInfo",
    "Restore",
    "SelectorTarget",
    "Source",
    "SpanInfo",
    "Target",
    "meaning",
    "semantic_hash",
]

PLAN_VERSION = 1


class Plan(Part):
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
