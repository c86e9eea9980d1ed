"""Reads a run folder into `Results`, without torch and without training.

A half-written, damaged or older folder gives what is there; the notes say what is not.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Phase, Plan
from dsd_lang.views.table import target_text
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.results.comparisons import compare_arms
from dsd_runtime.results.expectations import check_expectations
from dsd_runtime.results.flops import CountedUpdate, added, in_all
from dsd_runtime.results.measurements import Measurements
from dsd_runtime.results.node_records import NO_RECORD, NodeRecord, histograms, read_node
from dsd_runtime.results.parts import Cost, MetricRow, PhaseResult, Provenance
from dsd_runtime.results.results import MetricRows, Results

Found = TypeVar("Found")


def read_results(run: str | Path) -> Results:
    """The results of a run folder, at any moment of the run and after it.

    Raises :class:`DsdError` where there is no run folder, or its plan cannot be read.
    """
    folder = RunFolder(Path(run))
    notes: list[str] = []
    plan = folder.read_plan()
    if plan is None:
        raise _no_run(folder.root)
    manifest = _tried(folder.read_manifest, notes) or {}
    rows = _metric_rows(folder, notes)
    nodes = {str(phase): str(key) for phase, key in manifest.get("nodes", {}).items()}
    measured = Measurements.of(plan, nodes, folder, rows, _own_metrics(manifest), CountedUpdate.of_manifest(manifest))
    records = {phase.id: read_node(folder, nodes[phase.id], notes) for phase in plan.phases if phase.id in nodes}
    phases = tuple(_phase_result(phase, measured, records.get(phase.id, NO_RECORD)) for phase in plan.phases)
    missing = sum(phase.state not in ("trained", "skipped") for phase in phases)
    if missing:
        notes.append(f"{missing} of {len(phases)} phases are not trained to their end")
    provenance = _provenance(plan, manifest, notes)
    comparisons = compare_arms(plan, measured, provenance, notes)
    results = Results(
        run=folder.root.resolve().name,
        finished=bool(manifest.get("finished")) and not missing,
        phases=phases,
        comparisons=comparisons,
        expectations=check_expectations(plan, measured, comparisons),
        cost=_cost(plan, measured),
        provenance=provenance,
        notes=tuple(notes),
        metrics=MetricRows(rows),
        weights=tuple(histograms(plan, records)),
    )
    return results.with_plan(plan)


def _no_run(path: Path) -> DsdError:
    """Why a path is no run folder, and which one may be meant."""
    if not path.exists():
        return DsdError(f"`{path}` does not exist", help="give the folder that `dsd-run` wrote (`--out`)")
    above = path.parent
    if path.is_file():
        help = "give the folder that `dsd-run` wrote (`--out`)"
        if RunFolder(above).plan.is_file():
            help = f"give its folder, `{above}`"
        elif path.suffix == ".dsd":
            help = f"`dsd-run {path}` trains it, and names the folder"
        return DsdError(f"`{path}` is a file, not a run folder", help=help)
    inside = sorted(str(child) for child in path.iterdir() if child.is_dir() and RunFolder(child).plan.is_file())
    listed = ", ".join(f"`{child}`" for child in inside[:8])
    help = (
        f"there {'are' if len(inside) > 1 else 'is'} {listed}"
        if inside
        else "give the folder that `dsd-run` wrote (`--out`)"
    )
    return DsdError(f"`{path}` is not a run folder", help=help)


def _tried(read: Callable[[], Found | None], notes: list[str]) -> Found | None:
    """What ``read`` gives, or None after noting what is damaged."""
    try:
        return read()
    except DsdError as error:
        notes.append(error.message)
        return None


def _metric_rows(folder: RunFolder, notes: list[str]) -> list[MetricRow]:
    try:
        text = folder.metrics.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        notes.append("`metrics.jsonl` is missing: nothing was measured yet")
        return []
    except OSError as error:
        notes.append(f"`metrics.jsonl` cannot be read: {error.strerror}")
        return []
    rows, damaged = [], 0
    for line in text.splitlines():
        try:
            entry = json.loads(line)
            rows.append(MetricRow(**{name: entry[name] for name in MetricRow.model_fields}))
        except (KeyError, TypeError, ValueError, ValidationError, RecursionError):
            damaged += 1
    if damaged:
        notes.append(f"{damaged} lines of `metrics.jsonl` are damaged and left out")
    return rows


def _phase_result(phase: Phase, measured: Measurements, record: NodeRecord) -> PhaseResult:
    row = measured.last_row(phase)
    at_end = measured.at_end(phase)
    flops = measured.flops(phase)
    total = in_all(flops)
    return PhaseResult(
        id=phase.id,
        parent=phase.parent,
        path=phase.path,
        label=phase.label,
        node=measured.nodes.get(phase.id),
        mode=phase.mode,
        target=target_text(phase.target) if phase.target is not None else None,
        seed=phase.seed_index,
        variables=phase.variables,
        length=str(phase.duration.length),
        updates=row.update if row is not None else None,
        epochs=row.epoch if row is not None else None,
        lr=measured.first_rate(phase),
        sparsity=at_end.get("sparsity"),
        state=measured.state(phase),
        seconds=measured.seconds(phase),
        flops_executed=total.executed if total is not None else None,
        flops_theoretical=total.theoretical if total is not None else None,
        flops_by_layer=flops or {},
        metrics={name: value for name, value in at_end.items() if name != "sparsity"},
        layers=record.layers,
        entropies=record.entropies,
        overlap=record.overlap,
    )


def _cost(plan: Plan, measured: Measurements) -> Cost:
    """Each node once: a phase that several branches share was trained once."""
    phases = sorted(plan.phases, key=lambda phase: measured.state(phase) != "skipped")  # one branch may skip it alone
    nodes = {measured.nodes.get(phase.id, phase.id): phase for phase in phases}
    trained = [phase for phase in nodes.values() if measured.state(phase) == "trained"]
    ends = [row for phase in trained if (row := measured.last_row(phase)) is not None]
    seconds = [spent for phase in trained if (spent := measured.seconds(phase)) is not None]
    states = [measured.state(phase) for phase in nodes.values()]
    flops = added(map(measured.flops, trained))
    total = in_all(flops)
    return Cost(
        epochs=round(sum(row.epoch for row in ends), 6),
        updates=sum(row.update for row in ends),
        density_weighted_epochs=round(sum(map(measured.density_weighted_epochs, trained)), 6),
        flops_executed=total.executed if total is not None else None,
        flops_theoretical=total.theoretical if total is not None else None,
        flops_by_layer=flops or {},
        flops_counted_on=measured.counted.batch if measured.counted is not None and flops else None,
        seconds=round(sum(seconds), 3) if seconds else None,
        trained=states.count("trained"),
        shared=len(plan.phases) - len(nodes),
        skipped=states.count("skipped"),
        missing=sum(state not in ("trained", "skipped") for state in states),
    )


def _own_metrics(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The directions of the user's own metrics; what is damaged counts as not declared."""
    found = manifest.get("own_metrics")
    known = found.items() if isinstance(found, Mapping) else ()
    return {str(name): better for name, better in known if better in ("higher", "lower")}


def _provenance(plan: Plan, manifest: Mapping[str, Any], notes: list[str]) -> Provenance:
    noise = manifest.get("label_noise")
    found = {
        name: manifest[name]
        for name in Provenance.model_fields
        if name != "plan_hash" and manifest.get(name) is not None
    }
    found["own_metrics"] = _own_metrics(manifest)
    if isinstance(noise, Mapping) and "noise" in noise:
        found["noise"] = noise["noise"]
    try:
        return Provenance(plan_hash=plan.hash, **_printable(found))
    except ValidationError as error:
        damaged = {str(one["loc"][0]) for one in error.errors()}
        notes.append(f"`manifest.json` is damaged, and left out: {', '.join(sorted(damaged))}")
        kept = {name: value for name, value in found.items() if name not in damaged}
        return Provenance(plan_hash=plan.hash, **_printable(kept))


def _printable(value: Any) -> Any:
    """JSON with text that can be written: a damaged file may have halves of characters."""
    if isinstance(value, str):
        return value.encode("utf-8", errors="replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {_printable(name): _printable(part) for name, part in value.items()}
    return [_printable(part) for part in value] if isinstance(value, list) else value
