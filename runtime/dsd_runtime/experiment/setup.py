"""Prepares a run from the request: plan, data, task, model builder, device, precision.

For every setting, the command line takes precedence over the schedule's `set`, and `set` over the model's preset.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from torch import nn

from dsd_lang.base.errors import DsdError
from dsd_lang.base.metrics import FULL_NAMES, is_in_points
from dsd_lang.plan import Plan
from dsd_runtime.data.own_metrics import directions
from dsd_runtime.data.registry import open_data, parse_data_spec, takes_option
from dsd_runtime.data.source import DataSource
from dsd_runtime.experiment.keys import RunSettings
from dsd_runtime.experiment.label_noise import LabelNoise, noise_for
from dsd_runtime.experiment.metrics import Measured, reads_entropy, require_measured
from dsd_runtime.experiment.request import Given, Request, ResolvedRequest, chosen
from dsd_runtime.models.catalogue import Preset
from dsd_runtime.models.registry import build_model
from dsd_runtime.training.precision import Precision, PrecisionName, choose_device
from dsd_runtime.training.tasks.choose import PRIMARY_METRIC, own_metrics_of, task_for
from dsd_runtime.training.tasks.task import Task

if TYPE_CHECKING:
    from dsd_runtime.experiment.torchrun import Group


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything that a run needs; ``group``: the processes of `torchrun` that train it."""

    request: Request
    plan: Plan
    unscaled: Plan
    model_name: str
    preset: Preset
    data_spec: str
    data: DataSource
    task: Task
    seed: int
    precision: Precision
    build: Callable[[], nn.Module]
    setting: RunSettings
    best_metric: str
    percent_metrics: frozenset[str]
    noise: LabelNoise | None = None
    measures_entropy: bool = False
    schedule_text: str = ""
    group: Group | None = None
    keeps_saved: bool = False
    """Whether any phase restores pruned values: branches share nodes, so all keep them."""

    @property
    def own_directions(self) -> dict[str, Literal["higher", "lower"]]:
        """Which way is better for the metrics that came with the data, by full name."""
        return directions(own_metrics_of(self.data))

    def training_data(self, seed_index: int) -> DataSource:
        """The training data of a phase: with the label noise of its seed index, if there is noise."""
        return self.data if self.noise is None else self.noise.training_data(seed_index)

    def updates_per_epoch(self, batch: int | None) -> int:
        return self.data.updates_per_epoch(self.batch_size(batch))

    def batch_size(self, batch: int | None) -> int:
        return batch if batch is not None else self.preset.batch


def prepare(request: Request, resolved: ResolvedRequest) -> Prepared:
    """Opens the data of a compiled schedule and resolves every setting; trains nothing."""
    plan, first, preset, model_name = resolved.plan, resolved.unscaled, resolved.preset, resolved.model_name
    data_spec = resolved.data_spec
    given = request.given or Given()
    data = open_with_preset(data_spec, preset) if given.data is None else given.data
    task = task_for(data.traits, own_metrics_of(data))
    best_metric = PRIMARY_METRIC[data.traits.task]
    require_measured(plan, Measured(task.name, task.metrics, data.sizes, best_metric))
    precision = Precision(_precision(request, first), choose_device(request.device))
    seed = request.seed if request.seed is not None else int(str(first.settings.get("seed", "0")))
    noise = noise_for(plan, data, seed=seed)
    live = given.model
    model_key = model_name if live is None else f"{model_name}#{live.fingerprint(data.traits)}"
    setting = RunSettings(
        model_key, f"{data_spec}#{data.fingerprint}", seed, precision.name, precision.device.type, request.is_compiled,
        noise=None if noise is None else noise.setting,
    )  # fmt: skip
    return Prepared(
        request, plan, first, model_name, preset, data_spec, data, task, seed, precision,
        lambda: build_model(model_name, data.traits) if live is None else live.build(data.traits), setting, best_metric,
        frozenset(name for name in FULL_NAMES if is_in_points(name)), noise, reads_entropy(plan), resolved.text,
        keeps_saved=any(phase.restore.kind == "saved" for phase in plan.phases),
    )  # fmt: skip


def open_with_preset(spec: str, preset: Preset) -> DataSource:
    """Opens the data with those options of the preset that its loader has; its own options take precedence."""
    said = parse_data_spec(spec).options
    wanted = {name: value for name, value in preset.data_options.items() if name not in said}
    return open_data(spec, **{name: value for name, value in wanted.items() if takes_option(spec, name)})


def _precision(request: Request, plan: Plan) -> PrecisionName:
    name = chosen(request.precision, plan, "precision") or "fp32"
    if name not in ("fp32", "bf16", "fp16"):
        raise DsdError(f"unknown precision `{name}`", help="expected fp32, bf16 or fp16")
    return cast(PrecisionName, name)
