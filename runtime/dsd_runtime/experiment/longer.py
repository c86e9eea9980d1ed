"""Continues a lengthened phase from the end of its shorter version, where the updates would be the same.

A phase of constant rate that is trained for 10 epochs does in its first 8 what one of 8 epochs does. So it is for every
phase whose numbers do not depend on its length (no `cosine`, `linear`, share of the length, ramp, `until` or `clock=`)
and whose shorter form ended with a pass over the data, as nothing is evaluated in between. Whatever else a phase is, is
in its open key, its content key without its length; a finished node keeps it.
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
from dsd_runtime.storage.durable import number_of

_ANY_LENGTH = Duration(unit="it", value="1")


@dataclass(frozen=True, slots=True)
class Shorter:
    """The finished checkpoint of a shorter form of a phase, its node's key, and how many updates it has."""

    checkpoint: Path
    key: str
    updates: int


def open_key(plan: Plan, phase: Phase, setting: RunSettings, *, updates_per_epoch: int) -> str | None:
    """A phase's key but for its length; None where its first updates depend on how many there are to come."""
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


def shorter_forms(prepared: Prepared, folder: RunFolder, keys: Mapping[str, str]) -> dict[str, Shorter]:
    """What nodes that are to be trained may go on from, by their keys."""
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
    """Whether the rate of an update hangs on its number alone."""
    if decay.kind == "step":
        return all(milestone.unit != "ratio" for milestone in decay.milestones)
    return decay.kind in ("constant", "exp")


def _open_key_of(end: Path) -> str | None:
    """The open key that a finished node wrote down; what is unreadable has none (its loading would say so)."""
    try:
        found = json.loads((end / "node.json").read_text(encoding="utf-8"))["open"]
    except (OSError, KeyError, TypeError, ValueError, RecursionError):
        return None
    return found if isinstance(found, str) else None
