"""The number format and device of a forward pass: `fp32`, `bf16` or `fp16` (with a gradient scaler)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch

from dsd_lang.base.errors import DsdError

PrecisionName = Literal["fp32", "bf16", "fp16"]
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Precision:
    """A precision on a device."""

    name: PrecisionName
    device: torch.device

    def autocast(self) -> AbstractContextManager[Any]:
        """The context for the forward pass and the loss; it does nothing in fp32."""
        if self.name == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=_DTYPES[self.name])

    def scaler(self) -> torch.amp.GradScaler | None:
        """A gradient scaler if the precision needs one."""
        return torch.amp.GradScaler(self.device.type) if self.name == "fp16" else None


def choose_device(name: str) -> torch.device:
    """`auto`, `cpu` or `cuda` as a device; raises :class:`DsdError` if it is not available."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise DsdError("no CUDA device found", help="use `--device cpu` (or `auto`)")
    return torch.device(name)
