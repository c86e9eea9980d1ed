"""Saved weights that a schedule refers to: `@label.start|entered|end|best|500it|3ep` and `@init`.

A snapshot contains the model's `state_dict` (weights and buffers) on the CPU, and the clocks at that moment. Of sharded
weights each process keeps its own rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Checkpoint, ReferenceInfo
from dsd_runtime.masks.shards import sharded_as


@dataclass(frozen=True, slots=True)
class ClockReading:
    """The clocks at a moment: updates in the phase and in total, and the position in the data."""

    phase_updates: int = 0
    total_updates: int = 0
    data_epoch: int = 0
    data_batch: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A model's weights and buffers by state_dict key, and the clocks at that moment."""

    weights: dict[str, Tensor]
    reading: ClockReading


def reference_key(point: Checkpoint | ReferenceInfo) -> str:
    """The name under which a checkpoint is stored: `init`, `p0.end`, `p0.at.500it`."""
    if point.moment == "init":
        return "init"
    offset = f".{point.offset.length}" if point.offset is not None else ""
    return f"{point.phase}.{point.moment}{offset}"


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """A model's weights and buffers by state_dict key, detached but not copied; other state is left out."""
    return {name: value.detach() for name, value in model.state_dict().items() if isinstance(value, Tensor)}


def take_snapshot(model: nn.Module, reading: ClockReading) -> Snapshot:
    """A copy of the model's state on the CPU."""
    return Snapshot({name: value.to("cpu", copy=True) for name, value in tensors_of(model).items()}, reading)


class ReferenceStore(Protocol):
    """The interface of a store of snapshots."""

    def save(self, key: str, snapshot: Snapshot) -> None: ...

    def load(self, key: str) -> Snapshot: ...


class MemoryReferences:
    """Snapshots in memory, which are part of the session's state."""

    def __init__(self) -> None:
        self._snapshots: dict[str, Snapshot] = {}

    def save(self, key: str, snapshot: Snapshot) -> None:
        self._snapshots[key] = snapshot

    def load(self, key: str) -> Snapshot:
        if key not in self._snapshots:
            raise missing_reference(key)
        return self._snapshots[key]

    def state_dict(self) -> dict[str, Any]:
        return {
            key: {"weights": dict(snapshot.weights), "reading": asdict(snapshot.reading)}
            for key, snapshot in self._snapshots.items()
        }

    def load_state_dict(self, state: dict[str, Any], like: Mapping[str, Tensor]) -> None:
        """``like`` has the model's weights: of those that are sharded only this process's rows are kept."""
        self._snapshots = {
            key: Snapshot(_sharded(entry["weights"], like), ClockReading(**entry["reading"]))
            for key, entry in state.items()
        }


def _sharded(weights: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: sharded_as(like[name], value).cpu() if name in like else value for name, value in weights.items()}


def missing_reference(key: str) -> DsdError:
    """The error for a snapshot that was never taken."""
    if key.endswith(".best"):
        return DsdError(
            f"the checkpoint `{key}` was not saved: no metric was reported in that phase",
            help="call `session.report({...})` with the metric that `best_metric=` names (default `val.loss`)",
        )
    return DsdError(
        f"the checkpoint `{key}` was not reached before it was needed",
        help="a phase that ended early (`until`) has no checkpoint past its end: refer to `.end` or an earlier point",
    )


def fresh_weights(model: nn.Module, key: int) -> dict[str, Tensor]:
    """Newly initialised weights of the model, seeded by ``key``; torch's global generators are not changed.

    Every module with weights must have `reset_parameters()` (those of `torch.nn` do), or a parent module must.
    """
    twin = copied(model).to("cpu")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(key)
        for reset in _resets(twin, ""):
            reset()
    return tensors_of(twin)


def copied(model: nn.Module, purpose: str = "to reinitialise its weights") -> nn.Module:
    """A copy of the model; raises :class:`DsdError` for one that cannot be copied, such as the older `weight_norm`."""
    import copy

    try:
        return copy.deepcopy(model)
    except (RuntimeError, TypeError, AssertionError) as error:  # FSDP2 asserts that it is not copied
        raise DsdError(
            f"the model cannot be copied {purpose}: {' '.join(str(error).split())}",
            help="pass `factory=`, a function that builds a model like it, to `attach()`",
        ) from error


def require_resettable(model: nn.Module) -> None:
    """Raises :class:`DsdError` if :func:`fresh_weights` would, naming a module that cannot be initialised again."""
    copied(model)
    for _ in _resets(model, ""):
        pass


def _resets(module: nn.Module, name: str) -> Iterator[Callable[[], object]]:
    """The methods that initialise all weights, each once; DsdError for weights that none of them covers."""
    for method in ("reset_parameters", "_reset_parameters"):
        reset = getattr(module, method, None)
        if callable(reset):
            yield reset
            return
    owned = [key for key, value in module._parameters.items() if value is not None]
    if owned:
        raise DsdError(
            f"`{name or type(module).__name__}` ({type(module).__name__}) cannot be reinitialised: "
            "it owns weights and has no `reset_parameters()`",
            help="add a `reset_parameters()` method to it or to a parent, or pass `attach(..., factory=...)`",
        )
    for child_name, child in module.named_children():
        yield from _resets(child, f"{name}.{child_name}" if name else child_name)


def unsaved_buffers(model: nn.Module) -> dict[str, Tensor]:
    """The buffers that a model's `state_dict` leaves out (`persistent=False`), by name; not copied."""
    saved = model.state_dict().keys()
    return {name: value for name, value in model.named_buffers(remove_duplicate=False) if name not in saved}


def put_buffers(model: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Restores such buffers in place; one whose shape has changed is replaced."""
    now = dict(model.named_buffers(remove_duplicate=False))
    with torch.no_grad():
        for name, value in values.items():
            if name in now and now[name].shape == value.shape and now[name].dtype == value.dtype:
                now[name].copy_(value)
                continue
            owner, _, own_name = name.rpartition(".")
            device = now[name].device if name in now else next((weight.device for weight in model.parameters()), None)
            model.get_submodule(owner).register_buffer(own_name, value.to(device, copy=True), persistent=False)
