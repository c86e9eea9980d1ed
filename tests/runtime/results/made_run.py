"""Writes a run folder as `dsd-run` leaves it, with chosen measurements and without any training."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dsd_lang
from dsd_lang.plan import Phase, Plan
from dsd_lang.plan.content import content_keys

Measure = Callable[[Phase, int], Mapping[str, float | None]]
"""The metrics after each epoch (from 1) of a phase."""
Records = Callable[[Phase], Mapping[str, Any]]

FLOPS = {
    "samples": 5,
    "batch": "images 5 x 3",
    "layers": {
        "fc": {"forward": 100, "backward": 100, "weights": {"fc.weight": 30, "tied": 10}},
        "": {"forward": 7, "backward": 14, "weights": {}},
    },
    "teachers": {"resnet20": 50},
}
"""What a manifest says about FLOPs, but for the samples of a pass."""


def made_run(
    folder: Path,
    text: str,
    measure: Measure,
    *,
    untrained: tuple[str, ...] = (),
    records: Records = lambda phase: {},
    **manifest: Any,
) -> Plan:
    """A finished run, but for the phases with the paths (or ids) in ``untrained``; returns its plan.

    ``records`` are the other files of each node, by name.
    """
    plan = dsd_lang.compile(text)
    keys = content_keys(plan, "test", digest_of_file=lambda path: path)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(plan.to_json())
    described = {"dsd_run": 1, "nodes": keys, "finished": not untrained, "seed": 0, "setting": {}, **manifest}
    (folder / "manifest.json").write_text(json.dumps(described))
    lines: dict[str, list[str]] = {}
    for phase in plan.phases:
        if {phase.path, phase.id} & set(untrained) or keys[phase.id] in lines:
            continue
        lines[keys[phase.id]] = _rows(keys[phase.id], phase, measure)
        end = folder / "checkpoints" / keys[phase.id] / "end-10"
        end.mkdir(parents=True)
        (end / "checksums.json").write_text("{}")
        for name, content in records(phase).items():
            (end.parent / name).write_text(json.dumps(content))
    (folder / "metrics.jsonl").write_text("".join(line for rows in lines.values() for line in rows))
    return plan


def record_of(phase: Phase) -> dict[str, Any]:
    """A node's `weights.json` and `entropy.json`: two layers, the second pruned less; 100 weights in each."""
    alive = {"a.weight": 50, "b.weight": 80} if phase.mode == "sparse" else {"a.weight": 100, "b.weight": 100}
    has_boundary = phase.parent is not None
    weights = {
        "sizes": {"a.weight": 100, "b.weight": 100},
        "alive": alive,
        "overlap": {"phase": "p1", "jaccard": 0.75, "by_chance": 0.5} if int(phase.id[1:]) > 2 else None,
        "moments": {moment: _sides(number) for number, moment in enumerate(("before", "after", "end"))},
    }
    if not has_boundary or phase.mode != "sparse":
        weights["overlap"] = None
    if not has_boundary:
        weights["moments"] = {}
    layers = {"relu1": {"entropy": 0.5, "channels": 3}, "relu2": {"entropy": 0.25, "channels": 1}}
    return {"weights.json": weights, "entropy.json": {"layers": layers}}


def _sides(number: int) -> dict[str, Any]:
    """Distributions that differ by moment; the pruned ones are 0 after the boundary."""
    pruned = {"weights": 40, "zeros": 40 if number else 0, "mean_abs": 0.1, "counts": [0, 0 if number else 40, 0]}
    surviving = {"weights": 60, "zeros": 0, "mean_abs": 0.9, "counts": [30 - number, number, 30]}
    sides = {"limit": 1.5, "pruned": pruned, "surviving": surviving}
    return {"": sides, "a.weight": sides, "b.weight": {**sides, "surviving": {**surviving, "weights": 40}}}


def _rows(key: str, phase: Phase, measure: Measure) -> list[str]:
    epochs = int(phase.duration.length.value)
    sparsity = 0.5 if phase.mode == "sparse" else 0.0
    found: list[tuple[int, Mapping[str, float | None]]] = [(0, {"lr": 0.1, "sparsity": sparsity})]
    found += [(epoch, {"sparsity": sparsity, **measure(phase, epoch)}) for epoch in range(1, epochs + 1)]
    found.append((epochs, {"seconds": 2.0}))
    head = {"node": key, "label": phase.label or phase.id, "path": phase.path}
    return [
        json.dumps({**head, "epoch": float(epoch), "update": 10 * epoch, "name": name, "value": value}) + "\n"
        for epoch, values in found
        for name, value in values.items()
    ]
