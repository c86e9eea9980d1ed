"""What `manifest.json` says about the FLOPs of a run: those of one update by layer, and of the teachers."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dsd_lang.base.layers import LayerInfo
from dsd_lang.plan import Phase, Plan
from dsd_runtime.data.batch import Batch
from dsd_runtime.engine.frozen import Frozen
from dsd_runtime.experiment.flops import forward_flops, update_flops, weights_of_layers
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.models.registry import build_model
from dsd_runtime.results.flops import frozen_key
from dsd_runtime.training.tasks.choose import task_for


def flops_of_run(prepared: Prepared, model: nn.Module, layers: Sequence[LayerInfo]) -> dict[str, Any] | None:
    """The FLOPs of one batch as plain data (see :mod:`dsd_runtime.results.flops`); the generators do not change.

    None, after a note, for a model that cannot be run under a counter.
    """
    with torch.random.fork_rng(), warnings.catch_warnings(action="ignore"):
        try:
            return _counted(prepared, model, layers)
        except Exception as error:  # noqa: BLE001  (if the model itself is broken, the training will say so)
            told = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"note: the FLOPs of `{prepared.model_name}` are not counted: {told}", file=sys.stderr)
            return None


def earlier_flops(prepared: Prepared, manifest: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Those of the folder's last run, if it was a run of the same plan with the same setting."""
    now = (prepared.plan.hash, asdict(prepared.setting))
    if manifest is None or (manifest.get("plan_hash"), manifest.get("setting")) != now:
        return None
    found = manifest.get("flops")
    return found if isinstance(found, dict) else None


def _counted(prepared: Prepared, model: nn.Module, layers: Sequence[LayerInfo]) -> dict[str, Any]:
    task, plan, data = task_for(prepared.data.traits), prepared.plan, prepared.data
    first = next(iter(data.train_batches(batch_size=prepared.batch_size(plan.phases[0].batch), epoch=1, key=0)))
    batch = first.to(prepared.precision.device)
    with prepared.precision.autocast():
        found = update_flops(model, lambda: task.loss(model, batch))
        frozen = {
            frozen_key(phase): dict(update_flops(part, lambda: task.loss(model, batch)).backward)
            for phase, part in _partly_frozen(plan, model, layers)
        }
        teachers = {
            name: forward_flops(partial(task.rows, teacher, batch)) for name, teacher in _teachers(prepared).items()
        }
    weights = weights_of_layers(list(found.forward | found.backward), layers)
    return {
        "samples": len(batch),
        "batch": _shapes(batch),
        "layers": {
            name: {"forward": found.forward[name], "backward": found.backward[name], "weights": weights[name]}
            for name in weights
        },
        "teachers": teachers,
        **({"frozen": frozen} if frozen else {}),
        "samples_per_epoch": {phase.id: _samples_per_epoch(prepared, phase.batch) for phase in plan.phases},
    }


def _partly_frozen(plan: Plan, model: nn.Module, layers: Sequence[LayerInfo]) -> Iterator[tuple[Phase, nn.Module]]:
    """The model as each different `freeze=` of the plan leaves it."""
    frozen = Frozen(model, drops_gradients=False)
    for phase in {phase.freeze: phase for phase in plan.phases if phase.freeze}.values():
        frozen.enter(frozen.choose(phase, layers), None)
        try:
            yield phase, model
        finally:
            frozen.leave()


def _teachers(prepared: Prepared) -> dict[str, nn.Module]:
    names = {phase.distill.model for phase in prepared.plan.phases if phase.distill is not None}
    device = prepared.precision.device
    return {name: build_model(name, prepared.data.traits).to(device) for name in names if name is not None}


def _samples_per_epoch(prepared: Prepared, batch: int | None) -> int:
    """Without the last samples where a data source leaves out an incomplete batch."""
    size = prepared.batch_size(batch)
    return min(prepared.updates_per_epoch(batch) * size, prepared.data.sizes["train"])


def _shapes(batch: Batch) -> str:
    """`features 16 x 312 x 161`: what the count depends on."""
    tensors = [(field.name, getattr(batch, field.name)) for field in fields(batch)]
    return ", ".join(
        f"{name} {' x '.join(map(str, value.shape))}"
        for name, value in tensors
        if isinstance(value, Tensor) and value.dim() > 1
    )
