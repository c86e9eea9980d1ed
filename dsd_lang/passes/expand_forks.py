"""Expands forks to branches, one after the other: phases in execution order, each with parent and path.

A branch's path is its label; `seeds=N` adds `seed0` ... (`dsd.seed3`); forks inside branches make dotted paths
(`dsd.seed3.late`). If a loop contains a fork, its branch is `late#2` in round 2 and `late#3` in round 3.
"""

from __future__ import annotations

from dsd_lang import rules
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.compilation import Compilation
from dsd_lang.passes.draft import ClaimDraft, Draft, Draftbook, Instance, NamedThing, NameScope
from dsd_lang.passes.outline import Claim, ForkItem, Group, OutlineItem, Round, last_on_line
from dsd_lang.rules.program_too_large import MAX_PHASES


class _Position(NamedTuple):
    """The position of a branch in the tree: its path, seed and loops."""

    path: str
    arm: str
    seed_index: int
    rng: str
    scope: NameScope
    cycles: tuple[tuple[Round, OutlineItem | None], ...]


class _Line:
    """The state at the end of a line: the next phase starts from ``parent`` and inherits the length of ``length``."""

    __slots__ = ("length", "parent")

    def __init__(self, parent: Draft | None, length: Draft | None) -> None:
        self.parent = parent
        self.length = length


def expand_forks(compilation: Compilation) -> None:
    """Fills in ``book``: the phases of the outline in execution order; above the limit also ``is_too_large``."""
    layout = _Layout(compilation.diagnostics)
    layout.group(compilation.outline, _Line(None, None), _Position("", "", 0, "shared", NameScope(None), ()))
    compilation.book = Draftbook(layout.phases, layout.claims)
    compilation.is_too_large = len(layout.phases) > MAX_PHASES


class _Layout:
    def __init__(self, diagnostics: Diagnostics) -> None:
        self.diagnostics = diagnostics
        self.phases: list[Draft] = []
        self.claims: list[ClaimDraft] = []
        # the last occurrence of an item is on the current line
        self._latest: dict[int, Draft] = {}
        self._paths: dict[tuple[str, str], int] = {}

    def group(self, group: Group, line: _Line, position: _Position) -> None:
        """Lays out a group and advances the line."""
        if group.round is not None:
            position = position._replace(cycles=(*position.cycles, (group.round, last_on_line(group))))
        for element in group.items:
            if len(self.phases) > MAX_PHASES:
                return
            if isinstance(element, OutlineItem):
                self.phase(element, line, position)
            elif isinstance(element, Group):
                inner = _Line(line.parent, line.length)
                self.group(element, inner, position)
                if element.label is not None and inner.parent is not None:
                    last = inner.parent.index
                    position.scope.define(element.label, NamedThing(len(self.phases) - 1, last))
                line.parent = inner.parent
                line.length = line.length if element.is_block else inner.length
            elif isinstance(element, ForkItem):
                self.fork(element, line, position)
            elif isinstance(element, Claim):
                self.claims.append(
                    ClaimDraft(element.node, element.names, position.scope, len(self.phases), position.arm)
                )

    def phase(self, item: OutlineItem, line: _Line, position: _Position) -> None:
        index = len(self.phases)
        if index >= MAX_PHASES:
            self.diagnostics.report(rules.program_too_large.too_many_phases(item.node.span))
        draft = Draft(
            index,
            item,
            parent=line.parent,
            path=position.path,
            arm=position.arm,
            seed_index=position.seed_index,
            rng=position.rng,
            scope=position.scope,
            length_from=line.length,
            original=self._latest.get(id(item.original)),
            cycles=tuple([(cycle, last is item) for cycle, last in position.cycles]) if position.cycles else (),
        )
        self.phases.append(draft)
        self._latest[id(item)] = draft
        line.parent = line.length = draft
        if draft.label is not None:
            position.scope.define(draft.label, NamedThing(index, index))

    def fork(self, fork: ForkItem, line: _Line, position: _Position) -> None:
        """Lays out every branch from the state of the line, once for each seed; the line itself does not advance."""
        seeds: tuple[int | None, ...] = (None,) if fork.seeds is None else tuple(range(fork.seeds))
        views = [NameScope(position.scope) for _ in seeds]
        rng = fork.rng or position.rng
        for name, body in fork.branches:
            component = self.component(position.path, name)
            arm = f"{position.arm}.{component}" if position.arm else component
            path = f"{position.path}.{component}" if position.path else component
            instances: list[Instance] = []
            for seed, view in zip(seeds, views, strict=True):
                scope = NameScope(view)
                seeded = path if seed is None else f"{path}.seed{seed}"
                branch = _Line(line.parent, line.length)
                index = position.seed_index if seed is None else position.seed_index * len(seeds) + seed
                self.group(body, branch, _Position(seeded, arm, index, rng, scope, position.cycles))
                end = branch.parent.index if branch.parent is not None else None
                instance = Instance(seed, scope, seeded, arm, end)
                instances.append(instance)
                view.define(name, NamedThing(len(self.phases) - 1, None, (instance,)))
            position.scope.define(name, NamedThing(len(self.phases) - 1, None, tuple(instances)))

    def component(self, path: str, name: str) -> str:
        """The branch's name, with `#2`, `#3`, ... if an earlier round of a loop has used it."""
        count = self._paths.get((path, name), 0) + 1
        self._paths[path, name] = count
        return name if count == 1 else f"{name}#{count}"
