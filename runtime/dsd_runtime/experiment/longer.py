"""Continues a lengthened phase from the end of its shorter version, if the updates would be the same.

With a constant rate, the first 8 of 10 epochs are the same as a phase of 8 epochs. The same is true for every phase
whose results do not depend on its length (no `cosine`, `linear`, share of the length, ramp, `update=`, `until` or
`clock=`), if its shorter version ended with a pass over the data, because nothing is evaluated in between. Everything
else about a phase is in its open key, which is its content key without the length; a finished node stores it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dsd_lang.plan import Decay, Duration, Phase, Plan
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.keys import RunSettings, phase_keys
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


class OpenKeys:
    """The open keys of a plan's phases; ``keys`` are their own."""

    def __init__(self, plan: Plan, setting: RunSettings, keys: Mapping[str, str]) -> None:
        self._computed = phase_keys(plan, setting, keys)
        self._has_conditions = any(phase.until is not None or phase.cycles for phase in plan.phases)
        self._referred_to = {point.phase for point in plan.checkpoints}

    def of(self, phase: Phase, *, updates_per_epoch: int) -> str | None:
        """A phase's key without its length; None if its first updates depend on its length."""
        if self._has_conditions or phase.id in self._referred_to or not _is_open(phase):
            return None
        of_any_length = phase.model_copy(update={"duration": _ANY_LENGTH})
        return f"{self._computed.of(of_any_length)}/{updates_per_epoch}"


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
    ended = _ended_nodes(folder)
    if not ended:
        return {}
    open_keys = OpenKeys(prepared.plan, prepared.setting, keys)
    found: dict[str, Shorter] = {}
    for phase in prepared.plan.phases:
        key, updates_per_epoch = keys[phase.id], prepared.updates_per_epoch(phase.batch)
        if key in found or folder.state(key) != "to train":
            continue
        wanted = open_keys.of(phase, updates_per_epoch=updates_per_epoch)
        updates = phase.duration.length.updates(updates_per_epoch)
        shorter = _longest(ended.get(wanted, ()) if wanted is not None else (), updates, updates_per_epoch)
        if shorter is not None:
            found[key] = shorter
    return found


def _ended_nodes(folder: RunFolder) -> dict[str, list[Shorter]]:
    """The finished nodes of a folder by their open key."""
    found: dict[str, list[Shorter]] = {}
    for end in folder.checkpoints.glob("*/end-*"):
        open_key = _open_key_of(end) if end.name[4:].isdigit() else None
        if open_key is not None:
            found.setdefault(open_key, []).append(Shorter(end, end.parent.name, number_of(end)))
    return found


def _longest(nodes: Iterable[Shorter], updates: int, updates_per_epoch: int) -> Shorter | None:
    """The longest node that is shorter and ended with a pass over the data."""
    fitting = [node for node in nodes if node.updates % updates_per_epoch == 0 and 0 < node.updates < updates]
    return max(fitting, key=lambda node: node.updates, default=None)


def _is_open(phase: Phase) -> bool:
    is_ramp = phase.target is not None and phase.target.kind in ("ramp", "list")
    is_moving = phase.update is not None  # the share of weights that moves falls over the length
    is_fixed = not is_ramp and not is_moving and phase.clock.kind == "phase"
    return is_fixed and _is_absolute(phase.lr.decay) and phase.lr.warmup is None


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
