"""Records in a node's `weights.json` what its weights look like, for the report: nothing in it changes the training.

Of every node how many weights of each layer are not pruned; of a sparse one how much its mask shares with that of the
sparse phase before it; and where a boundary changes the masks, the weights before it, after it and at the node's end,
counted by value, pruned and surviving ones apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dsd_lang.base.layers import select
from dsd_lang.plan import Phase, Plan
from dsd_runtime.engine.events import Event
from dsd_runtime.engine.session import Session
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.masks.store import unpacked
from dsd_runtime.storage.checkpoint import load_checkpoint
from dsd_runtime.storage.durable import write_text
from dsd_runtime.tracking.tracker import NodeInTraining, Sink
from dsd_runtime.tracking.weight_counts import distribution, limits

Masks = dict[str, Tensor]


class WeightRecords(Sink):
    """Writes the record when a node is entered and when it has ended."""

    def __init__(self, folder: RunFolder, plan: Plan, keys: Mapping[str, str]) -> None:
        self._folder = folder
        self._plan = plan
        self._keys = keys
        self._before: dict[str, Tensor] = {}
        self._masks_before: Masks = {}
        self._dropped: Masks = {}
        self._record: dict[str, Any] = {}

    def before_boundary(self, node: NodeInTraining) -> None:
        """Copies the weights where the boundary may change the masks: which are pruned is known after it."""
        self._masks_before = _masks(node.session)
        may_change = node.phase.mode == "sparse" or bool(self._masks_before)
        self._before = {name: value.clone() for name, value in _matrices(node.session).items()} if may_change else {}

    def entered(self, node: NodeInTraining, events: Sequence[Event]) -> None:
        now = _masks(node.session)
        self._record = {**_alive(node.session), **self._overlap(node.phase, now)}
        self._dropped = {} if now else self._masks_before
        split = now or self._dropped
        if split and not _are_equal(self._masks_before, now):
            self._record_boundary(split, _matrices(node.session))
        self._before, self._masks_before = {}, {}
        if split:  # else everything is known at the end
            self._write(node.key)

    def resumed(self, node: NodeInTraining) -> None:
        """Goes on with what was recorded when the node was entered."""
        self._record = read_record(self._folder.weights_record(node.key))
        self._dropped = {}
        if "axis" in self._record and not node.session.masks:
            self._dropped = self._last_masks(node.phase, sparse_only=False)[1]

    def finished(self, node: NodeInTraining, metrics: dict[str, float], *, seconds: float) -> None:
        self._record |= _alive(node.session)
        split = _masks(node.session) or self._dropped
        if "axis" in self._record and split:
            weights = _matrices(node.session)
            if limits([weights]) is not None:  # what is not finite is told when the node is saved
                self._record["moments"]["end"] = distribution(weights, split, self._record["axis"])
        self._write(node.key)
        self._dropped = {}

    def _record_boundary(self, split: Masks, after: Mapping[str, Tensor]) -> None:
        sides = [{name: side[name] for name in split if name in side} for side in (self._before, after)]
        axis = limits(sides)
        if axis is not None:
            before, now = (distribution(side, split, axis) for side in sides)
            self._record |= {"axis": axis, "moments": {"before": before, "after": now}}

    def _overlap(self, phase: Phase, now: Masks) -> dict[str, Any]:
        """What the masks share with those of the sparse phase before them on the line."""
        if not now:
            return {}
        earlier, before = self._last_masks(phase, sparse_only=True)
        shared = [name for name in now if name in before and before[name].shape == now[name].shape]
        if earlier is None or not shared:
            return {}
        pairs = [(before[name].cpu(), now[name].cpu()) for name in shared]
        return {"overlap": {"phase": earlier.id, **_overlap(pairs)}}

    def _last_masks(self, phase: Phase, *, sparse_only: bool) -> tuple[Phase | None, Masks]:
        """The last trained phase before this one, with the masks at its end."""
        for earlier in reversed(self._plan.line(phase.id)[:-1]):
            end = self._folder.latest(self._keys[earlier.id], "end")
            if end is not None and (earlier.mode == "sparse" or not sparse_only):
                return earlier, _stored_masks(end)
        return None, {}

    def _write(self, key: str) -> None:
        write_text(self._folder.weights_record(key), json.dumps(self._record) + "\n", is_flushed=False)


def read_record(path: Path) -> dict[str, Any]:
    """What was recorded; nothing for a node without a record, or with a damaged one."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError, RecursionError):
        return {}


def _masks(session: Session) -> Masks:
    """The masks; none if the model is sharded, as this process has only some rows of them."""
    return {} if session.is_sharded else session.masks


def _matrices(session: Session) -> dict[str, Tensor]:
    named = session.model.named_parameters(remove_duplicate=False)
    return {name: value.detach() for name, value in named if value.dim() > 1}


def _alive(session: Session) -> dict[str, Any]:
    """The size of every weight that is or could be pruned, and how many of its values are not pruned."""
    weights, _ = select((), (), session.boundary.layers)
    sizes = {weight.first_name: weight.size for weight in weights if weight.made_by is None}
    counts = session.boundary.counts()
    return {"sizes": {**sizes, **counts["sizes"]}, "alive": {**sizes, **counts["alive"]}}


def _overlap(pairs: Sequence[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """The weights that both masks keep over those that either keeps, and the same for random masks of these sizes."""
    both = either = chance_both = chance_either = 0.0
    for before, now in pairs:
        both += int(torch.count_nonzero(before & now))
        either += int(torch.count_nonzero(before | now))
        kept_before, kept = int(torch.count_nonzero(before)), int(torch.count_nonzero(now))
        chance_both += (expected := kept_before * kept / max(1, now.numel()))
        chance_either += kept_before + kept - expected
    return {
        "jaccard": both / either if either else 1.0,
        "by_chance": chance_both / chance_either if chance_either else 1.0,
    }


def _are_equal(before: Masks, now: Masks) -> bool:
    return before.keys() == now.keys() and all(torch.equal(before[name], now[name]) for name in now)


def _stored_masks(checkpoint: Path) -> Masks:
    """The masks in a checkpoint; their shapes are those of its weights."""
    parts = load_checkpoint(checkpoint, ["session", "weights"])
    packed: Mapping[str, Tensor] = parts["session"]["boundary"]["masks"]
    found: Masks = {}
    for name, bits in packed.items():
        mask = unpacked(bits, parts["weights"][name].shape)
        assert mask is not None
        found[name] = mask
    return found
