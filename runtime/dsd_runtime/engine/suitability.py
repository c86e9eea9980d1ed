"""Refuses parameters that cannot be masked (meta device, complex, quantized) with one sentence.

A mask keeps weights at zero in place, and selection ranks real numbers. So integers, complex numbers, sparse tensors
and tensors without memory are refused when a session is attached, before anything is trained.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from dsd_lang.base.errors import DsdError

_RANKED = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def require_maskable(parameters: Mapping[str, Tensor]) -> None:
    """Raises :class:`DsdError` naming the first parameter that cannot be pruned, and why."""
    for name, parameter in parameters.items():
        why = _obstacle(parameter)
        if why is not None:
            owner = name.rpartition(".")[0] or name
            raise DsdError(f"`{name}` {why[0]}", help=f'{why[1]}, or leave it out: `except="{owner}"`')


def _obstacle(parameter: Tensor) -> tuple[str, str] | None:
    """Why a parameter cannot be masked, and what to do; None if it can."""
    if parameter.is_meta:
        return "is on the meta device: it has no values to rank yet", "load the weights first"
    if parameter.layout != torch.strided:
        return f"has the layout `{_short(parameter.layout)}`, and only dense tensors can be masked", "make it dense"
    if parameter.is_complex():
        what = f"is complex (`{_short(parameter.dtype)}`), and only real weights can be masked"
        return what, "keep its real and imaginary parts as two parameters"
    if parameter.dtype not in _RANKED:
        what = f"has the dtype `{_short(parameter.dtype)}`, and only float weights of 16 bits or more can be pruned"
        return what, "prune before it is quantized"
    return None


def _short(value: object) -> str:
    return str(value).removeprefix("torch.")
