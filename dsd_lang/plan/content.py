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
    horizons: dict[str, tuple[Phase, ...]] = {}
    positions = {phase.id: index for index, phase in enumerate(plan.phases)}
    numbers: dict[tuple[Any, ...], dict[str, Any]] = {}
    for phase in plan.phases:
        like = (meaning_without_parent(phase), bool(phase.path))
        if like not in numbers:
            numbers[like] = _numbers(phase, positions)
        own = dict(numbers[like])
        own["references"] = _references(phase, keys, root, digest_of_file)
        if _draws_by_path(phase):
            own["path"] = phase.path
        content: dict[str, Any] = {"parent": keys[phase.parent] if phase.parent is not None else root, "phase": own}
        if phase.clock.kind == "global":
            if phase.path not in horizons:
                horizons[phase.path] = plan.branch(phase.path).phases
            content["horizon"] = [_length(member, phase.batch) for member in horizons[phase.path]]
        if left := _loops_left(plan.phases[positions[phase.parent]] if phase.parent is not None else None, phase):
            content["loops"] = left
        keys[phase.id] = digest(content)[:16]
    return keys


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
    """What a phase does, without its position and its references."""
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
