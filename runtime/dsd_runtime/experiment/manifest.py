"""`manifest.json`: versions, inputs and settings of a run, so that it can be reproduced and compared."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from dsd_lang.base.errors import DsdError
from dsd_lang.base.git import find_repository, has_changes
from dsd_runtime.data.preprocessing import Preprocessing
from dsd_runtime.data.source import DataSource
from dsd_runtime.experiment.setup import Prepared

_PACKAGES = ("dsd-lang", "torch", "torchaudio", "torchvision", "numpy", "safetensors")


def build_manifest(
    prepared: Prepared, keys: Mapping[str, str], command: Sequence[str], flops: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Versions, command, model, data fingerprint, seed, setting, node keys (by phase), FLOPs as plain data."""
    return {
        "dsd_run": 1,
        "command": list(command),
        "schedule": prepared.request.schedule.name,
        "schedule_text": prepared.schedule_text,
        "plan_hash": prepared.plan.hash,
        "scale": prepared.request.scale,
        "model": prepared.model_name,
        "data": prepared.data_spec,
        "data_fingerprint": prepared.data.fingerprint,
        "traits": asdict(prepared.data.traits),
        "preprocessing": _preprocessing(prepared.data),
        "data_sizes": dict(prepared.data.sizes),
        "label_noise": None if prepared.noise is None else prepared.noise.facts(),
        "own_metrics": prepared.own_directions,
        "seed": prepared.seed,
        "setting": asdict(prepared.setting),
        "nodes": dict(keys),
        "flops": flops,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        "processes": None if prepared.group is None else prepared.group.describe(),
        "git": _git_revision(),
        "finished": False,
    }


def _preprocessing(data: DataSource) -> dict[str, Any] | None:
    """The preprocessing that `dsd_runtime.load_run` needs for other data; None if a data source has none."""
    preprocessing: Preprocessing | None = getattr(data, "preprocessing", None)
    return None if preprocessing is None else preprocessing.describe()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git_revision() -> str | None:
    """The git revision of the working folder, with `+` if it has changes and `?` if git cannot tell.

    None outside of a repository or without git. Programs named in the folder's configuration are not run.
    """
    try:
        repository = find_repository(Path.cwd())
        if repository is None or not repository.commit:
            return None
        return repository.commit + {True: "+", False: "", None: "?"}[has_changes(repository)]
    except (DsdError, OSError):
        return None
