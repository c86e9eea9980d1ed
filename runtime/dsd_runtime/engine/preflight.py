"""Checks before the first update that a linear plan can be run on a model.

Selectors, overrides and lengths are checked where they are resolved. This module checks what would otherwise fail at a
boundary: optimizers that cannot be built, sources of weights that are missing or have another shape, references past
the end of a phase, learning rates derived from 0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.optim import Optimizer

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Phase, Plan
from dsd_runtime.engine.origins import file_shapes, require_fitting, shapes_of
from dsd_runtime.engine.overrides import build_optimizer, optimizer_class, optimizer_options
from dsd_runtime.engine.rates import phase_rate
from dsd_runtime.engine.references import ClockReading, require_resettable, tensors_of
from dsd_runtime.engine.stages import Timeline


def check_optimizers(plan: Plan, optimizer: Optimizer) -> None:
    """Builds every `opt=` of a plan once on the real parameter groups; DsdError for what torch refuses."""
    choices = {phase.opt.model_dump_json(): phase.opt for phase in plan.phases if phase.opt is not None}
    for choice in choices.values():
        is_own = optimizer_class(choice.name) is type(optimizer)
        kept = (set(optimizer.defaults) if is_own else set()) - {"lr", *optimizer_options(choice)}
        groups = [{key: group[key] for key in ("params", *kept) if key in group} for group in optimizer.param_groups]
        build_optimizer(groups, choice, rate=1e-3)


def check_moments(plan: Plan, timeline: Timeline) -> None:
    """Raises DsdError for a moment such as `@a.500it` that is past the end of its phase."""
    stages = {stage.phase.id: stage for stage in timeline.stages}
    for point in plan.checkpoints:
        stage = stages.get(point.phase or "")
        if stage is None or point.moment != "at" or point.offset is None:
            continue
        if point.offset.length.updates(stage.updates_per_epoch) > stage.length:
            name = stage.phase.label or stage.phase.id
            raise DsdError(
                f"`@{name}.{point.offset.length}` is past the end of phase `{name}`, which has {stage.length} updates",
                help=f"refer to `@{name}.end`, or to an earlier point",
            )


def check_rates(timeline: Timeline, own_rate: float) -> None:
    """Raises DsdError for a learning rate derived from one that is 0, unless an `until` may end that phase earlier."""
    last_rates: dict[str, float] = {}
    for stage in timeline.stages:
        reading = ClockReading() if stage.phase.clock.kind == "reference" else None
        last = phase_rate(stage, timeline, last_rates, own_rate, reading)(stage.length)
        is_certain = stage.phase.until is None and not stage.phase.cycles and stage.phase.clock.kind != "reference"
        last_rates[stage.phase.id] = last if is_certain else last or 1.0


def check_sources(plan: Plan, model: nn.Module, factory: Callable[[], nn.Module] | None) -> None:
    """Checks the sources of weights: names and shapes in files, and whether random initialisation is possible."""
    for phase in plan.phases:
        reference = phase.from_.reference
        if reference is not None and reference.moment == "file":
            assert reference.file is not None
            require_fitting(file_shapes(reference.file), shapes_of(tensors_of(model)), phase)
    drawing = [phase for phase in plan.phases if "random" in (phase.from_.kind, phase.restore.kind)]
    if drawing and factory is None:
        require_resettable(model)
    elif drawing:
        _check_factory(factory, model, drawing)


def _check_factory(factory: Callable[[], nn.Module] | None, model: nn.Module, drawing: list[Phase]) -> None:
    assert factory is not None
    with torch.random.fork_rng(devices=[]):
        made = shapes_of(tensors_of(factory()))
    for phase in drawing:
        named = dict(model.named_parameters(remove_duplicate=False))
        wanted = tensors_of(model) if phase.from_.kind == "random" else named
        require_fitting(made, shapes_of(wanted), phase)
