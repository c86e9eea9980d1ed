"""A plan and its setting in, a content key for every phase out.

A node's key is the hash of all that determines its numbers: its parent's key, what its phase does, the checkpoints it
refers to, the model, the data, the seed and the runtime settings that change numbers. Labels, comments and the
condition of an enclosing loop are not part of it, so two branches that train the same thing share one node.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dsd_lang.errors import DsdError
from dsd_lang.plan import Phase, Plan, meaning


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run's numbers depend on besides its phases."""

    model: str
    data: str
    seed: int
    precision: str
    device: str
    is_compiled: bool


def node_keys(plan: Plan, setting: Setting) -> dict[str, str]:
    """The key of every phase by its id, 16 hex digits each."""
    root = _digest({"dsd_run": 1, **asdict(setting)})
    keys: dict[str, str] = {}
    horizons: dict[str, list[str]] = {}
    positions = {phase.id: index for index, phase in enumerate(plan.phases)}
    for phase in plan.phases:
        parent = keys[phase.parent] if phase.parent is not None else root
        content = {"parent": parent, "phase": _numbers(phase, positions, keys, root)}
        if phase.clock.kind == "global":
            if phase.path not in horizons:
                horizons[phase.path] = [str(member.duration.length) for member in plan.branch(phase.path).phases]
            content["horizon"] = horizons[phase.path]
        keys[phase.id] = _digest(content)[:16]
    return keys


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
        path = Path(reference.file or "")
        try:
            return hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise DsdError(f'`from="{path}"` cannot be read: {error.strerror}') from error
    node = keys[reference.phase] if reference.phase is not None else root
    offset = str(reference.offset.length) if reference.offset is not None else ""
    return f"{node}.{reference.moment}{offset}"


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
