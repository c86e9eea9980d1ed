"""Reads what a node's own files say beside the metrics: its weights by layer and at its boundaries, its entropies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, Field, ValidationError

from dsd_lang.plan import Plan
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.results.parts import LayerWeights, MaskOverlap, WeightGroup, WeightHistogram

Read = TypeVar("Read")
Moment = Literal["before", "after", "end"]


class _Sides(BaseModel):
    limit: float = Field(gt=0)
    pruned: WeightGroup
    surviving: WeightGroup


class _WeightsFile(BaseModel):
    sizes: dict[str, int] = Field(default_factory=dict)
    alive: dict[str, int] = Field(default_factory=dict)
    overlap: MaskOverlap | None = None
    moments: dict[Moment, dict[str, _Sides]] = Field(default_factory=dict)


class _LayerEntropy(BaseModel):
    entropy: float


class _EntropyFile(BaseModel):
    layers: dict[str, _LayerEntropy]


class NodeRecord(NamedTuple):
    """A node's weights by layer, what its mask shares with the one before it, its boundaries, entropies by layer."""

    layers: dict[str, LayerWeights]
    overlap: MaskOverlap | None
    moments: Mapping[Moment, Mapping[str, _Sides]]
    entropies: dict[str, float]


NO_RECORD = NodeRecord({}, None, {}, {})


def read_node(folder: RunFolder, key: str, notes: list[str]) -> NodeRecord:
    """What is there, which is nothing for nodes of earlier versions; what is damaged is left out and noted."""
    weights = _read(folder.weights_record(key), _WeightsFile.model_validate, notes) or _WeightsFile()
    entropies = _read(folder.entropies(key), _EntropyFile.model_validate, notes)
    return NodeRecord(
        layers={
            name: LayerWeights(size=size, alive=weights.alive[name])
            for name, size in weights.sizes.items()
            if size > 0 and 0 <= weights.alive.get(name, -1) <= size
        },
        overlap=weights.overlap,
        moments=weights.moments,
        entropies={} if entropies is None else {name: layer.entropy for name, layer in entropies.layers.items()},
    )


def histograms(plan: Plan, records: Mapping[str, NodeRecord]) -> Iterator[WeightHistogram]:
    """Those of the first seed, in the order of the plan."""
    for phase in plan.phases:
        if phase.seed_index or phase.id not in records:
            continue
        for moment, layers in records[phase.id].moments.items():
            for layer, sides in layers.items():
                yield WeightHistogram(
                    phase=phase.id, layer=layer, moment=moment, limit=sides.limit, pruned=sides.pruned,
                    surviving=sides.surviving,
                )  # fmt: skip


def _read(path: Path, validate: Callable[[Any], Read], notes: list[str]) -> Read | None:
    """A file's content; None where there is no file, or where it is damaged."""
    try:
        return validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError, ValueError, RecursionError):
        note = f"`{path.parent.name}/{path.name}` is damaged and left out"
        if note not in notes:
            notes.append(note)
        return None
