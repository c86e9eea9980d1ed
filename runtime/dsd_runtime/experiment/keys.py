"""A plan and its setting in, a content key for every phase out.

A node's key is the hash of all that determines its numbers: its parent's key, what its phase does, the checkpoints it
refers to, the model, the data, the seed and the runtime settings that change numbers. Labels, comments and the
condition of a loop that a phase is in are not part of it, so two branches that train the same thing share one node; the
condition of a loop that ends before the phase is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Phase, Plan, meaning
from dsd_runtime.storage.content import content_digest


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run's numbers depend on besides its phases."""

    model: str
    data: str
    seed: int
    precision: str
    device: str
    is_compiled: bool
    threads: int | None = None

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> Setting:
        """The setting that a run folder's manifest names; DsdError when another version of the program wrote it."""
        try:
            return cls(**manifest["setting"])
        except (KeyError, TypeError) as error:
            raise DsdError(
                "the run folder's `manifest.json` was written by another version of the program",
                help="go on with that version, choose another `--out`, or use `--fresh`",
            ) from error


def node_keys(plan: Plan, setting: Setting) -> dict[str, str]:
    """The key of every phase by its id, 16 hex digits each."""
    root = _digest({"dsd_run": 1, **asdict(setting)})
    keys: dict[str, str] = {}
    horizons: dict[str, tuple[Phase, ...]] = {}
    positions = {phase.id: index for index, phase in enumerate(plan.phases)}
    for phase in plan.phases:
        parent = keys[phase.parent] if phase.parent is not None else root
        content: dict[str, Any] = {"parent": parent, "phase": _numbers(phase, positions, keys, root)}
        if phase.clock.kind == "global":
            if phase.path not in horizons:
                horizons[phase.path] = plan.branch(phase.path).phases
            content["horizon"] = [_length(member, phase.batch) for member in horizons[phase.path]]
        if left := _loops_left(plan.phases[positions[phase.parent]] if phase.parent is not None else None, phase):
            content["loops"] = left
        keys[phase.id] = _digest(content)[:16]
    return keys


def _length(member: Phase, batch: int | None) -> str:
    """A length as far as it counts in the whole line's: one in epochs depends on the batch size."""
    return str(member.duration.length) + (f"/{member.batch}" if member.batch != batch else "")


def _loops_left(parent: Phase | None, phase: Phase) -> list[Any]:
    """The conditions of the loops that end before a phase: they decide how many cycles it comes after."""
    inside = {cycle.loop for cycle in phase.cycles}
    cycles = parent.cycles if parent is not None else ()
    return [cycle.until.model_dump(mode="json") for cycle in cycles if cycle.loop not in inside]


def _numbers(phase: Phase, positions: dict[str, int], keys: Mapping[str, str], root: str) -> dict[str, Any]:
    data = meaning(phase, positions)
    for name in ("parent", "cycles", "rng", "seed_index"):
        data.pop(name, None)
    data["references"] = {
        name: _reference(value, keys, root)
        for name, value in (("from", phase.from_), ("restore", phase.restore), ("clock", phase.clock))
        if getattr(value, "reference", None) is not None
    }
    if phase.lr.of == "last":
        data["lr"].pop("phase", None)
    for name in ("from", "restore", "clock"):
        if name in data:
            data[name].pop("reference", None)
    if phase.path and phase.seed_index:
        data["seed_index"] = phase.seed_index
    draws_by_path = phase.rng == "distinct" or phase.from_.kind == "random" or phase.restore.kind == "random"
    if phase.path and draws_by_path:
        data["path"] = phase.path
    return data


def _reference(value: Any, keys: Mapping[str, str], root: str) -> str:
    reference = value.reference
    if reference.moment == "file":
        return content_digest(reference.file or "")
    node = keys[reference.phase] if reference.phase is not None else root
    offset = str(reference.offset.length) if reference.offset is not None else ""
    return f"{node}.{reference.moment}{offset}"


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
