"""What the user asked for in, everything a run needs out: plan, data, task, model builder, device, precision.

Who wins, for every setting: the command line, then the schedule's `set`, then the model's preset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

from torch import nn

import dsd_lang
from dsd_lang.base.errors import DsdError
from dsd_lang.base.metrics import FULL_NAMES, is_in_points
from dsd_lang.base.regular_files import read_regular
from dsd_lang.plan import Plan
from dsd_runtime.data.registry import open_data, parse_data_spec, takes_option
from dsd_runtime.data.source import DataSource
from dsd_runtime.experiment.keys import Setting
from dsd_runtime.experiment.metrics import Measured, require_measured
from dsd_runtime.experiment.scale import scaled_plan
from dsd_runtime.experiment.trust import require_trusted
from dsd_runtime.models.catalogue import Preset, preset_of, preset_settings
from dsd_runtime.models.registry import build_model
from dsd_runtime.training.precision import Precision, PrecisionName, choose_device
from dsd_runtime.training.tasks.choose import PRIMARY_METRIC, task_for
from dsd_runtime.training.tasks.task import Task


@dataclass(frozen=True, slots=True)
class Request:
    """The command line of `dsd-run`, as data; None where nothing was said."""

    schedule: Path
    model: str | None = None
    data: str | None = None
    out: Path | None = None
    device: str = "auto"
    precision: str | None = None
    is_compiled: bool = False
    seed: int | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    scale: str = "1"
    mode: Literal["auto", "resume", "fresh"] = "auto"
    is_dry: bool = False
    workers: int = 0
    progress: Literal["auto", "plain", "none"] = "auto"
    as_json: bool = False
    save_every_seconds: float = 60.0
    write_layers: Path | None = None
    trusts_schedule: bool = False


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a run needs."""

    request: Request
    plan: Plan
    model_name: str
    preset: Preset
    data_spec: str
    data: DataSource
    task: Task
    seed: int
    precision: Precision
    build: Callable[[], nn.Module]
    setting: Setting
    best_metric: str
    percent_metrics: frozenset[str]

    def updates_per_epoch(self, batch: int | None) -> int:
        return self.data.updates_per_epoch(self.batch_size(batch))

    def batch_size(self, batch: int | None) -> int:
        return batch if batch is not None else self.preset.batch


def prepare(request: Request) -> Prepared:
    """Compiles the schedule for its model, opens the data and fixes every setting; trains nothing."""
    _require_numbers(request)
    text, overrides = _read(request.schedule), dict(request.settings)
    first = dsd_lang.compile(text, source=str(request.schedule), overrides=overrides)
    model_name = _chosen(request.model, first, "model")
    if model_name is None:
        raise DsdError("no model is named", help='use `--model NAME`, or write `set model="..."` in the schedule')
    require_trusted(request, first.settings)
    preset = preset_of(model_name)
    plan = dsd_lang.compile(text, source=str(request.schedule), overrides=overrides, defaults=preset_settings(preset))
    plan = scaled_plan(plan, request.scale)
    data_spec = _chosen(request.data, first, "data") or preset.data
    data = _open(data_spec, preset)
    task = task_for(data.traits)
    best_metric = PRIMARY_METRIC[data.traits.task]
    require_measured(plan, Measured(task.name, task.metrics, data.sizes, best_metric))
    precision = Precision(_precision(request, first), choose_device(request.device))
    seed = request.seed if request.seed is not None else int(str(first.settings.get("seed", "0")))
    setting = Setting(
        model_name, f"{data_spec}#{data.fingerprint}", seed, precision.name, precision.device.type, request.is_compiled
    )
    return Prepared(
        request, plan, model_name, preset, data_spec, data, task, seed, precision,
        lambda: build_model(model_name, data.traits), setting, best_metric,
        frozenset(name for name in FULL_NAMES if is_in_points(name)),
    )  # fmt: skip


def _require_numbers(request: Request) -> None:
    if request.workers < 0:
        raise DsdError(
            f"`--workers {request.workers}` is below 0", help="write 0 to load the data in the training loop"
        )
    if not request.save_every_seconds > 0:
        raise DsdError(
            f"`--save-every {request.save_every_seconds:g}` is not above 0", help="write seconds, such as 60"
        )
    if request.seed is not None and request.seed < 0:
        raise DsdError(f"`--seed {request.seed}` is below 0", help="write a whole number of at least 0")


def _read(path: Path) -> str:
    try:
        return read_regular(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DsdError(f"DSD105: `{path}` is not UTF-8 (byte {error.start})", help="save it as UTF-8") from error
    except OSError as error:
        raise DsdError(f"`{path}` cannot be read: {error.strerror}") from error


def _chosen(flag: str | None, plan: Plan, name: str) -> str | None:
    if flag is not None:
        return flag
    value = plan.settings.get(name)
    return str(value) if value is not None else None


def _open(spec: str, preset: Preset) -> DataSource:
    """The data with the preset's options where its loader takes them; what the specification says wins."""
    said = parse_data_spec(spec).options
    wanted = {name: value for name, value in preset.data_options.items() if name not in said}
    return open_data(spec, **{name: value for name, value in wanted.items() if takes_option(spec, name)})


def _precision(request: Request, plan: Plan) -> PrecisionName:
    name = _chosen(request.precision, plan, "precision") or "fp32"
    if name not in ("fp32", "bf16", "fp16"):
        raise DsdError(f"there is no precision `{name}`", help="expected fp32, bf16 or fp16")
    return cast(PrecisionName, name)
