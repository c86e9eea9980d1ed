"""`dsd-run --evaluate`: the metrics of a run's last weights on validation and test data."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dsd_lang.base.errors import DsdError
from dsd_lang.views.table import aligned
from dsd_runtime.data.source import DataSource
from dsd_runtime.data.traits import DataTraits
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.setup import open_with_preset
from dsd_runtime.experiment.trained import TrainedRun, branches_of, load_run
from dsd_runtime.experiment.trust import refuse_code
from dsd_runtime.models.catalogue import preset_of
from dsd_runtime.tracking.console import shown_metrics
from dsd_runtime.tracking.warned import warnings_told
from dsd_runtime.training.precision import Precision, PrecisionName, choose_device
from dsd_runtime.training.tasks.choose import own_metrics_of, task_for
from dsd_runtime.user_code import users_report

EVALUATED_SPLITS = ("val", "test")


@dataclass(frozen=True, slots=True)
class EvaluationRequest:
    """The arguments of `dsd-run --evaluate FOLDER`; None for those not given."""

    folder: Path
    model: str | None = None
    data: str | None = None
    device: str = "auto"
    precision: PrecisionName | None = None
    workers: int = 0
    as_json: bool = False
    trusts_folder: bool = False


def execute_evaluation(request: EvaluationRequest) -> int:
    """Evaluates the main line and all branches, prints the metrics, and returns the exit code."""
    try:
        with warnings_told(lambda text: print(text, file=sys.stderr)):
            found = evaluate_run(request)
    except Exception as error:
        report = users_report(error, model=_named("model", request), data=_named("data", request))
        if report is not None:
            print(report, end="", file=sys.stderr)
            return 1
        if not isinstance(error, DsdError):
            raise
        print(f"error: {error}", file=sys.stderr)
        return 2
    if request.as_json:
        print(json.dumps({"run": str(request.folder), "lines": found}))
        return 0
    print(_table(found), end="")
    return 0


def _named(setting: str, request: EvaluationRequest) -> str | None:
    """The requested model or data, else that of the run's manifest."""
    asked = {"model": request.model, "data": request.data}[setting]
    if asked is not None:
        return asked
    try:
        manifest = RunFolder(request.folder).read_manifest()
    except DsdError:
        return None  # the error about the folder is more important
    return str(manifest[setting]) if manifest is not None and setting in manifest else None


def _table(found: Mapping[str, Mapping[str, float]]) -> str:
    """A row for each line and split, a column for each metric."""
    shown = {line: shown_metrics(dict(metrics)) for line, metrics in found.items()}
    names = list(dict.fromkeys(name.partition(".")[2] for metrics in shown.values() for name in metrics))
    rows = []
    for line, metrics in shown.items():
        for split in EVALUATED_SPLITS:
            cells = [f"{metrics[key]:.4g}" if (key := f"{split}.{name}") in metrics else "" for name in names]
            if any(cells):
                rows.append([line or "main line", split, *cells])
    return aligned(["line", "split", *names], rows)


def evaluate_run(request: EvaluationRequest) -> dict[str, dict[str, float]]:
    """The metrics of each line's last weights (`""` is the main line) on the existing splits."""
    lines = branches_of(request.folder)
    first = _loaded(request, lines[0] if lines else "")
    data = _open_data(request, first)
    runs = (first if line == first.branch else _loaded(request, line) for line in lines)
    return {run.branch: _evaluated(request, run, data) for run in runs}


def _loaded(request: EvaluationRequest, branch: str) -> TrainedRun:
    return load_run(request.folder, branch=branch, model=request.model, trusts_folder=request.trusts_folder)


def _open_data(request: EvaluationRequest, run: TrainedRun) -> DataSource:
    """The requested data, else the run's own, preprocessed like the training data."""
    spec = request.data or str(run.manifest["data"])
    if request.data is None and not request.trusts_folder:
        refuse_code("data", spec, f"the run in `{run.folder}`", "--trust-schedule")
    data = open_with_preset(spec, preset_of(str(run.manifest["model"])))
    _require_same_outputs(data.traits, run.traits, spec)
    if data.fingerprint == run.manifest.get("data_fingerprint"):
        return data
    if request.data is None:
        print(f"note: `{spec}` has changed since the run", file=sys.stderr)
    shown_as = getattr(data, "with_preprocessing", None)
    shown: DataSource = data if shown_as is None else shown_as(run.preprocess)
    return shown


def _require_same_outputs(data: DataTraits, run: DataTraits, spec: str) -> None:
    """Refuses data with other classes, characters or words than the model's outputs."""
    for what, here, there in (
        ("task", data.task, run.task),
        ("classes", data.class_names or data.num_classes, run.class_names or run.num_classes),
        ("alphabet", data.alphabet, run.alphabet),
        ("vocabulary", data.vocabulary, run.vocabulary),
    ):
        if here != there:
            raise DsdError(
                f"`{spec}` and the data that the run was trained on differ in their {what}",
                help=f"the run has {_short(there)}, `{spec}` has {_short(here)}",
            )


def _short(value: object) -> str:
    text = ", ".join(str(item) for item in value) if isinstance(value, tuple) else str(value)
    return f"`{text if len(text) <= 60 else text[:57] + '...'}`"


def _evaluated(request: EvaluationRequest, run: TrainedRun, data: DataSource) -> dict[str, float]:
    setting: Mapping[str, Any] = run.manifest.get("setting", {})
    precision = Precision(request.precision or setting.get("precision", "fp32"), choose_device(request.device))
    task = task_for(run.traits, own_metrics_of(data))
    model = run.model.to(precision.device)
    preset = preset_of(request.model or str(run.manifest["model"]))
    batch = run.plan.branch(run.branch).phases[-1].batch or preset.batch
    metrics: dict[str, float] = {}
    with torch.no_grad(), precision.autocast():
        for split in EVALUATED_SPLITS:
            if data.sizes.get(split):
                batches = data.evaluation_batches(split, batch_size=batch, workers=request.workers)
                found = task.evaluate(model, (item.to(precision.device) for item in batches))
                metrics |= {f"{split}.{name}": value for name, value in found.items()}
    return metrics
