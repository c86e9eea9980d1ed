"""The plan: the resolved schedule as data, the only contract with the runtime.

Phases are in execution order, `parent` makes them a tree, and `path` is the branch. Exact numbers are stored as strings
(:func:`dsd_lang.base.units.exact` reads them). Attributes at their default are left out of the JSON, except the twelve
that every phase has. The hash covers what the phases do, and not how they were written.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError, model_validator

from dsd_lang.base.arms import names_path
from dsd_lang.base.errors import DsdError, nearest
from dsd_lang.plan.checked import check_expectations, check_phases, check_settings
from dsd_lang.plan.lines import Lines
from dsd_lang.plan.parts import Checkpoint, Comparison, Expectation, Phase, PlanPart
from dsd_lang.plan.semantics import semantic_hash
from dsd_lang.plan.written import as_data, as_text

PLAN_VERSION = 1


class Plan(PlanPart):
    """A compiled schedule; ``overrides`` are the values that `--set` gave to its `let`s."""

    version: Literal[1] = Field(default=1, alias="dsd_plan")
    hash: str = ""
    source: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    settings_from: dict[str, Literal["set", "flag", "preset"]] = Field(default_factory=dict)
    overrides: dict[str, str] = Field(default_factory=dict)
    phases: tuple[Phase, ...]
    comparisons: tuple[Comparison, ...] = ()
    expectations: tuple[Expectation, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    _always: ClassVar[frozenset[str]] = frozenset(
        {"version", "hash", "source", "settings", "comparisons", "expectations", "checkpoints"}
    )

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        check_phases(self.phases)
        check_settings(self.settings, self.settings_from)
        check_expectations(self.expectations, len(self.comparisons))
        return self

    def to_json(self, *, indent: int | None = 2) -> str:
        """The plan as JSON; :meth:`from_json` reads it back to an equal plan."""
        return json.dumps(as_data(self), ensure_ascii=False) if indent is None else as_text(self, indent)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Reads a plan from JSON; raises :class:`DsdError` if it is not a plan of this version."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            field_path = ".".join(str(part) for part in first["loc"]) or "the top level"
            why = first["msg"].removeprefix("Value error, ").lower()
            raise DsdError(
                f"this is not a version {PLAN_VERSION} plan: at `{field_path}`: {why}",
                help="compile the schedule again with `dsd-plan FILE --json`",
            ) from error

    @property
    def branches(self) -> tuple[str, ...]:
        """The names of the branches, in order of their first phase; the main line is the empty string."""
        return tuple(dict.fromkeys(phase.path for phase in self.phases if phase.path))

    @property
    def is_linear(self) -> bool:
        """Whether the plan has no branches."""
        return all(
            phase.parent == (self.phases[index - 1].id if index else None) for index, phase in enumerate(self.phases)
        )

    def __repr__(self) -> str:
        """One line: the number of phases, the branches, the length, the start of the hash."""
        from dsd_lang.plan.cost import budget, in_words

        total = budget(self)
        parts = [f"{len(self.phases)} phase{'' if len(self.phases) == 1 else 's'}"]
        if self.branches:
            shown = ", ".join(self.branches[:4]) + (", ..." if len(self.branches) > 4 else "")
            parts.append(f"{len(self.branches)} branches ({shown})" if len(self.branches) > 1 else f"branch {shown}")
        parts += [in_words(total.epochs, total.updates), f"hash {self.hash.rpartition(':')[2][:8]}"]
        return f"<Plan{f' of {self.source!r}' if self.source else ''}: {', '.join(parts)}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        """The table and the timeline, for notebooks."""
        from dsd_lang.views.notebook import plan_html  # a view, from a higher layer; only notebooks need it

        return plan_html(self)

    def phase(self, identifier: str) -> Phase:
        """The phase with that id."""
        for phase in self.phases:
            if phase.id == identifier:
                return phase
        raise DsdError(f"the plan has no phase `{identifier}`")

    def lines(self) -> Lines:
        """What finds its lines; give it to :meth:`branch` where many branches are wanted."""
        return Lines(self.phases, self.checkpoints)

    def line(self, identifier: str) -> tuple[Phase, ...]:
        """The phases from the root to the phase with that id."""
        return Lines(self.phases, ()).to(identifier)

    def branch(self, path: str, lines: Lines | None = None) -> Plan:
        """A linear plan: the trunk up to the fork, then that branch. ``""`` is the main line.

        Arms are named as in a schedule: `grid[25%]`, `grid[s=25%,w=0]`, `dsd[seed=3]`.
        """
        lines = self.lines() if lines is None else lines
        path = path if path in lines else next((one for one in self.branches if names_path(path, one)), path)
        if path not in lines:
            choices = ", ".join(f"`{name}`" for name in self.branches) or "none"
            guess = nearest(path, self.branches)
            raise DsdError(
                f"the plan has no branch `{path}`; its branches are: {choices}",
                help=f"did you mean `{guess}`?" if guess else None,
            )
        phases = lines.of(path)
        trimmed = Plan(
            source=self.source,
            settings=self.settings,
            settings_from=self.settings_from,
            overrides=self.overrides,
            phases=phases,
            checkpoints=lines.checkpoints(phases),
        )
        return trimmed.with_hash()

    def with_hash(self) -> Plan:
        """The same plan with its semantic hash filled in."""
        return self.model_copy(update={"hash": semantic_hash(self.phases)})
