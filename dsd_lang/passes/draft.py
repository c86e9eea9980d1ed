"""A phase during compilation, filled in by one pass after another.

``rate``, ``target``, ``until``, ``rounds`` and ``attributes`` (the other arguments that are not at their defaults, by
their names in `dsd_lang.plan.Phase`) have the form of the plan's JSON. Indexes refer to the list of drafts, which is in
execution order; the plan's ids are `p<index>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.passes.outline import OutlineItem, Round
from dsd_lang.passes.quantities import Names, Quantity
from dsd_lang.passes.values import GivenArguments, is_function, is_source
from dsd_lang.syntax import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.plan.shapes import (
        AttributeData,
        ConditionData,
        CycleData,
        FunctionData,
        RateData,
        SourceData,
        TargetData,
        TeacherData,
    )

_REASONS = ("copy", "length", "lr", "layers")


class NameScope:
    """The names visible in a scope: labels and branches, with the index where each is finished, and the outer scope."""

    __slots__ = ("around", "names")

    def __init__(self, around: NameScope | None) -> None:
        self.around = around
        self.names: dict[str, list[NamedThing]] = {}

    def define(self, name: str, entry: NamedThing) -> None:
        self.names.setdefault(name, []).append(entry)


class Instance(NamedTuple):
    """One training of a branch: its seed (None without `seeds=`), its names, its path, its last phase."""

    seed: int | None
    scope: NameScope
    path: str
    arm: str
    end: int | None


class NamedThing(NamedTuple):
    """What a name refers to once the phase ``position`` exists: a phase, or the instances of a branch."""

    position: int
    phase: int | None
    branch: tuple[Instance, ...] = ()


class Block(NamedTuple):
    """The clock of a `within`: its first phase, where this phase begins, and how long the whole is."""

    head: Draft
    start: Quantity
    whole: Quantity


class Draft:
    """One phase, with its position in the tree and what has been resolved so far."""

    __slots__ = (
        "arm",
        "attributes",
        "block",
        "cycles",
        "derived",
        "exclude",
        "given",
        "groups",
        "index",
        "item",
        "label",
        "layers",
        "length",
        "length_from",
        "lr",
        "mode",
        "original",
        "parent",
        "path",
        "previous_sparse",
        "rate",
        "reasons",
        "references",
        "rng",
        "root",
        "rounds",
        "scope",
        "seed_index",
        "target",
        "until",
    )

    # filled in by the passes; reading it earlier raises AttributeError
    given: GivenArguments
    block: Block | None
    length: Quantity | None
    layers: tuple[str, ...]
    exclude: tuple[str, ...]
    lr: Quantity | None
    groups: tuple[tuple[str, Fraction], ...]
    rate: RateData
    references: dict[str, SourceData | TeacherData]
    target: TargetData | None
    until: ConditionData | None
    rounds: tuple[CycleData, ...]
    attributes: Mapping[str, AttributeData]

    def __init__(
        self,
        index: int,
        item: OutlineItem,
        *,
        parent: Draft | None,
        path: str,
        arm: str,
        seed_index: int,
        rng: str,
        scope: NameScope,
        length_from: Draft | None,
        original: Draft | None,
        cycles: tuple[tuple[Round, bool], ...],
    ) -> None:
        label = item.override.label if item.override is not None else None
        if item.original is None:
            label = item.node.label
        self.index = index
        self.item = item
        self.mode = item.node.mode
        self.label = label.name if label is not None else None
        self.parent = parent
        self.root: Draft = parent.root if parent is not None else self
        self.previous_sparse: Draft | None = None
        if parent is not None:
            self.previous_sparse = parent if parent.mode == "sparse" else parent.previous_sparse
        self.path = path
        self.arm = arm
        self.seed_index = seed_index
        self.rng = rng
        self.scope = scope
        self.length_from = length_from
        self.original = original
        self.cycles = cycles
        self.derived: list[str] = []
        self.reasons: dict[str, str] = {}

    @property
    def id(self) -> str:
        return f"p{self.index}"

    @property
    def why(self) -> str:
        """The plan's `why`: `given`, `length inherited, lr given`, `` `repeat` copies 1 with its lr x 0.1 ``."""
        return ", ".join(self.reasons[key] for key in _REASONS if key in self.reasons) or "given"

    @property
    def node(self) -> nodes.Phase:
        """The phase as written; for a copy, the override if there is one."""
        return self.item.override or self.item.node

    @property
    def target_node(self) -> nodes.WrittenTarget | None:
        """The syntax node of a target that is not a plain value: a pattern, a ramp, `held` or a list."""
        written = (*(self.item.override.items if self.item.override is not None else ()), *self.item.node.items)
        return next((item for item in written if isinstance(item, nodes.TARGETS)), None)

    @property
    def source(self) -> SourceData | None:
        """What the weights start from, if not the previous phase."""
        return self._source("from")

    @property
    def clock(self) -> SourceData | None:
        """The clock, if not the phase's own."""
        return self._source("clock")

    @property
    def unit(self) -> FunctionData | None:
        """What is pruned as one, if not single weights."""
        value = self.attributes.get("unit")
        return value if is_function(value) else None

    def _source(self, name: str) -> SourceData | None:
        value = self.attributes.get(name)
        return value if is_source(value) else None

    def span_of(self, name: str) -> Span:
        """The span of that argument; that of the phase's keyword if the value comes from elsewhere."""
        written = (item for item in self.node.items if isinstance(item, nodes.Argument) and item.name == name)
        return next((item.span for item in written), self.node.mode_span)


class ClaimDraft(NamedTuple):
    """A `compare` or `expect` with its position among the phases; ``arm`` is the branch that it stands in."""

    node: nodes.Compare | nodes.Expect
    names: Names
    scope: NameScope
    position: int
    arm: str


class Draftbook(NamedTuple):
    """All phases in execution order, and the comparisons and expectations."""

    phases: list[Draft]
    claims: list[ClaimDraft]
