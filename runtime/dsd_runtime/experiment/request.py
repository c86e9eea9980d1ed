"""Resolves the command line of `dsd-run`, and checks everything that can be checked without torch.

`dsd_runtime.run` gives a request too, and may give live objects instead of names.

For every setting, the command line takes precedence over the schedule's `set`, and `set` over the model's preset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import dsd_lang
from dsd_lang.base.errors import DsdError, nearest
from dsd_lang.base.python_names import TORCHVISION
from dsd_lang.base.regular_files import read_regular
from dsd_lang.plan import Plan
from dsd_lang.plan.scaling import scaled_plan
from dsd_runtime.experiment.trust import require_trusted, require_trusted_teachers
from dsd_runtime.models.catalogue import GENERIC_PRESET, Preset, is_built_in, preset_of, preset_settings

if TYPE_CHECKING:
    from dsd_runtime.data.source import DataSource
    from dsd_runtime.models.live import LiveModel


@dataclass(frozen=True, slots=True)
class Request:
    """The command line of `dsd-run` as data; None for arguments not given.

    ``given`` is what a Python program gives instead of names. ``model`` and ``data`` are then names to show.
    """

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
    threads: int | None = None
    trusts_schedule: bool = False
    keeps_predictions: bool = True
    jobs: int = 1
    ray: str | None = None
    slurm: str | None = None
    is_sharded: bool = False
    syncs_batch_norm: bool = False
    given: Given | None = None

    @property
    def is_shared(self) -> bool:
        """Whether other processes train the phases."""
        return self.jobs > 1 or self.ray is not None or self.slurm is not None

    @property
    def is_quiet(self) -> bool:
        """Whether the plan and the estimate are not printed: a dry run has them in its JSON."""
        return (self.as_json and self.is_dry) or (self.given is not None and self.progress == "none")


@dataclass(frozen=True, slots=True)
class Given:
    """Live objects of a Python program: the schedule as text or plan, the model as a factory, the data."""

    text: str | None = None
    plan: Plan | None = None
    model: LiveModel | None = None
    data: DataSource | None = None


@dataclass(frozen=True, slots=True)
class ResolvedRequest:
    """A request's plan, with lengths scaled by `--scale` and as written, and its model and data."""

    plan: Plan
    unscaled: Plan
    model_name: str
    preset: Preset
    data_spec: str
    text: str = ""


def resolve(request: Request) -> ResolvedRequest:
    """Compiles the schedule for its model; raises :class:`DsdError` for every mistake found so far."""
    _require_numbers(request)
    given = request.given or Given()
    if request.is_shared and (given.model is not None or given.data is not None):
        raise DsdError(
            "a model or data given as a Python object cannot be sent to other processes",
            help="name it, as in model='package.module:factory', or train in one process",
        )
    text = "" if given.plan is not None else _read(request.schedule) if given.text is None else given.text
    first = given.plan or _compiled(request, text)
    model_name = chosen(request.model, first, "model")
    if model_name is None:
        raise DsdError(
            "no model was given",
            help='use `--model NAME` (listed by `dsd-run --list-models`), or write `set model="..."` in the schedule',
        )
    require_trusted(request, first.settings)
    require_trusted_teachers(request, first)
    _require_no_file(model_name)
    preset = preset_of(model_name) if given.model is None else GENERIC_PRESET
    data_spec = chosen(request.data, first, "data")
    if data_spec is None and given.model is not None:
        raise DsdError("a model factory needs a data set", help='give `data=`, a name such as "digits" or a source')
    if data_spec is None and not is_built_in(model_name) and model_name.partition(":")[0] != TORCHVISION:
        raise DsdError(
            f"`{model_name}` is your own model, so it needs a data set",
            help="use `--data NAME` (listed by `dsd-run --list-data`), or `--data package.module:factory` of your own",
        )
    _require_no_file(data_spec or "")
    plan = _completed(first, preset) if given.plan is not None else _compiled(request, text, preset)
    return ResolvedRequest(scaled_plan(plan, request.scale), first, model_name, preset, data_spec or preset.data, text)


def _compiled(request: Request, text: str, preset: Preset | None = None) -> Plan:
    defaults = None if preset is None else preset_settings(preset)
    return dsd_lang.compile(text, source=str(request.schedule), overrides=dict(request.settings), defaults=defaults)


def _completed(plan: Plan, preset: Preset) -> Plan:
    """A compiled plan with the preset's optimizer, weight decay, clipping and batch where its phases have none."""
    standard = dsd_lang.compile("dense 1ep", defaults=preset_settings(preset)).phases[0]
    wanted = {name: getattr(standard, name) for name in ("opt", "wd", "clip", "batch")}
    phases = tuple(
        phase.model_copy(update={name: value for name, value in wanted.items() if getattr(phase, name) is None})
        for phase in plan.phases
    )
    return plan.model_copy(update={"phases": phases}).with_hash()


def chosen(flag: str | None, plan: Plan, name: str) -> str | None:
    """The value of the flag, else of the schedule's `set`."""
    if flag is not None:
        return flag
    value = plan.settings.get(name)
    return str(value) if value is not None else None


def _require_no_file(name: str) -> None:
    """Refuses a factory named by its file: it must be named by its module, as in `import`."""
    module, _, factory = name.partition(",")[0].partition(":")
    if module.endswith(".py"):
        dotted = module.removesuffix(".py").removeprefix("./").replace("/", ".").strip(".")
        raise DsdError(f"`{name}` names a file, expected a module", help=f"write `{dotted}:{factory or 'FUNCTION'}`")


def _require_numbers(request: Request) -> None:
    if request.workers < 0:
        raise DsdError(
            f"`--workers {request.workers}` is below 0", help="write 0 to load the data in the training loop"
        )
    if request.threads is not None and request.threads < 1:
        raise DsdError(
            f"`--threads {request.threads}` is below 1",
            help="leave it out to have the number chosen for you",
        )
    if request.jobs < 1:
        raise DsdError(f"`--jobs {request.jobs}` is below 1", help="write how many phases are to be trained at once")
    if not request.save_every_seconds > 0:
        raise DsdError(
            f"`--save-every {request.save_every_seconds:g}` is not above 0",
            help="write a number of seconds, such as 60",
        )
    if request.seed is not None and request.seed < 0:
        raise DsdError(f"`--seed {request.seed}` is below 0", help="write a whole number of at least 0")


def _read(path: Path) -> str:
    try:
        return read_regular(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DsdError(f"DSD105: `{path}` is not UTF-8 (byte {error.start})", help="save it as UTF-8") from error
    except FileNotFoundError as error:
        raise DsdError(f"`{path}` cannot be read: {error.strerror}", help=_nearby(path)) from error
    except OSError as error:
        raise DsdError(f"`{path}` cannot be read: {error.strerror}") from error


def _nearby(path: Path) -> str:
    """A suggestion for a missing schedule: one with a similar name beside it."""
    others = sorted(path.parent.glob("*.dsd"))
    guess = nearest(path.stem, [other.stem for other in others])
    if guess is not None:
        return f"did you mean `{path.with_name(guess)}.dsd`?"
    names = ", ".join(f"`{other}`" for other in others[:6]) or "no schedule"
    return f"there {'are' if len(others) > 1 else 'is'} {names} in that folder"
