"""Uses torch's optimizers without importing torch's compiler, which takes as long as importing torch itself.

Torch hides four methods of `Optimizer` from `torch.compile` by a decorator that imports the compiler at the first call.
While the compiler is not imported nothing is compiled, and the method below the decorator does the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import MethodType
from typing import Any

from torch.optim import Optimizer

_COMPILER = "torch._dynamo"


def construct(kind: type[Optimizer], *arguments: Any, **options: Any) -> Optimizer:
    """`kind(*arguments, **options)`.

    >>> import torch
    >>> construct(torch.optim.SGD, [torch.zeros(1)], lr=0.5).param_groups[0]["lr"]
    0.5
    """
    optimizer: Optimizer = kind.__new__(kind)
    add = method(optimizer, "add_param_group")
    vars(optimizer)["add_param_group"] = add  # the constructor calls it
    initialise: Callable[..., None] = kind.__init__
    try:
        initialise(optimizer, *arguments, **options)
    finally:
        del vars(optimizer)["add_param_group"]
    return optimizer


def method(optimizer: Optimizer, name: str) -> Callable[..., Any]:
    """`optimizer.name`; while the compiler is not imported, without the decorator that would import it."""
    bound: Callable[..., Any] = getattr(optimizer, name)
    below = getattr(getattr(Optimizer, name), "__wrapped__", None)
    is_torchs = getattr(bound, "__func__", None) is getattr(Optimizer, name)
    return MethodType(below, optimizer) if below is not None and is_torchs and _COMPILER not in sys.modules else bound


def drop_gradients(optimizer: Optimizer) -> None:
    """What `optimizer.zero_grad()` of torch does, without its entry for the profiler."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None
