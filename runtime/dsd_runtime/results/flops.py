"""The FLOPs of phases from what a run has counted: those of one update by layer, and the masks over the updates.

*Executed* FLOPs are those of the dense kernels that ran, pruned weights included. *Theoretical* FLOPs leave out the
pruned weights: those of each layer times the share of its weights that is not masked (Evci et al., *Rigging the
Lottery*, ICML 2020, appendix H); the gradients of weights, as many products as the forward pass, only leave out those
that the phase's `enforce=` does not need, and none at mask updates (`update=`) that look at all. Both are of training
updates, with the forward passes of a teacher, which counts as dense; evaluations are not counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dsd_lang.plan import Phase
from dsd_lang.plan.enforcing import Enforcing
from dsd_lang.plan.moving import MaskUpdates
from dsd_runtime.results.parts import LayerFlops, MetricRow

TEACHER = "(teacher)"
"""Stands among the layers for the forward passes of a teacher."""
WHOLE = "(model)"
"""Stands for products that belong to no module below the model."""

FlopsByLayer = dict[str, LayerFlops]


@dataclass(frozen=True, slots=True)
class CountedLayer:
    """FLOPs of one layer for the counted batch, and the sizes of the weights it multiplies by."""

    forward: int
    backward: int
    weights: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CountedUpdate:
    """What was counted for one batch of ``samples``; ``batch`` says its shapes, ``teachers`` their forward passes.

    ``frozen`` has the backward passes by layer under each `freeze=`.
    """

    samples: int
    batch: str
    layers: Mapping[str, CountedLayer]
    teachers: Mapping[str, int]
    samples_per_epoch: Mapping[str, int]
    frozen: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> CountedUpdate | None:
        """None where nothing was counted: in a run of an earlier version, or where its record is damaged."""
        found = manifest.get("flops")
        if not isinstance(found, Mapping):
            return None
        try:
            layers = {name: CountedLayer(**layer) for name, layer in found["layers"].items()}
            return cls(**{**found, "layers": layers}) if found["samples"] > 0 else None
        except (AttributeError, KeyError, TypeError):
            return None

    def flops(self, phase: Phase, last: MetricRow, masked: Mapping[str, float] | None) -> FlopsByLayer | None:
        """Those of a phase up to its row ``last``, by layer; ``masked`` are the mean masked shares of its weights."""
        if phase.id not in self.samples_per_epoch:
            return None
        batches = last.epoch * self.samples_per_epoch[phase.id] / self.samples
        enforcing, dense = Enforcing.of(phase, 1), _share_with_all_gradients(phase, last)
        found = {
            name or WHOLE: _layer_flops(batches, layer, masked, enforcing, dense)
            for name, layer in self._layers_of(phase).items()
        }
        if phase.distill is not None:
            of_teacher = round(batches * self._forward_of_teacher(phase.distill.model))
            found[TEACHER] = LayerFlops(executed=of_teacher, theoretical=of_teacher)
        return found

    def _layers_of(self, phase: Phase) -> Mapping[str, CountedLayer]:
        backward = self.frozen.get(frozen_key(phase))
        if backward is None:
            return self.layers
        return {name: replace(layer, backward=backward.get(name, 0)) for name, layer in self.layers.items()}

    def _forward_of_teacher(self, model: str | None) -> int:
        if model is not None:
            return self.teachers.get(model, 0)
        return sum(layer.forward for layer in self.layers.values())


def frozen_key(phase: Phase) -> str:
    """A phase's `freeze=` as a key of JSON data."""
    return json.dumps(phase.freeze)


def masked_shares(densities: Path, *, updates: int) -> dict[str, float] | None:
    """The share of each weight that was masked, on average over the first ``updates`` of a phase, from its file.

    None where the file is missing or damaged.
    """
    try:
        found = json.loads(densities.read_text(encoding="utf-8"))["masked"]
        changes = [(int(at), {str(name): float(share) for name, share in masked.items()}) for at, masked in found]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    ends = [at for at, _ in changes[1:]] + [updates]
    shares: dict[str, float] = {}
    for (begin, masked), end in zip(changes, ends, strict=True):
        for name, share in masked.items():
            shares[name] = shares.get(name, 0.0) + share * max(0, min(end, updates) - begin) / max(1, updates)
    return shares


def added(parts: Iterable[FlopsByLayer | None]) -> FlopsByLayer | None:
    """The sum by layer; None if one of them is unknown, or there are none."""
    total: FlopsByLayer | None = None
    for part in parts:
        if part is None:
            return None
        before = total or {}
        total = {
            name: _plus(before.get(name, _NONE), part.get(name, _NONE)) for name in dict.fromkeys((*before, *part))
        }
    return total


def in_all(layers: FlopsByLayer | None) -> LayerFlops | None:
    """The sum over the layers."""
    if layers is None:
        return None
    total = _NONE
    for one in layers.values():
        total = _plus(total, one)
    return total


def _plus(one: LayerFlops, other: LayerFlops) -> LayerFlops:
    sides = [side for side in (one.theoretical, other.theoretical) if side is not None]
    return LayerFlops(executed=one.executed + other.executed, theoretical=sum(sides) if len(sides) == 2 else None)


_NONE = LayerFlops(executed=0, theoretical=0)


def _share_with_all_gradients(phase: Phase, last: MetricRow) -> float:
    """The share of a phase's updates that need the gradients of pruned weights: mask updates, but not those of SET."""
    moves = MaskUpdates.of(phase, max(1, round(last.update / last.epoch))) if last.epoch else None
    return 0.0 if moves is None or moves.name == "set" else moves.count(last.update) / max(1, last.update)


def _layer_flops(
    batches: float, layer: CountedLayer, masked: Mapping[str, float] | None, enforcing: Enforcing, dense: float
) -> LayerFlops:
    """``dense``: the share of updates that need all gradients."""
    executed, size = batches * (layer.forward + layer.backward), sum(layer.weights.values())
    if masked is None:
        return LayerFlops(executed=round(executed))
    pruned = sum(masked.get(name, 0.0) * count for name, count in layer.weights.items()) / max(1, size)
    of_gradients = min(layer.forward, layer.backward)
    needed = batches * of_gradients * (pruned - (1 - dense) * enforcing.without_gradient(pruned))
    return LayerFlops(executed=round(executed), theoretical=round(executed * (1 - pruned) + needed))
