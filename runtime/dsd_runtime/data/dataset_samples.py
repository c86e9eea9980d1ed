"""Reads one sample of a user's Dataset as a tensor and a class index, with seeded random draws."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dsd_lang.base.errors import DsdError
from dsd_runtime.factories import failure


def read_sample(dataset: Dataset[Any], index: int, where: str, *, seed: int) -> tuple[Tensor, int]:
    """A sample as (input, class index); random draws use ``seed``.

    Raises DsdError naming ``where`` for anything else.
    """
    seed_global_generators(seed)
    try:
        sample = dataset[index]
    except DsdError:
        raise
    except Exception as error:
        raise failure(f"{where} cannot be read", error) from error
    if not isinstance(sample, tuple | list) or len(sample) != 2:
        raise DsdError(
            f"{where} is a `{type(sample).__name__}`, not a pair of input and class",
            help="`__getitem__` returns (input, class number)",
        )
    return as_input(sample[0], where), _as_class(sample[1], where)


def seed_global_generators(seed: int) -> None:
    """Seeds the generators that transforms draw from: torch's on the CPU, numpy's and Python's."""
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % (1 << 32))


@contextmanager
def untouched_generators() -> Iterator[None]:
    """Restores the process's global generators afterwards."""
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        torch.set_rng_state(before[0])
        random.setstate(before[1])
        np.random.set_state(before[2])


def as_input(value: Any, where: str = "a sample") -> Tensor:
    if isinstance(value, np.ndarray | np.generic):
        value = torch.from_numpy(np.asarray(value))
    if not isinstance(value, Tensor):
        raise DsdError(
            f"the input of {where} is a `{type(value).__name__}`, not a tensor",
            help="add a transform to the Dataset, such as torchvision's `ToTensor()`",
        )
    if value.dtype in (torch.uint8, torch.bool):
        raise DsdError(
            f"the input of {where} is of {value.dtype}",
            help="give floats, for instance `image / 255` or torchvision's `ToDtype(torch.float32, scale=True)`",
        )
    return value.to(torch.float32) if value.is_floating_point() else value


def _as_class(value: Any, where: str) -> int:
    is_one = (isinstance(value, Tensor) and value.numel() == 1) or (
        isinstance(value, np.ndarray | np.generic) and value.size == 1
    )
    number = value.item() if is_one else value
    if isinstance(number, bool) or not isinstance(number, int):
        raise DsdError(
            f"the target of {where} is `{str(value)[:40]}`, not a class number",
            help="classification takes whole numbers from 0; for another task return a DataSource",
        )
    return number
