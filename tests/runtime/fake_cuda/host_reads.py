"""Notes every operation for which the host waits for the device, and gives it a made-up result.

Fake tensors have no values. So a number that is read is made up by where it comes from: a fraction is 1, a whole number
16, a truth true, a count 2 (0 for elements that differ), and every element of a mask is selected.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary


class HostReads(TorchDispatchMode):
    """``reads`` are the operations with the line of the project that asked for each."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []
        self._origins = WeakIdKeyDictionary()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        given = dict(kwargs or {})
        if name == "_local_scalar_dense":
            return self._number(args[0])
        if name.startswith("_amp_"):
            return None  # works in place
        if name.endswith("_ctc_loss") and name.startswith("_use_"):
            return False
        if name == "_ctc_loss":
            return self._ctc_loss(*args)
        if name == "_ctc_loss_backward":
            return torch.empty_like(args[1])
        if name in ("nonzero", "bincount") or (name == "index" and _has_mask(args[1])):
            return self._of_unknown_size(name, func, args, given)
        result = func(*args, **given)
        if name in ("_to_copy", "copy_") and _leaves_device(name, args, result):
            self._note(name)
        if isinstance(result, Tensor):
            self._origins[result] = (name, self._origin_of(args))
        return result

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def taken(self) -> list[str]:
        """The reads since the last call."""
        found, self.reads = self.reads, []
        return found

    def _origin_of(self, args: Sequence[Any]) -> str:
        first = next((leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)), None)
        return self._origins.get(first, ("", ""))[0] if first is not None else ""

    def _number(self, value: Tensor) -> Any:
        if value.device.type == "cuda":
            self._note("item")
        name, before = self._origins.get(value, ("", ""))
        if name == "count_nonzero":
            return 0 if before == "ne" else 2
        if value.dtype == torch.bool:
            return True
        return 1.0 if value.is_floating_point() else 16

    def _of_unknown_size(self, name: str, func: Any, args: Sequence[Any], given: dict[str, Any]) -> Tensor:
        values = args[0]
        if values.device.type == "cuda":
            self._note(name)
        if name == "bincount":
            return values.new_empty(given.get("minlength", args[2] if len(args) > 2 else 1), dtype=torch.int64)
        if name == "nonzero":
            return values.new_empty(values.numel(), values.dim(), dtype=torch.int64)
        return func(values, [part for index in args[1] for part in _as_numbers(index)], **given)

    def _ctc_loss(self, rows: Tensor, targets: Tensor, lengths: Tensor, symbols: Tensor, *rest: Any) -> Any:
        """torch's kernel reads both lengths on the CPU; it has no fake form."""
        assert targets.device == rows.device, f"the rows are on {rows.device}, the targets on {targets.device}"
        for needed in (lengths, symbols):
            if needed.device.type == "cuda":
                self._note("_ctc_loss")
        return rows.new_empty(rows.shape[1]), rows.new_empty(rows.shape[1], rows.shape[0], 3)

    def _note(self, name: str) -> None:
        frames = [frame for frame in traceback.extract_stack() if "dsd_runtime" in frame.filename]
        where = frames[-1] if frames else traceback.extract_stack()[-3]
        self.reads.append(f"{name} in {where.filename.rpartition('dsd_runtime/')[2]}:{where.name}")


def _has_mask(indices: Sequence[Tensor | None]) -> bool:
    return any(index is not None and index.dtype == torch.bool for index in indices)


def _as_numbers(index: Tensor | None) -> list[Tensor | None]:
    """A mask as that many index tensors as it has dimensions; others as they are."""
    if index is None or index.dtype != torch.bool:
        return [index]
    return [torch.zeros(index.numel(), dtype=torch.int64, device=index.device) for _ in index.shape]


def _leaves_device(name: str, args: Sequence[Any], result: Tensor) -> bool:
    source = args[1] if name == "copy_" else args[0]
    return source.device.type == "cuda" and result.device.type == "cpu"


def made_up_array(values: Tensor) -> NDArray[Any]:
    """What `numpy()` gives for a fake tensor on the CPU: zeros; of a histogram, everything in one bin."""
    if values.device.type != "cpu":
        raise TypeError(f"can't convert {values.device} device type tensor to numpy")
    kind = torch.empty(0, dtype=values.dtype).element_size()
    array = np.zeros(tuple(values.shape), {torch.bool: np.bool_, torch.uint8: np.uint8}.get(values.dtype, f"i{kind}"))
    if values.dtype == torch.int64 and values.dim() == 1 and len(array):
        array[5 * len(array) // 8] = 1 << 40  # a bin of finite scores in every ranking
    return array
