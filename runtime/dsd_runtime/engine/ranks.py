"""Several processes on one model: what is refused, what they must agree on, and averaged metrics.

Data parallelism (DDP) is supported: every rank has the whole model and the same updates. Sharded weights are not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dsd_lang.base.errors import DsdError

_LATER = "use DistributedDataParallel, or train in one process"


def require_supported_wrapper(model: nn.Module) -> None:
    """Raises :class:`DsdError` for a distributed model that a session does not support, naming the reason."""
    for name, module in model.named_modules():
        kind = _sharding_of(module)
        if kind is not None:
            where = f"`{name}`" if name else "the model"
            raise DsdError(f"{where} is sharded by {kind}, which is not supported yet", help=_LATER)
    for name, weight in model.named_parameters():
        if type(weight).__name__ == "DTensor" or type(weight.data).__name__ == "DTensor":
            raise DsdError(f"the weight `{name}` is a DTensor, which is not supported yet", help=_LATER)
    if world_size() > 1 and _data_parallel(model) is None:
        raise DsdError(
            f"torch.distributed runs with {world_size()} processes, and the model is not in DistributedDataParallel, "
            "so the processes would part at the first decision",
            help="wrap the model first and pass the wrapped one to `attach()`; processes that train models of their "
            "own need no process group",
        )


def _sharding_of(module: nn.Module) -> str | None:
    names = {base.__name__ for base in type(module).__mro__ if base.__module__.startswith("torch.distributed.fsdp")}
    if "FullyShardedDataParallel" in names:
        return "FSDP (FullyShardedDataParallel)"
    return "FSDP2 (fully_shard)" if "FSDPModule" in names else None


def _data_parallel(model: nn.Module) -> DistributedDataParallel | None:
    """The model's DDP wrapper, also inside a compiled model."""
    inner = getattr(model, "_orig_mod", model)
    return inner if isinstance(inner, DistributedDataParallel) else None


def world_size() -> int:
    """The number of processes that train together; 1 without torch.distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


class Ranks:
    """The processes with copies of one model; with one process it costs nothing."""

    def __init__(self, model: nn.Module) -> None:
        wrapped = _data_parallel(model)
        self._group = wrapped.process_group if wrapped is not None else None
        self.count = dist.get_world_size(self._group) if self._group is not None else 1

    def agree(self, what: str, text: str) -> None:
        """Raises :class:`DsdError` on every rank unless a text is the same on all."""
        if self.count > 1 and len({tuple(row) for row in self._gathered(_digest(text)).tolist()}) > 1:
            raise DsdError(
                f"the {self.count} processes have different {what}",
                help="give every process the same schedule, seed and weights, and report the same metrics on all",
            )

    def averaged(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """The mean of every metric over the ranks, the same float on each; equal values are unchanged."""
        if self.count == 1:
            return dict(metrics)
        names = sorted(metrics)
        self.agree("metrics", "\0".join(names))
        rows = self._gathered(torch.tensor([metrics[name] for name in names], dtype=torch.float64)).tolist()
        means = {name: _mean([row[index] for row in rows]) for index, name in enumerate(names)}
        return {name: means[name] for name in metrics}

    def _gathered(self, row: Tensor) -> Tensor:
        """One row from each rank."""
        device = "cuda" if dist.get_backend(self._group) == "nccl" else "cpu"
        rows = [torch.empty_like(row, device=device) for _ in range(self.count)]
        dist.all_gather(rows, row.to(device), group=self._group)
        return torch.stack(rows).cpu()


def _mean(values: list[float]) -> float:
    return values[0] if len(set(values)) == 1 else sum(values) / len(values)


def _digest(text: str) -> Tensor:
    return torch.tensor(list(hashlib.sha256(text.encode()).digest()), dtype=torch.int64)
