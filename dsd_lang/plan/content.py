"""Finds phases that are the same training: phases that do the same and have the same chain of parents share a key.

The runtime includes its settings (model, data, seed, ...) in the key of the root and identifies trained phases by these
keys. Without settings, the keys tell which phases of one plan are trained once (:func:`distinct_phases`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from dsd_lang.plan.model import Plan
from dsd_lang.plan.parts import Phase, ReferenceInfo
from dsd_lang.plan.semantics import meaning, meaning_without_parent

_REFERRING = ("from", "restore", "clock")


def content_keys(plan: Plan, root: str, *, digest_of_file: Callable[[str], str]) -> dict[str, str]:
    """The key of every phase by its id, 16 hex digits each.

    A key is the hash of the parent's key (``root`` before the first phase), of what the phase does, and of the keys of
    the phases it refers to. It does not include labels, nor the condition of a loop that the phase is in, but it does
    include the conditions of loops that end before the phase. ``digest_of_file`` gives the digest of the contents of a
    file, `from="file"`.
    """
    keys: dict[str, str] = {}
    computed = PhaseKeys(plan, root, keys, digest_of_file=digest_of_file)
    numbers: dict[tuple[Any, ...], dict[str, Any]] = {}
    for phase in plan.phases:
        like = (meaning_without_parent(phase), bool(phase.path))
        if like not in numbers:
            numbers[like] = computed.numbers(phase)
        keys[phase.id] = computed.of(phase, numbers[like])
    return keys


class PhaseKeys:
    """Computes the key of one phase from the ``keys`` of the phases before it; the rest of its plan is not visited."""

    def __init__(self, plan: Plan, root: str, keys: Mapping[str, str], *, digest_of_file: Callable[[str], str]) -> None:
        self._plan, self._root, self._keys, self._digest_of_file = plan, root, keys, digest_of_file
        self._positions = {phase.id: index for index, phase in enumerate(plan.phases)}
        self._horizons: dict[str, tuple[Phase, ...]] = {}

    def numbers(self, phase: Phase) -> dict[str, Any]:
        """What a phase does, without its position and its references."""
        return _numbers(phase, self._positions)

    def of(self, phase: Phase, numbers: Mapping[str, Any] | None = None) -> str:
        """The key of a phase, which may be a changed copy of the plan's; ``numbers`` if they are known."""
        own = dict(self.numbers(phase) if numbers is None else numbers)
        own["references"] = _references(phase, self._keys, self._root, self._digest_of_file)
        if _draws_by_path(phase):
            own["path"] = phase.path
        parent = self._plan.phases[self._positions[phase.parent]] if phase.parent is not None else None
        content: dict[str, Any] = {"parent": self._keys[parent.id] if parent is not None else self._root, "phase": own}
        if phase.clock.kind == "global":
            content["horizon"] = [_length(member, phase.batch) for member in self._horizon(phase.path)]
        if left := _loops_left(parent, phase):
            content["loops"] = left
        return digest(content)[:16]

    def _horizon(self, path: str) -> tuple[Phase, ...]:
        if path not in self._horizons:
            self._horizons[path] = self._plan.branch(path).phases
        return self._horizons[path]


def distinct_phases(plan: Plan) -> tuple[Phase, ...]:
    """The phases that are trained, in the plan's order: of several phases that are the same training, the first.

    >>> import dsd_lang
    >>> text = "fork { a: { dense 2ep lr=1; dense 1ep }  b: { dense 2ep lr=1; dense 3ep } }"
    >>> [phase.id for phase in distinct_phases(dsd_lang.compile(text))]
    ['p0', 'p1', 'p3']
    """
    parents = [phase.parent for phase in plan.phases]
    if len(set(parents)) == len(parents):
        return plan.phases  # no two phases have the same parent, so all trainings differ
    keys = content_keys(plan, "", digest_of_file=lambda name: name)
    first: dict[str, Phase] = {}
    for phase in plan.phases:
        first.setdefault(keys[phase.id], phase)
    return tuple(first.values())


def digest(data: Any) -> str:
    """The SHA-256 of plain JSON data."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _length(member: Phase, batch: int | None) -> str:
    """A length as part of the length of the whole line: one in epochs depends on the batch size."""
    return str(member.duration.length) + (f"/{member.batch}" if member.batch != batch else "")


def _loops_left(parent: Phase | None, phase: Phase) -> list[Any]:
    """The conditions of the loops that end before a phase: they determine after how many cycles it comes."""
    inside = {cycle.loop for cycle in phase.cycles}
    cycles = parent.cycles if parent is not None else ()
    return [cycle.until.model_dump(mode="json") for cycle in cycles if cycle.loop not in inside]


def _draws_by_path(phase: Phase) -> bool:
    """Whether a phase's random numbers depend on its branch."""
    is_random = phase.from_.kind == "random" or phase.restore.kind == "random"
    return bool(phase.path) and (phase.rng == "distinct" or is_random)


def _numbers(phase: Phase, positions: dict[str, int]) -> dict[str, Any]:
    data = meaning(phase, positions)
    for name in ("parent", "cycles", "rng", "seed_index"):
        data.pop(name, None)
    if phase.lr.of == "last":  # the phase before, whose key is in this one
        data["lr"].pop("phase", None)
    for name in _REFERRING:
        if name in data:
            data[name].pop("reference", None)
    if "distill" in data:
        data["distill"].pop("teacher")
    if phase.path and phase.seed_index:
        data["seed_index"] = phase.seed_index
    return data


def _references(
    phase: Phase, keys: Mapping[str, str], root: str, digest_of_file: Callable[[str], str]
) -> dict[str, str]:
    references = (phase.from_.reference, phase.restore.reference, phase.clock.reference)
    named = dict(zip(_REFERRING, references, strict=True))
    named["distill"] = phase.distill.teacher if phase.distill is not None else None
    return {
        name: _reference(reference, keys, root, digest_of_file)
        for name, reference in named.items()
        if reference is not None
    }


def _reference(
    reference: ReferenceInfo, keys: Mapping[str, str], root: str, digest_of_file: Callable[[str], str]
) -> str:
    if reference.moment == "file":
        return digest_of_file(reference.file or "")
    node = keys[reference.phase] if reference.phase is not None else root
    offset = str(reference.offset.length) if reference.offset is not None else ""
    return f"{node}.{reference.moment}{offset}"
