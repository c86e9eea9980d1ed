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


def made_run(folder: Path, text: str, measure: Measure, *, untrained: tuple[str, ...] = (), **manifest: Any) -> Plan:
    """A finished run, but for the phases with the paths (or ids) in ``untrained``; returns its plan."""
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
    (folder / "metrics.jsonl").write_text("".join(line for rows in lines.values() for line in rows))
    return plan


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
