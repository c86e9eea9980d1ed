"""Unwraps models (`torch.compile`, data parallelism, averages): the same weights under prefixed names."""

from __future__ import annotations

from collections.abc import Container, Iterator

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

_PREFIXES = ("module.", "_orig_mod.")


def unwrapped(model: nn.Module) -> nn.Module:
    """The user's own module inside `torch.compile` and data parallelism; a schedule uses its names."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and isinstance(model, (DataParallel, DistributedDataParallel)):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def named_alike(model: nn.Module, names: Container[str]) -> Iterator[tuple[str, nn.Parameter]]:
    """A copy's parameters by their names in the model, without prefixes of wrappers; unknown ones are left out."""
    for full_name, parameter in model.named_parameters(remove_duplicate=False):
        name = full_name
        while name not in names and name.startswith(_PREFIXES):
            name = name.partition(".")[2]
        if name in names:
            yield name, parameter
