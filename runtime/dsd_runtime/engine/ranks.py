"""Several processes on one model: what is refused, what they must agree on, and averaged metrics.

With data parallelism (DDP) every process has the whole model, and with FSDP2 (`fully_shard`) some rows of each weight.
All of them make the same updates and call the session alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from dsd_lang.base.errors import DsdError
from dsd_runtime.masks.clearing import bits_of
from dsd_runtime.masks.processes import Processes
from dsd_runtime.masks.shards import is_sharded, local_of, processes_of, rows_of

Result = TypeVar("Result")

_USE = "use DistributedDataParallel, or `fully_shard(module)` over one group of processes"


def require_supported_wrapper(model: nn.Module, process_group: dist.ProcessGroup | None = None) -> None:
    """Raises :class:`DsdError` for a distributed model that a session does not support, naming the reason.

    ``process_group``: something else averages the gradients over these processes.
    """
    for name, module in model.named_modules():
        if _is_fsdp_1(module):
            where = f"`{name}`" if name else "the model"
            raise DsdError(f"{where} is sharded by FSDP (FullyShardedDataParallel), which is not supported", help=_USE)
    reshard(model)
    weights = dict(model.named_parameters())
    sharded = {name: weight for name, weight in weights.items() if is_sharded(weight)}
    for name, weight in sharded.items():
        _require_rows(name, weight)
    _require_one_mesh(sharded)
    if sharded and len(sharded) < len(weights):
        alone = next(name for name in weights if name not in sharded)
        raise DsdError(
            f"`{alone}` is whole on every process, and other weights are sharded: nothing keeps its copies equal",
            help="call `fully_shard(model)` on the whole model too",
        )
    if world_size() > 1 and _data_parallel(model) is None and not sharded and process_group is None:
        raise DsdError(
            f"torch.distributed runs with {world_size()} processes, and the model is not in DistributedDataParallel, "
            "so the processes would part at the first decision",
            help="wrap the model first (or shard it with `fully_shard`), and pass the wrapped one to `attach()`; if "
            "something else averages the gradients, `attach(..., process_group=)`; processes that train models of "
            "their own need no process group",
        )


def _require_rows(name: str, weight: Tensor) -> None:
    """Raises :class:`DsdError` unless a DTensor is dealt out by rows, as `fully_shard` does, over one group."""
    placements = cast(Any, weight).placements
    if len(placements) != 1 or not placements[0].is_shard(0) or type(placements[0]).__name__ != "Shard":
        said = ", ".join(map(_shown_placement, placements))
        raise DsdError(f"the weight `{name}` is placed as {said}, and only `Shard(0)` is supported", help=_USE)
    rows = rows_of(weight)
    if tuple(local_of(weight).shape) != (rows.end - rows.start, *rows.shape[1:]):
        raise DsdError(
            f"this process has {local_of(weight).shape[0]} rows of the weight `{name}`, and `fully_shard` gives it "
            f"{rows.end - rows.start} of {rows.shape[0]}",
            help="shard it with `fully_shard` or `distribute_tensor`",
        )


def _require_one_mesh(sharded: Mapping[str, Tensor]) -> None:
    first, mesh = next(((name, cast(Any, weight).device_mesh) for name, weight in sharded.items()), ("", None))
    for name, weight in sharded.items():
        if cast(Any, weight).device_mesh != mesh:
            raise DsdError(f"`{first}` and `{name}` are sharded over different processes", help=_USE)


def _shown_placement(placement: object) -> str:
    name = type(placement).__name__
    dim = getattr(placement, "dim", None)
    return f"`{name}({'' if dim is None else dim})`"


def _is_fsdp_1(module: nn.Module) -> bool:
    bases = [base for base in type(module).__mro__ if base.__module__.startswith("torch.distributed.fsdp")]
    return any(base.__name__ == "FullyShardedDataParallel" for base in bases)


def require_sharded_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Raises :class:`DsdError` if a sharded model's optimizer was made before the model was sharded."""
    if not any(is_sharded(weight) for weight in model.parameters()):
        return
    if not all(is_sharded(weight) for group in optimizer.param_groups for weight in group["params"]):
        raise DsdError(
            "the optimizer has weights from before the model was sharded", help="make it after `fully_shard(model)`"
        )


def reshard(model: nn.Module) -> None:
    """Frees the whole weights that FSDP2 keeps after a forward pass, so that the model's weights are the shards."""
    for module in model.modules():
        if any(base.__name__ == "FSDPModule" for base in type(module).__mro__):
            cast(Any, module).reshard()


def _data_parallel(model: nn.Module) -> DistributedDataParallel | None:
    """The model's DDP wrapper, also inside a compiled model."""
    inner = getattr(model, "_orig_mod", model)
    return inner if isinstance(inner, DistributedDataParallel) else None


def world_size() -> int:
    """The number of processes that train together; 1 without torch.distributed."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


class Ranks:
    """The processes that train one model; with one process it costs nothing."""

    def __init__(self, model: nn.Module, process_group: dist.ProcessGroup | None = None) -> None:
        wrapped = _data_parallel(model)
        self.is_sharded = any(is_sharded(weight) for weight in model.parameters())
        group = wrapped.process_group if wrapped is not None else process_group
        self.processes = processes_of(model.parameters()) if self.is_sharded else Processes(group)
        self.count = self.processes.count
        self.averages_gradients = self.is_sharded or group is not None
        """Whether gradients of all weights that were trained at the start are expected in every backward pass."""
        self._left_out = frozenset(
            getattr(model, "_ddp_params_and_buffers_to_ignore", ()) if wrapped is None else wrapped.parameters_to_ignore
        )

    def agree(self, what: str, text: str) -> None:
        """Raises :class:`DsdError` on every rank unless a text is the same on all."""
        if self.count > 1 and not self.processes.same(text):
            raise DsdError(
                f"the {self.count} processes have different {what}",
                help="give every process the same schedule, seed and weights, and report the same metrics on all",
            )

    def agree_on_weights(self, named: Iterable[tuple[str, Tensor]]) -> None:
        """Raises :class:`DsdError` on every rank unless all copies of the model have the same weights, bit by bit.

        It compares sums of the bits. Sharded weights have no copies.
        """
        if self.count == 1 or self.is_sharded:
            return
        sums = [bits_of(w.detach()).sum(dtype=torch.int64) for name, w in named if self._has_copies(name, w)]
        self.agree("weights", str(torch.stack([part.cpu() for part in sums]).tolist() if sums else ""))

    def _has_copies(self, name: str, weight: Tensor) -> bool:
        is_plain = weight.layout == torch.strided and not weight.is_complex() and weight.element_size() <= 8
        return is_plain and name not in self._left_out

    def together(self, act: Callable[[], Result]) -> Result:
        """Calls a function on every rank; a :class:`DsdError` on one of them is raised on all."""
        if self.count == 1:
            return act()
        error, result = None, None
        try:
            result = act()
        except DsdError as raised:
            error = raised
        said = self.processes.first(None if error is None else f"{error.message}\0{error.help or ''}")
        if said is None:
            return cast(Result, result)
        if error is not None:
            raise error
        message, _, help_line = said.partition("\0")
        raise DsdError(message, help=help_line or None)

    def averaged(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """The mean of every metric over the ranks, the same float on each; equal values are unchanged."""
        if self.count == 1:
            return dict(metrics)
        names = sorted(metrics)
        self.agree("metrics", "\0".join(names))
        own = torch.tensor([metrics[name] for name in names], dtype=torch.float64)
        rows = self.processes.gathered(own).tolist()
        means = {name: _mean([row[index] for row in rows]) for index, name in enumerate(names)}
        return {name: means[name] for name in metrics}

    def average_in_place(self, values: Iterable[Tensor]) -> None:
        """Replaces tensors by their mean over the ranks."""
        if self.count > 1:
            for value in values:
                value.copy_(self.processes.gathered(value).double().mean(dim=0))


def _mean(values: list[float]) -> float:
    return values[0] if len(set(values)) == 1 else sum(values) / len(values)
