"""Checks the whole tree before anything is trained, and for `--dry-run`, by attaching every line once.

A mistake in the last branch is found here, and not after hours of training.
"""

from __future__ import annotations

from itertools import islice

import torch
from torch import nn

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Phase, Plan
from dsd_lang.plan.seeds import phases_by_arm
from dsd_runtime.experiment.line import attached
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.models.registry import build_model
from dsd_runtime.training.relu_entropy import ReluEntropy
from dsd_runtime.training.tasks.choose import task_for

_LOOK_AT_BATCHES = 2


def check_tree(prepared: Prepared, model: nn.Module) -> None:
    """Raises :class:`DsdError` for the first part of any line that cannot be trained; ``model`` is not changed."""
    _check_calibrated_alike(prepared.plan)
    if prepared.measures_entropy:
        _check_relus(prepared, model)
    lines = prepared.plan.lines()
    for path in dict.fromkeys(phase.path for phase in prepared.plan.phases):
        line = prepared.plan.branch(path, lines)
        for phase in line.phases:
            _check_batch(prepared, phase)
        session = attached(prepared, line, model)
        session.check_ahead(lambda: model)  # fresh weights will be created the way this model was
        _check_teachers(prepared, line, model)


def _check_calibrated_alike(plan: Plan) -> None:
    """Raises :class:`DsdError` for a comparison in which one arm is evaluated with `calibrate=` and the other not."""
    by_arm = phases_by_arm(plan.phases)
    for comparison in plan.comparisons:
        found = [
            {phases[-1].calibrate for phases in by_arm.get(arm, {}).values()}
            for arm in (comparison.left, comparison.right)
        ]
        if len(found[0] | found[1]) > 1:
            raise DsdError(
                f"`compare {comparison.left} vs {comparison.right}`: their last phases differ in `calibrate=`",
                help="calibrate both arms alike, for instance by `set calibrate=100it`",
            )


def _check_batch(prepared: Prepared, phase: Phase) -> None:
    """Raises :class:`DsdError` if the schedule or the user sets a batch size larger than the training data.

    A model's preset may be larger: then the whole set is one batch.
    """
    batch, available = prepared.batch_size(phase.batch), prepared.updates_per_epoch(1)
    if batch > available and batch != prepared.preset.batch:
        raise DsdError(
            f"phase `{phase.label or phase.id}` has `batch={batch}`, and the data has {available} training samples",
            help=f"write a batch of at most {available}",
        )


def _check_teachers(prepared: Prepared, line: Plan, model: nn.Module) -> None:
    """Raises :class:`DsdError` for a teacher of another model whose logits are not those of ``model`` in number."""
    names = {phase.distill.model: phase for phase in line.phases if phase.distill is not None}
    for name, phase in names.items():
        if name is None:
            continue
        with torch.random.fork_rng():
            teacher = build_model(name, prepared.data.traits).to(prepared.precision.device)
            student, of_teacher = (_rows(prepared, one, phase) for one in (model, teacher))
        if student.shape != of_teacher.shape:
            raise DsdError(
                f"the teacher `{name}` of phase `{phase.label or phase.id}` gives logits of {list(of_teacher.shape)} "
                f"for a batch, and `{prepared.model_name}` of {list(student.shape)}",
                help="a teacher needs the student's classes and, for speech, its number of frames",
            )


def _rows(prepared: Prepared, model: nn.Module, phase: Phase) -> torch.Tensor:
    """The logits of one training batch; the model is left as it was."""
    batches = prepared.data.train_batches(batch_size=prepared.batch_size(phase.batch), epoch=0, key=0, workers=0)
    batch, was_training = next(iter(batches)).to(prepared.precision.device), model.training
    model.eval()
    try:
        with torch.no_grad(), prepared.precision.autocast():
            return task_for(prepared.data.traits).rows(model, batch)
    finally:
        model.train(was_training)


def _check_relus(prepared: Prepared, model: nn.Module) -> None:
    """Raises :class:`DsdError` if `entropy.relu` cannot be measured on the model: no ReLU, or varying positions."""
    size = prepared.batch_size(prepared.plan.phases[0].batch)
    task, was_training = task_for(prepared.data.traits), model.training
    batches = islice(prepared.data.evaluation_batches("val", batch_size=size, workers=0), _LOOK_AT_BATCHES)
    model.eval()
    try:
        with torch.random.fork_rng(), torch.no_grad(), prepared.precision.autocast(), ReluEntropy(model) as entropy:
            task.evaluate(model, (batch.to(prepared.precision.device) for batch in batches))
    finally:
        model.train(was_training)
    if not entropy.layers():
        raise DsdError(
            f"`entropy.relu` is read, but the forward pass of `{prepared.model_name}` has no ReLU",
            help="read another metric, such as `val.loss`",
        )
