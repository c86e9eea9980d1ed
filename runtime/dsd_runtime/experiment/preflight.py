"""The whole tree checked before anything is trained, and by `--dry-run`: every line is attached once, and not entered.

What only the last branch needs fails here and not after the hours that lead to it.
"""

from __future__ import annotations

from torch import nn

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Phase
from dsd_runtime.experiment.line import attached
from dsd_runtime.experiment.setup import Prepared


def check_tree(prepared: Prepared, model: nn.Module) -> None:
    """Raises :class:`DsdError` for the first thing in any line that cannot be trained; ``model`` stays as it is."""
    for path in dict.fromkeys(phase.path for phase in prepared.plan.phases):
        line = prepared.plan.branch(path)
        for phase in line.phases:
            _check_batch(prepared, phase)
        session = attached(prepared, line, model)
        session.check_ahead(lambda: model)  # what draws fresh weights later is what built this one


def _check_batch(prepared: Prepared, phase: Phase) -> None:
    """Raises :class:`DsdError` for a batch that is asked for and is larger than the training data.

    A model's usual batch may be: a set smaller than that is one batch.
    """
    batch, available = prepared.batch_size(phase.batch), prepared.updates_per_epoch(1)
    if batch > available and batch != prepared.preset.batch:
        raise DsdError(
            f"phase `{phase.label or phase.id}` has `batch={batch}`, and the data has {available} training samples",
            help=f"write a batch of at most {available}",
        )
