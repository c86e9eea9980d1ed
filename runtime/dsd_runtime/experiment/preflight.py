"""Checks the whole tree before anything is trained, and for `--dry-run`, by attaching every line once.

A mistake in the last branch is found here, and not after hours of training.
"""

from __future__ import annotations

from itertools import islice

import torch
from torch import nn

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Phase
from dsd_runtime.experiment.line import attached
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.training.relu_entropy import ReluEntropy
from dsd_runtime.training.tasks.choose import task_for

_LOOK_AT_BATCHES = 2


def check_tree(prepared: Prepared, model: nn.Module) -> None:
    """Raises :class:`DsdError` for the first part of any line that cannot be trained; ``model`` is not changed."""
    if prepared.measures_entropy:
        _check_relus(prepared, model)
    for path in dict.fromkeys(phase.path for phase in prepared.plan.phases):
        line = prepared.plan.branch(path)
        for phase in line.phases:
            _check_batch(prepared, phase)
        session = attached(prepared, line, model)
        session.check_ahead(lambda: model)  # fresh weights will be created the way this model was


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
