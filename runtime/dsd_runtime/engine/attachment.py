"""Builds a session from a linear plan, a model and its optimizer, and enters the first phase."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import nn
from torch.optim import Optimizer

from dsd_lang.plan import Plan
from dsd_lang.plan.setting_text import setting_text
from dsd_runtime.engine.distillation import BuildTeacher
from dsd_runtime.engine.foreign_optimizers import Accelerated, usable_optimizer
from dsd_runtime.engine.left_out import selection_notes
from dsd_runtime.engine.metric_table import Better, MetricTable
from dsd_runtime.engine.progression import Progression
from dsd_runtime.engine.ranks import require_sharded_optimizer
from dsd_runtime.engine.ranks import require_supported_wrapper as require_supported_ranks
from dsd_runtime.engine.references import ReferenceStore
from dsd_runtime.engine.scoring import measured_method
from dsd_runtime.engine.session import Session
from dsd_runtime.engine.stages import UpdatesPerEpoch
from dsd_runtime.engine.support import check_line
from dsd_runtime.notices import DsdWarning


def attach(
    plan: Plan,
    model: nn.Module,
    optimizer: Optimizer,
    *,
    steps_per_epoch: UpdatesPerEpoch,
    seed: int = 0,
    factory: Callable[[], nn.Module] | None = None,
    references: ReferenceStore | None = None,
    build_teacher: BuildTeacher | None = None,
    best_metric: str = "val.loss",
    percent_metrics: Iterable[str] = (),
    metrics: Mapping[str, Better] | None = None,
    enters_by_itself: bool = True,
    keeps_saved: bool = False,
    on_report: Callable[[Mapping[str, float]], None] | None = None,
    quick_step: bool = False,
    process_group: torch.distributed.ProcessGroup | None = None,
) -> Session:
    """Binds a linear plan to a model and its optimizer, enters the first phase and returns the session.

    ``steps_per_epoch`` is the number of optimizer updates per epoch (with gradient accumulation fewer than batches), or
    a function of the plan's phase. ``factory`` builds a new model of the same architecture, for `from=random` and
    `restore=random`; without it the modules' own `reset_parameters()` is used. ``best_metric`` decides `@label.best`.
    ``percent_metrics`` are reported in percent points, so that `10%` in a condition means 10 for them. ``metrics``
    gives the direction of your own metrics, such as ``{"val.f1": "higher"}``. ``on_report`` is called with the metrics
    of every report.

    ``build_teacher`` builds the model of `distill="file"(model=NAME)` from its name.

    With ``keeps_saved`` the values of pruned weights are kept even where no later phase of this plan has
    `restore=saved`: the checkpoint may be the start of another plan that does.

    If the first phase ranks by a score that needs a loss or batches (`by=snip`), it is entered by `session.score()`,
    and not yet.

    With ``enters_by_itself=False`` no phase is entered yet, and the loop enters each one with `session.enter_next()`.

    With ``quick_step`` `session.step()` computes the step of SGD, Adam and AdamW itself where the weights are on a CPU:
    the same bits in less time. Optimizers with hooks, schedulers or options such as `fused=True`, and all others, do
    their own step.

    ``process_group`` is for processes whose gradients are averaged by something that the model does not show, such as a
    trainer that keeps its `DistributedDataParallel` to itself: `torch.distributed.group.WORLD`, or another group. The
    group of a `DistributedDataParallel` or a sharded model is known.

    ``optimizer`` may be a wrapper: accelerate's is unwrapped, and its gradient scaler is used; the states of Lookahead
    and SAM are masked as well.

    Warns (:class:`DsdWarning`) once about frozen weights that the schedule names, about matrices that it unexpectedly
    leaves out, and about `set noise=`, which changes labels that a session does not see. Raises :class:`DsdError` for a
    plan with branches (naming them), for selectors that match nothing in the model, for weights that cannot be masked,
    for parts of the language that this version does not support, and for everything that would fail at a later boundary
    and can be checked now: files, optimizers, references, distribution.
    """
    check_line(plan)
    require_supported_ranks(model, process_group)
    used = usable_optimizer(optimizer)
    require_sharded_optimizer(model, used)
    line = Progression(
        plan,
        model,
        used,
        steps_per_epoch=steps_per_epoch,
        seed=seed,
        factory=factory,
        references=references,
        build_teacher=build_teacher,
        best_metric=best_metric,
        table=MetricTable(percent_metrics, metrics),
        keeps_saved=keeps_saved,
        process_group=process_group,
    )
    accelerated = Accelerated.of(optimizer)
    session = Session(
        line,
        enters_by_itself=enters_by_itself,
        on_report=on_report,
        accelerated=accelerated,
        is_quick=quick_step,
    )
    for note in (*_notes_on_settings(plan), *selection_notes(plan, session.boundary.layers)):
        warnings.warn(note, DsdWarning, stacklevel=2)
    if enters_by_itself:
        session.check_ahead(factory)
        if measured_method(plan.phases[0]) is None:
            session.begin()
    return session


def _notes_on_settings(plan: Plan) -> list[str]:
    """Notes about settings that a session cannot apply, because it does not see the data."""
    if plan.settings.get("noise", "none") == "none":
        return []
    return [
        f"`set noise={setting_text(plan.settings['noise'])}` is not applied by a session, which does not see your "
        "labels; train on `dsd_runtime.noisy_labels(plan, labels, num_classes=...)`"
    ]
