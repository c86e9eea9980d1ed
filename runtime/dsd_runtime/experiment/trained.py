"""`load_run`: the trained model of a run folder with its preprocessing, metrics and plan."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from dsd_lang.base.errors import DsdError, nearest
from dsd_lang.base.regular_files import read_regular, require_regular
from dsd_lang.plan import Plan
from dsd_runtime.data.preprocessing import Preprocessing, read_preprocessing
from dsd_runtime.data.traits import DataTraits
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.trust import refuse_code
from dsd_runtime.models.registry import build_model
from dsd_runtime.tracking.console import shown_metrics

_MOST = 2**40
"""No count of classes, pixels or words reaches it, and every size of a tensor can be computed."""


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """The trained model of a main line or branch of a run.

    ``model`` is in evaluation mode on the CPU. ``preprocess`` takes one raw item or a list of them and returns the
    model's arguments: ``run.model(*run.preprocess("cat.png"))``. ``metrics`` are those at the end of the line.
    ``traits`` have the classes, the alphabet or the vocabulary of the outputs. ``manifest`` is `manifest.json`.
    """

    folder: Path
    branch: str
    model: nn.Module
    plan: Plan
    metrics: Mapping[str, float]
    traits: DataTraits
    manifest: Mapping[str, Any]

    @property
    def preprocess(self) -> Preprocessing:
        """Raises :class:`DsdError` if the run's data source had no preprocessing."""
        described = self.manifest.get("preprocessing")
        if described is None:
            raise DsdError(
                f"the data of `{self.folder}` has no `preprocessing`",
                help="give your data source a `preprocessing`, see dsd_runtime.data.preprocessing",
            )
        return read_preprocessing(described)

    def __repr__(self) -> str:
        line = f", branch {self.branch!r}" if self.branch else ""
        shown = shown_metrics(dict(self.metrics)).items()
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in shown if name.startswith("test."))
        return f"<TrainedRun {str(self.folder)!r}{line}: {self.manifest['model']}{', ' if numbers else ''}{numbers}>"


def load_run(
    folder: str | Path, *, branch: str = "", model: str | nn.Module | None = None, trusts_folder: bool = False
) -> TrainedRun:
    """The model that a run of `dsd-run` trained, ready to use, with its preprocessing and metrics.

    ``branch`` names a branch of the schedule; the default is the main line. ``model`` is a module to load the weights
    into, or a name as for `dsd-run --model`, if the model's name in the run is not enough. A folder that names Python
    code as its model is refused unless ``trusts_folder``, because importing the module runs it.

    Raises :class:`DsdError` for a folder without a finished run, an unknown branch, weights that do not fit the model,
    and Python code without trust. Nothing is unpickled.
    """
    run = RunFolder(Path(folder))
    manifest, plan = _manifest(run), _plan(run)
    weights = _weights(run, plan, branch)
    traits = _traits(manifest)
    if model is None and not trusts_folder:
        refuse_code("model", str(manifest["model"]), f"the run in `{run.root}`", "--trust-schedule")
    built = model if isinstance(model, nn.Module) else _built(model or str(manifest["model"]), traits)
    _fill(built, weights, run.root)
    metrics = _metrics(run, plan, branch, manifest)
    return TrainedRun(run.root, branch, built.eval(), plan, metrics, traits, manifest)


def _built(name: str, traits: DataTraits) -> nn.Module:
    """The model, newly initialised; the caller's random state does not change."""
    with torch.random.fork_rng(devices=[]):
        return build_model(name, traits)


def branches_of(folder: str | Path) -> tuple[str, ...]:
    """The lines whose last weights are in the folder: `""` for the main line, then the branches."""
    run = RunFolder(Path(folder))
    plan = _plan(run)
    paths = dict.fromkeys(phase.path for phase in plan.phases)
    return tuple(path for path in paths if _weights_file(run, path).is_file())


def _manifest(run: RunFolder) -> dict[str, Any]:
    manifest = run.read_manifest()
    if manifest is None:
        raise DsdError(
            f"`{run.root}` is not a run folder: it has no `manifest.json`",
            help="give the `--out` folder of a `dsd-run`",
        )
    if not isinstance(manifest.get("model"), str) or not isinstance(manifest.get("traits"), dict):
        raise DsdError(
            f"the run in `{run.root}` was written by a different version of the program",
            help="run the same command again: trained phases are kept",
        )
    return manifest


def _plan(run: RunFolder) -> Plan:
    try:
        return Plan.from_json(read_regular(run.plan).decode("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise DsdError(f"`{run.plan}` cannot be read", help="give the `--out` folder of a `dsd-run`") from error


def _traits(manifest: Mapping[str, Any]) -> DataTraits:
    """The traits in a manifest; raises :class:`DsdError` for impossible ones."""
    known = {field.name for field in fields(DataTraits)}
    said: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in manifest["traits"].items()
        if name in known
    }
    wrong = [name for name, value in {"task": None, **said}.items() if not _is_trait(name, value)]
    if wrong:
        raise DsdError(
            f"the manifest is damaged: its trait `{wrong[0]}` is not a trait of a data set",
            help="run the same command again: trained phases are kept",
        )
    return DataTraits(**said)


def _is_trait(name: str, value: Any) -> bool:
    if name == "task":
        return isinstance(value, str)
    if name in ("class_names", "alphabet", "vocabulary"):
        return isinstance(value, tuple) and all(isinstance(item, str) for item in value)
    if name in ("image_shape", "word_counts") and value is not None:
        return isinstance(value, tuple) and all(map(_is_size, value)) and (name != "image_shape" or len(value) == 3)
    return value is None or _is_size(value)


def _is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MOST


def _weights_file(run: RunFolder, branch: str) -> Path:
    return run.branch(branch) if branch else run.final


def _weights(run: RunFolder, plan: Plan, branch: str) -> dict[str, Tensor]:
    if branch and branch not in plan.branches:
        guess = nearest(branch, plan.branches)
        known = f"its branches are {', '.join(plan.branches)}" if plan.branches else "it has no branches"
        raise DsdError(
            f"the run in `{run.root}` has no branch `{branch}`",
            help=f"did you mean `{guess}`? {known}" if guess else known,
        )
    path = _weights_file(run, branch)
    try:
        require_regular(path)
        return load_file(path)
    except FileNotFoundError as error:
        raise _absent(path, plan, branch) from error
    except (OSError, SafetensorError) as error:
        raise DsdError(f"`{path}` cannot be read as safetensors: {str(error).lower()}") from error


def _absent(path: Path, plan: Plan, branch: str) -> DsdError:
    """Why a line's last weights are not in the folder, and what to do."""
    if not branch and all(phase.path for phase in plan.phases):
        choices = ", ".join(plan.branches)
        return DsdError(f"`{path}` does not exist: every phase is in a branch", help=f"give a branch: {choices}")
    return DsdError(f"`{path}` does not exist: the run has not finished", help="run the same command again to continue")


def _fill(model: nn.Module, weights: Mapping[str, Tensor], root: Path) -> None:
    try:
        model.load_state_dict(dict(weights))
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise DsdError(
            f"the weights of `{root}` do not fit the model: {first}",
            help="give the model that was trained, with `model=`",
        ) from error


def _metrics(run: RunFolder, plan: Plan, branch: str, manifest: Mapping[str, Any]) -> dict[str, float]:
    """The last value of each metric in the last node of a line that reported any."""
    by_node: dict[str, dict[str, float]] = {}
    for entry in _lines(run.metrics):
        name, value = entry.get("name"), entry.get("value")
        if isinstance(name, str) and isinstance(value, int | float) and ("." in name or name == "sparsity"):
            by_node.setdefault(str(entry.get("node")), {})[name] = float(value)
    nodes = manifest.get("nodes", {})
    for phase in reversed(plan.branch(branch).phases):
        if found := by_node.get(str(nodes.get(phase.id))):
            return found
    return {}


def _lines(path: Path) -> list[dict[str, Any]]:
    """The complete lines of `metrics.jsonl`; none if the file is missing."""
    try:
        text = read_regular(path).decode("utf-8", "replace")
    except (OSError, DsdError):
        return []
    entries = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict):
            entries.append(entry)
    return entries
