"""What phases do, independent of how they are written: the basis of the hash and of every comparison."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from dsd_lang.base.arguments import ARGUMENTS
from dsd_lang.plan.parts import Phase
from dsd_lang.plan.written import kept_items, plain

_NOT_MEANT = ("id", "label", "path", "span", "derived", "why", "variables")
_OTHERS = itemgetter(*(name for name in Phase.model_fields if name not in (*_NOT_MEANT, "parent", "layers", "except_")))
_WITH_PHASES = ("lr", *(row.name for row in ARGUMENTS if row.kind in ("source", "distill")))


def meaning(phase: Phase, position: dict[str, int], shared: dict[int, Any] | None = None) -> dict[str, Any]:
    """What a phase does, as plain JSON data: no label, id, span, derivation; references as positions in the plan.

    A phase that is not in the plan (a branch's reference to another branch) keeps its id. ``shared`` keeps the data of
    parts that phases share, as in :func:`dsd_lang.plan.written.plain`.
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

    data = {key: plain(value, shared) for key, value in kept_items(phase) if key not in _NOT_MEANT}
    for key in _WITH_PHASES:
        if key in data:
            data[key] = positions(data[key])
    data["parent"] = None if phase.parent is None else position.get(phase.parent, phase.parent)
    data["layers"] = sorted(set(phase.layers))
    data["except"] = sorted(set(phase.except_))
    if "cycles" in data:
        loops = {cycle["loop"]: index for index, cycle in enumerate(data["cycles"])}
        data["cycles"] = [{**cycle, "loop": loops[cycle["loop"]]} for cycle in data["cycles"]]
    return data


def semantic_hash(phases: Iterable[Phase]) -> str:
    """`sha256:` over what the phases do; two spellings of one schedule have the same hash (language reference, 13)."""
    ordered = tuple(phases)
    position = {phase.id: index for index, phase in enumerate(ordered)}
    alike: dict[tuple[Any, ...], dict[str, Any]] = {}
    shared: dict[int, Any] = {}
    meanings: list[dict[str, Any]] = []
    for phase in ordered:
        key = meaning_without_parent(phase)
        if key not in alike:
            alike[key] = meaning(phase, position, shared)
        parent = None if phase.parent is None else position.get(phase.parent, phase.parent)
        meanings.append({**alike[key], "parent": parent})
    payload = json.dumps(meanings, sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(payload.encode()).hexdigest()


def meaning_without_parent(phase: Phase) -> tuple[Any, ...]:
    """Equal only for phases that do the same, apart from their parent; the rounds of a loop share their parts."""
    return (phase.layers, phase.except_, *map(id, _OTHERS(phase.__dict__)))
