"""Resolves references: every `@label.moment` becomes a checkpoint of one phase.

A name is looked up from the innermost scope outwards: the phase's own block, the branches beside it (in a fork with
seeds, those of the same seed), then the line around it. In a loop it means the latest earlier occurrence. A path can
name a phase inside a branch: `@dsd.S1.end`, `@dsd.seed3.end`.
"""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang import rules
from dsd_lang.base.arguments import ARGUMENTS
from dsd_lang.base.arms import names_arm, split_index
from dsd_lang.base.units import parse_length
from dsd_lang.passes.bindings import named_reference
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.compilation import Compilation
from dsd_lang.passes.draft import Draft, Draftbook, Instance, NamedThing, NameScope
from dsd_lang.passes.quantities import Quantity, length_data
from dsd_lang.passes.values import WrittenTeacher
from dsd_lang.syntax import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.passes.values import Value
    from dsd_lang.plan.shapes import CheckpointData, ReferenceData, TeacherData

MOMENTS = ("start", "entered", "end", "best")
_ARGUMENTS = tuple(row.name for row in ARGUMENTS if row.kind in ("source", "distill"))


def resolve_references(compilation: Compilation) -> None:
    """Fills in ``references`` of every draft, and the ``checkpoints`` that they need."""
    resolver = _Resolver(compilation.book, compilation.names, compilation.diagnostics)
    for draft in compilation.book.phases:
        draft.references = {}
        for name in _ARGUMENTS:
            value = draft.given.arguments.get(name)
            if value is not None:
                resolver.argument(draft, name, value)
    compilation.checkpoints = tuple(resolver.checkpoints.values())


def find(scope: NameScope | None, name: str, position: int) -> NamedThing | None:
    """What a name refers to before the phase at ``position``: the latest definition in the innermost scope."""
    while scope is not None:
        for entry in reversed(entries_of(scope, name)):
            if entry.position < position:
                return entry
        scope = scope.around
    return None


def entries_of(scope: NameScope, name: str) -> Sequence[NamedThing]:
    """What a scope knows by that name, the arm of a sweep (`grid[25%]`) or one seed of a branch (`dsd[seed=3]`)."""
    found = scope.names.get(name)
    if found is not None or not name.endswith("]"):
        return found or ()
    label, values = split_index(name)
    if tuple(values) == ("seed",):
        return [seeded for entry in scope.names.get(label, ()) for seeded in _seeds_of(entry, values["seed"])]
    return next((entries for arm, entries in scope.names.items() if names_arm(name, arm)), ())


def _seeds_of(entry: NamedThing, seed: str) -> list[NamedThing]:
    return [
        NamedThing(entry.position, None, (instance._replace(seed=None),))
        for instance in entry.branch
        if instance.seed is not None and str(instance.seed) == seed
    ]


class _Resolver:
    def __init__(self, book: Draftbook, all_names: frozenset[str], diagnostics: Diagnostics) -> None:
        self.book = book
        self.all_names = all_names
        self.diagnostics = diagnostics
        self.checkpoints: dict[tuple[object, ...], CheckpointData] = {}

    def argument(self, draft: Draft, name: str, value: Value) -> None:
        options: dict[str, str] = {}
        node: object = value
        if isinstance(value, WrittenTeacher):
            node, options = value.source, value.options
        if isinstance(node, nodes.Text):
            if self.is_quoted_reference(draft, node):
                return
            file: ReferenceData = {"moment": "file", "file": node.value}
            is_teacher = isinstance(value, WrittenTeacher)
            draft.references[name] = _teacher(file, options) if is_teacher else {"kind": "reference", "reference": file}
            return
        if not isinstance(node, nodes.Reference):
            return
        reference = self.reference(draft, named_reference(node, draft.item.names))
        if reference is None:
            return
        if isinstance(value, WrittenTeacher):
            draft.references[name] = _teacher(reference, options)
        else:
            draft.references[name] = {"kind": "reference", "reference": reference}

    def arms(self, draft: Draft, label: str) -> tuple[str, ...]:
        """The arms that a sweep of that label has."""
        scope: NameScope | None = draft.scope
        while scope is not None:
            found = tuple(name for name in scope.names if name.startswith(f"{label}["))
            if found:
                return found
            scope = scope.around
        return ()

    def is_quoted_reference(self, draft: Draft, node: nodes.Text) -> bool:
        """Whether a "file" is the name of a phase in quotes, `"a.start"`; reports it."""
        path = tuple(node.value.removeprefix("@").split("."))
        is_moment = node.value.startswith("@") or len(path) == 1 or path[-1] in MOMENTS
        if not is_moment or find(draft.scope, path[0], draft.index) is None:
            return False
        meant = f"@{'.'.join(path)}"
        self.diagnostics.report(rules.unknown_reference.quoted(node, path[0], meant))
        return True

    def reference(self, draft: Draft, node: nodes.Reference) -> ReferenceData | None:
        if node.path == ("init",):
            return self.checkpoint(None, "init", None)
        if node.path[0] == "init":
            self.diagnostics.report(rules.unknown_reference.moment_of_init(node))
            return None
        try:
            path, moment, offset = _split(node.path)
        except ValueError:
            self.diagnostics.report(rules.unknown_reference.offset_too_long(node))
            return None
        phase = self.phase(draft, path, node)
        if phase is None:
            return None
        if offset is not None and not self.is_inside(self.book.phases[phase], offset, node):
            return None
        return self.checkpoint(phase, moment, offset)

    def checkpoint(self, phase: int | None, moment: str, offset: Quantity | None) -> ReferenceData:
        data: ReferenceData = {"moment": moment}
        if phase is not None:
            data["phase"] = f"p{phase}"
        if offset is not None:
            data["offset"] = length_data(offset)
        key = (phase, moment, offset)
        if key not in self.checkpoints:
            planned: CheckpointData = {"phase": data.get("phase"), "moment": moment}
            if "offset" in data:
                planned["offset"] = data["offset"]
            self.checkpoints[key] = planned
        return data

    def is_inside(self, phase: Draft, offset: Quantity, node: nodes.Reference) -> bool:
        length = phase.length
        if length is None or length.unit != offset.unit or offset.value <= length.value:
            return True
        self.diagnostics.report(rules.unknown_reference.behind_the_end(node, str(length)))
        return False

    def phase(self, draft: Draft, path: tuple[str, ...], node: nodes.Reference) -> int | None:
        entry = find(draft.scope, path[0], draft.index)
        if entry is None:
            self.unknown(draft, path[0], node)
            return None
        for depth, component in enumerate(path[1:], start=1):
            inner = self.inside(entry, component, path[:depth], draft, node)
            if inner is None:
                return None
            entry = inner
        if entry.phase is not None:
            return entry.phase
        if len(entry.branch) > 1:
            name = ".".join(path)
            self.diagnostics.report(rules.unknown_reference.which_seed(node, name, len(entry.branch)))
            return None
        end = entry.branch[0].end
        if end is None:
            self.diagnostics.report(rules.unknown_reference.empty_branch(node, ".".join(path)))
        return end

    def inside(
        self, entry: NamedThing, component: str, path: tuple[str, ...], draft: Draft, node: nodes.Reference
    ) -> NamedThing | None:
        """One component of a path: a seed of a branch, or a name in it."""
        if entry.phase is not None:
            self.diagnostics.report(rules.unknown_reference.no_moment(node, path, component, MOMENTS))
            return None
        for instance in entry.branch:
            if instance.seed is not None and component == f"seed{instance.seed}":
                return NamedThing(entry.position, None, (instance._replace(seed=None),))
        if len(entry.branch) == 1:
            inner = _inside(entry.branch[0], component, draft.index)
            if inner is not None:
                return inner
            known = tuple(entry.branch[0].scope.names)
        else:
            known = tuple(f"seed{instance.seed}" for instance in entry.branch)
        self.diagnostics.report(rules.unknown_reference.not_in_branch(node, path, component, known))
        return None

    def unknown(self, draft: Draft, name: str, node: nodes.Reference) -> None:
        label, index = split_index(name)
        arms = self.arms(draft, label) if index else ()
        if index and (arms or find(draft.scope, label, draft.index) is not None):
            self.diagnostics.report(rules.unknown_reference.no_arm_of_it(node, name, label, arms))
            return
        known: list[str] = []
        scope: NameScope | None = draft.scope
        while scope is not None:
            known += [word for word, entries in scope.names.items() if entries[0].position < draft.index]
            scope = scope.around
        self.diagnostics.report(
            rules.unknown_reference.unknown_name(node, name, tuple(known), is_later=name in self.all_names)
        )


def _teacher(reference: ReferenceData, options: dict[str, str]) -> TeacherData:
    """The plan data of `distill`, with the options that are written."""
    teacher: TeacherData = {"teacher": reference}
    if "alpha" in options:
        teacher["alpha"] = options["alpha"]
    if "model" in options:
        teacher["model"] = options["model"]
    if "temperature" in options:
        teacher["temperature"] = options["temperature"]
    return teacher


def _inside(instance: Instance, name: str, position: int) -> NamedThing | None:
    entries = [entry for entry in entries_of(instance.scope, name) if entry.position < position]
    return entries[-1] if entries else None


def _split(path: tuple[str, ...]) -> tuple[tuple[str, ...], str, Quantity | None]:
    """A reference's names, its moment, and the offset of `@full.500it`; raises ``ValueError`` for too many digits."""
    if len(path) == 1:
        return path, "end", None
    final = path[-1]
    if final in MOMENTS:
        return path[:-1], final, None
    if final[:1].isdecimal():
        length = parse_length(final)
        return path[:-1], "at", Quantity(length.value, length.unit)
    return path, "end", None
