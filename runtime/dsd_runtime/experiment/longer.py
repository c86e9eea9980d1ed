"""Continues a lengthened phase from the end of its shorter version, if the updates would be the same.

With a constant rate, the first 8 of 10 epochs are the same as a phase of 8 epochs. The same is true for every phase
whose results do not depend on its length (no `cosine`, `linear`, share of the length, ramp, `until` or `clock=`), if
its shorter version ended with a pass over the data, because nothing is evaluated in between. Everything else about a
phase is in its open key, which is its content key without the length; a finished node stores it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dsd_lang.plan import Decay, Duration, Phase, Plan
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.keys import RunSettings, node_keys
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.storage.durable import number_of, write_text
from dsd_runtime.tracking.jsonl import entries

_ANY_LENGTH = Duration(unit="it", value="1")


@dataclass(frozen=True, slots=True)
class Shorter:
    """A finished checkpoint of a shorter version of a phase: its path, its node's key, its number of updates."""

    checkpoint: Path
    key: str
    updates: int


def open_key(plan: Plan, phase: Phase, setting: RunSettings, *, updates_per_epoch: int) -> str | None:
    """A phase's key without its length; None if its first updates depend on its length."""
    if not _is_open(plan, phase):
        return None
    before = plan.phases[: plan.phases.index(phase)]
    of_any_length = phase.model_copy(update={"duration": _ANY_LENGTH})
    keys = node_keys(plan.model_copy(update={"phases": (*before, of_any_length)}), setting)
    return f"{keys[phase.id]}/{updates_per_epoch}"


def find_shorter(folder: RunFolder, key: str | None, *, updates: int, updates_per_epoch: int) -> Shorter | None:
    """The longest finished node with that open key that is shorter and ended with a pass over the data."""
    if key is None:
        return None
    found = [
        Shorter(end, end.parent.name, number_of(end))
        for end in folder.checkpoints.glob("*/end-*")
        if end.name[4:].isdigit() and number_of(end) % updates_per_epoch == 0 and 0 < number_of(end) < updates
    ]
    fitting = [shorter for shorter in found if _open_key_of(shorter.checkpoint) == key]
    return max(fitting, key=lambda shorter: shorter.updates, default=None)


def take_over_records(folder: RunFolder, shorter: Shorter, key: str) -> None:
    """Gives the longer phase the metrics of its shorter version, and the record of how both were entered."""
    during = [
        line for line in entries(folder.node_metrics(shorter.key)) if not str(line.get("name")).startswith("test.")
    ]
    write_text(folder.node_metrics(key), "".join(json.dumps({**line, "node": key}) + "\n" for line in during))
    record = folder.weights_record(shorter.key)
    if record.is_file():
        write_text(folder.weights_record(key), record.read_text(encoding="utf-8", errors="replace"))


def shorter_forms(prepared: Prepared, folder: RunFolder, keys: Mapping[str, str]) -> dict[str, Shorter]:
    """The checkpoints from which nodes to be trained can continue, by node key."""
    found: dict[str, Shorter] = {}
    for phase in prepared.plan.phases:
        key, updates_per_epoch = keys[phase.id], prepared.updates_per_epoch(phase.batch)
        if key in found or folder.state(key) != "to train":
            continue
        wanted = open_key(prepared.plan, phase, prepared.setting, updates_per_epoch=updates_per_epoch)
        updates = phase.duration.length.updates(updates_per_epoch)
        shorter = find_shorter(folder, wanted, updates=updates, updates_per_epoch=updates_per_epoch)
        if shorter is not None:
            found[key] = shorter
    return found


def _is_open(plan: Plan, phase: Phase) -> bool:
    has_conditions = any(member.until is not None or member.cycles for member in plan.phases)
    is_referred_to = any(point.phase == phase.id for point in plan.checkpoints)
    is_ramp = phase.target is not None and phase.target.kind in ("ramp", "list")
    return (
        not (has_conditions or is_referred_to or is_ramp)
        and phase.clock.kind == "phase"
        and _is_absolute(phase.lr.decay)
        and phase.lr.warmup is None
    )


def _is_absolute(decay: Decay) -> bool:
    """Whether the rate of an update depends only on its index."""
    if decay.kind == "step":
        return all(milestone.unit != "ratio" for milestone in decay.milestones)
    return decay.kind in ("constant", "exp")


def _open_key_of(end: Path) -> str | None:
    """The open key stored by a finished node; None if it cannot be read (loading the node reports that)."""
    try:
        found = json.loads((end / "node.json").read_text(encoding="utf-8"))["open"]
    except (OSError, KeyError, TypeError, ValueError, RecursionError):
        return None
    return found if isinstance(found, str) else None
