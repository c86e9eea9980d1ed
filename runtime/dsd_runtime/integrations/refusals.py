"""Refuses what a schedule says and a trainer cannot follow, before the first update."""

from __future__ import annotations

import warnings

from torch.optim import Optimizer

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Phase, Plan
from dsd_runtime.engine.overrides import optimizer_class
from dsd_runtime.notices import DsdWarning


def require_followable(plan: Plan, optimizer: Optimizer) -> None:
    """Raises :class:`DsdError` for phases with another optimizer or batch size; warns of a batch size for all."""
    for phase in plan.phases:
        if phase.opt is not None and optimizer_class(phase.opt.name) is not type(optimizer):
            raise DsdError(
                f"phase `{_name(phase)}` has `opt={phase.opt.name}`, and the trainer steps its own "
                f"`{type(optimizer).__name__}`",
                help="give the trainer that optimizer for the whole schedule, or use a loop of your own",
            )
    sizes = {phase.batch for phase in plan.phases}
    if len(sizes) > 1:
        other = next(phase for phase in plan.phases if phase.batch != plan.phases[0].batch)
        raise DsdError(
            f"phase `{_name(other)}` has another `batch=` than the one before, and the trainer draws its own batches",
            help="leave `batch=` out, or use a loop of your own",
        )
    if sizes and (size := sizes.pop()) is not None:
        warnings.warn(
            f"`batch={size}` is not applied by a trainer, which draws its own batches", DsdWarning, stacklevel=2
        )


def require_time(needed: int, planned: float, advice: str) -> None:
    """Raises :class:`DsdError` if the trainer would end before the schedule."""
    if planned < needed:
        raise DsdError(f"the schedule has {needed} updates, and the trainer ends after {planned:g}", help=advice)


def _name(phase: Phase) -> str:
    return phase.label or phase.id
