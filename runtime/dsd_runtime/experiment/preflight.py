"""Checks the whole tree before anything is trained, and for `--dry-run`, by attaching every line once.

A mistake in the last branch is found here, and not after hours of training.
"""

from __future__ import annotations

from torch import nn

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Phase
from dsd_runtime.experiment.line import attached
from dsd_runtime.experiment.setup import Prepared


def check_tree(prepared: Prepared, model: nn.Module) -> None:
    """Raises :class:`DsdError` for the first part of any line that cannot be trained; ``model`` is not changed."""
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
