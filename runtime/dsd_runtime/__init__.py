"""The runtime of dsd: trains a model by a plan.

Public names are lazy, so that torch-free parts (the model catalogue, run progress) can be read without torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dsd_runtime.data.label_noise import noisy_labels
    from dsd_runtime.engine.attachment import attach
    from dsd_runtime.engine.captured import CapturedMasks
    from dsd_runtime.engine.layers import inventory, tag
    from dsd_runtime.engine.session import Session
    from dsd_runtime.experiment.catalogue_model import build_model
    from dsd_runtime.experiment.trained import load_run
    from dsd_runtime.notices import DsdWarning
    from dsd_runtime.results.reading import read_results
    from dsd_runtime.results.results import Results
    from dsd_runtime.running import run
    from dsd_runtime.storage.checkpoint import load_checkpoint, save_checkpoint
    from dsd_runtime.training.relu_entropy import ReluEntropy

__all__ = [
    "CapturedMasks",
    "DsdWarning",
    "ReluEntropy",
    "Results",
    "Session",
    "attach",
    "build_model",
    "inventory",
    "load_checkpoint",
    "load_run",
    "noisy_labels",
    "read_results",
    "run",
    "save_checkpoint",
    "tag",
]

_HOME = {
    "CapturedMasks": "engine.captured",
    "DsdWarning": "notices",
    "ReluEntropy": "training.relu_entropy",
    "Results": "results.results",
    "Session": "engine.session",
    "attach": "engine.attachment",
    "build_model": "experiment.catalogue_model",
    "inventory": "engine.layers",
    "load_checkpoint": "storage.checkpoint",
    "load_run": "experiment.trained",
    "noisy_labels": "data.label_noise",
    "read_results": "results.reading",
    "run": "running",
    "save_checkpoint": "storage.checkpoint",
    "tag": "engine.layers",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'dsd_runtime' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f"dsd_runtime.{_HOME[name]}"), name)
