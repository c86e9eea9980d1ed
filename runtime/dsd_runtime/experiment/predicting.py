"""Keeps what the last nodes of compared branches predict on the test data, for the tests over test items."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import chain

import torch
from torch import nn

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Phase, Plan
from dsd_lang.plan.seeds import phases_by_arm
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.results.predictions import can_compare, predictions_file
from dsd_runtime.storage.checkpoint import load_checkpoint
from dsd_runtime.storage.durable import remove, write_text
from dsd_runtime.training.tasks.task import Prediction


def keep_predictions(prepared: Prepared, folder: RunFolder, keys: Mapping[str, str]) -> None:
    """Writes the predictions of every node that a `compare` needs and that has none yet; deletes those of others."""
    wanted = {keys[phase.id]: phase for phase in _compared(prepared.plan, folder, keys)}
    for stale in folder.predictions.glob("*.jsonl"):
        if stale.stem not in wanted:
            remove(stale)
    absent = {key: phase for key, phase in wanted.items() if not predictions_file(folder, key).is_file()}
    if not absent or not prepared.data.sizes.get("test"):
        return
    folder.predictions.mkdir(exist_ok=True)
    model = prepared.build().to(prepared.precision.device).eval()
    for key, phase in absent.items():
        lines = "".join(
            json.dumps(line, ensure_ascii=False) + "\n" for line in _predicted(prepared, folder, key, phase, model)
        )
        write_text(predictions_file(folder, key), lines)


def _compared(plan: Plan, folder: RunFolder, keys: Mapping[str, str]) -> Iterator[Phase]:
    """The last trained phase of every seed of every arm that is compared on a metric with a test over items."""
    arms = dict.fromkeys(arm for one in plan.comparisons if can_compare(one.on) for arm in (one.left, one.right))
    by_arm = phases_by_arm(plan.phases)
    for phases in chain.from_iterable(by_arm.get(arm, {}).values() for arm in arms):
        for member in reversed(plan.line(phases[-1].id)):
            if folder.state(keys[member.id], member.path) != "skipped":
                yield member
                break


def _predicted(prepared: Prepared, folder: RunFolder, key: str, phase: Phase, model: nn.Module) -> list[Prediction]:
    end = folder.latest(key, "end")
    if end is None:
        raise DsdError(f"phase `{phase.label or phase.id}` has no checkpoint", help="run the same command again")
    model.load_state_dict(load_checkpoint(end, ["weights"])["weights"])
    kept: list[Prediction] = []
    precision, batch = prepared.precision, prepared.batch_size(phase.batch)
    with torch.no_grad(), precision.autocast():
        batches = prepared.data.evaluation_batches("test", batch_size=batch, workers=prepared.request.workers)
        prepared.task.evaluate(model, (item.to(precision.device) for item in batches), keep=kept)
    return kept
