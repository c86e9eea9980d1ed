"""Saves, restores and seeds the global random generators of torch, numpy and Python's `random`.

A user's data set or model may draw from any of the three, so a reproducible run saves all of them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

_NUMPY_SEEDS = 2**32


def seed_generators(key: int) -> None:
    """Seeds the global generators of torch, numpy and Python."""
    if torch.accelerator.is_available():
        torch.manual_seed(key)
    else:  # the same, without noting a traceback for each kind of device that is not there
        torch.default_generator.manual_seed(key)
    np.random.seed(key % _NUMPY_SEEDS)
    random.seed(key)


def generator_states() -> dict[str, Any]:
    """The states of the global generators, for torch on the CPU and every GPU in use; tensors and plain data."""
    is_cuda_in_use = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return {
        "cpu": torch.get_rng_state(),
        "cuda": list(torch.cuda.get_rng_state_all()) if is_cuda_in_use else [],
        "numpy": _numpy_state(),
        "python": _python_state(),
    }


def set_generator_states(states: Mapping[str, Any]) -> None:
    """Restores the states of the global generators."""
    torch.set_rng_state(states["cpu"])
    if states["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(states["cuda"])
    numpy, python = states["numpy"], states["python"]
    key = numpy["key"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", key, numpy["position"], numpy["has_gauss"], numpy["gauss"]))
    random.setstate((python["version"], tuple(python["key"].tolist()), python["gauss"]))


def _numpy_state() -> dict[str, Any]:
    _, key, position, has_gauss, gauss = np.random.get_state()
    words = torch.from_numpy(np.asarray(key).astype(np.int64))
    return {"key": words, "position": int(position), "has_gauss": int(has_gauss), "gauss": float(gauss)}


def _python_state() -> dict[str, Any]:
    version, key, gauss = random.getstate()
    return {"version": version, "key": torch.tensor(key, dtype=torch.int64), "gauss": gauss}
