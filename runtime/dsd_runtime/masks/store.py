"""Stores the masks of parameters, and keeps weights, gradients and optimizer state zero outside of them.

A mask takes one byte per weight in memory (small ones on a CPU four more, see clearing.py) and one bit in a checkpoint.
Parameters that share memory (tied weights) have one mask, under the first name. Everything is done in place: no
parameter is renamed, wrapped or rebound, and `data_ptr` does not change, so flattened recurrent buffers, EMA copies and
compiled models keep working.

Of a sharded weight (shards.py) each process keeps the mask of its own rows. Counts and stored masks are of the whole
weight: setting, counting, hashing and packing masks are then collective operations.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from dsd_lang.base.errors import DsdError
from dsd_runtime.masks.clearing import ClearingMask
from dsd_runtime.masks.optimizers import parts_of
from dsd_runtime.masks.shards import gathered, is_sharded, local_of, own_rows, processes_of


@dataclass(frozen=True, slots=True)
class Owner:
    """One piece of weight memory: all parameters that are views of it (one, unless weights are tied)."""

    name: str
    parameters: tuple[nn.Parameter, ...]


class MaskStore:
    """Which weights of which parameters may be non-zero, and the operations that keep the others at zero.

    An update with masks is: backward, :meth:`apply_to_gradients`, clip, optimizer step, and then, unless
    `optimizers.preserves_zero(optimizer)`, :meth:`apply_to_weights` and :meth:`apply_to_optimizer_state`.
    """

    def __init__(self, named_parameters: Iterable[tuple[str, nn.Parameter]]) -> None:
        """`named_parameters` as from ``model.named_parameters(remove_duplicate=False)``, with all names."""
        self._owners, self._canonical = _group_by_memory(named_parameters)
        self._processes = processes_of(owner.parameters[0] for owner in self._owners.values())
        self._masks: dict[str, ClearingMask] = {}
        self._alive: dict[str, int] = {}
        self.changes = 0
        """How often masks were set or removed."""

    def rebind(self, named_parameters: Iterable[tuple[str, nn.Parameter]]) -> None:
        """Reads the model's parameters again, if some were added or replaced; the masks are kept by name.

        Raises :class:`DsdError` if a masked parameter is gone or has another shape; nothing is changed then.
        """
        owners, canonical = _group_by_memory(named_parameters)
        for name, clearing in self._masks.items():
            known = owners.get(canonical.get(name, ""))
            if known is None or local_of(known.parameters[0]).shape != clearing.mask.shape:
                raise DsdError(
                    f"the masked weight `{name}` was removed or no longer has the shape {tuple(clearing.mask.shape)}",
                    help="change the shapes of weights before `attach()`, or in a dense phase",
                )
        self._owners, self._canonical = owners, canonical
        self._masks = {canonical[name]: clearing for name, clearing in self._masks.items()}
        self._alive = {canonical[name]: alive for name, alive in self._alive.items()}

    def owner(self, name: str) -> str:
        """The name of a parameter's mask: its own, or the first of the names tied to it."""
        if name not in self._canonical:
            raise ValueError(f"the model has no parameter `{name}`")
        return self._canonical[name]

    def parameters(self, name: str) -> tuple[nn.Parameter, ...]:
        """The parameters of a mask, by the mask's name: one, unless separate parameters share memory."""
        return self._owners[name].parameters

    def set(self, name: str, mask: Tensor) -> None:
        """Sets a parameter's mask (bool, the parameter's shape, true where it is kept). Does not change the weights.

        Of a sharded parameter it is the mask of this process's rows.
        """
        owner = self._owners[self.owner(name)]
        parameter = local_of(owner.parameters[0])
        if mask.dtype != torch.bool or mask.shape != parameter.shape:
            raise ValueError(
                f"the mask of `{name}` must be bool of shape {tuple(parameter.shape)}, "
                f"not {mask.dtype} of {tuple(mask.shape)}"
            )
        if not (parameter.is_floating_point() or parameter.is_complex()) or parameter.element_size() > 8:
            raise DsdError(f"`{name}` has the dtype {parameter.dtype}, which cannot be masked")
        own = torch.empty_like(parameter, dtype=torch.bool, requires_grad=False).copy_(mask)
        self._masks[owner.name] = ClearingMask(own)
        self.changes += 1
        self._alive[owner.name] = int(self._processes.sum(np.array([int(torch.count_nonzero(own))]))[0])

    def clear(self) -> None:
        """Removes all masks."""
        self._masks.clear()
        self._alive.clear()
        self.changes += 1

    def __len__(self) -> int:
        return len(self._masks)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._canonical.get(name) in self._masks

    @property
    def masks(self) -> dict[str, Tensor]:
        """All masks by parameter name: the live tensors, which must not be written to."""
        return {name: clearing.mask for name, clearing in self._masks.items()}

    def alive_counts(self) -> dict[str, int]:
        """The exact number of weights that each mask keeps; tied weights count once."""
        return dict(self._alive)

    def by_parameter(self) -> dict[int, ClearingMask]:
        """What clears tensors of each masked parameter, by its `id`, for a step that masks the gradients itself."""
        return {
            id(parameter): self._on_device_of(local_of(parameter), name)
            for name in self._masks
            for parameter in self._owners[name].parameters
        }

    @torch.no_grad()
    def mask_tensor(self, name: str, values: Tensor) -> None:
        """Sets a tensor of the shape of a masked weight (of its rows here) to +0.0 outside of the mask."""
        self._on_device_of(values, name).clear(values)

    @torch.no_grad()
    def apply_to_weights(self) -> None:
        """Sets every masked weight to +0.0."""
        for name in self._masks:
            for parameter in self._owners[name].parameters:
                own = local_of(parameter)
                self._on_device_of(own, name).clear(own)

    @torch.no_grad()
    def apply_to_gradients(self) -> None:
        """Sets every masked gradient to +0.0, also NaN and infinity; parameters without a gradient are skipped."""
        for name, clearing in self._masks.items():
            for parameter in self._owners[name].parameters:
                if parameter.grad is None:
                    continue
                gradient = local_of(parameter.grad)
                if gradient.device != clearing.mask.device:
                    clearing = self._on_device_of(gradient, name)
                if gradient.layout == torch.strided:
                    clearing.clear(gradient)
                elif gradient.layout == torch.sparse_coo:
                    clearing.clear_rows(gradient)
                else:
                    raise DsdError(f"the gradient of `{name}` has the layout {gradient.layout}, which cannot be masked")

    @torch.no_grad()
    def apply_to_optimizer_state(self, optimizer: torch.optim.Optimizer) -> None:
        """Sets every state buffer of a masked parameter's shape to +0.0 outside of the mask."""
        parts = parts_of(optimizer)
        for name in self._masks:
            for parameter in self._owners[name].parameters:
                for key, buffer in same_shape_buffers(parts, parameter):
                    _clear_buffer(self._on_device_of(local_of(parameter), name), buffer, name=name, key=key)

    @torch.no_grad()
    def apply_to_copy(self, named_parameters: Iterable[tuple[str, Tensor]], *, prefix: str = "") -> None:
        """Masks the weights of a copy of the model (EMA, SWA); `prefix` precedes its names (`module.`)."""
        for name, tensor in named_parameters:
            canonical = self._canonical.get(name.removeprefix(prefix))
            if canonical in self._masks:
                own = own_rows(tensor, self._owners[canonical].parameters[0])
                _moved_to(own.device, self._masks[canonical]).clear(own)

    @torch.no_grad()
    def off_mask_counts(self) -> dict[str, int]:
        """The number of masked weights that are not +0.0, by parameter; empty if the invariant holds."""
        own = {name: [local_of(parameter) for parameter in self._owners[name].parameters] for name in self._masks}
        counts = [sum(self._on_device_of(p, name).count_outside(p) for p in parts) for name, parts in own.items()]
        totals = self._processes.sum(np.array(counts, np.int64))
        return {name: int(count) for name, count in zip(own, totals, strict=True) if count}

    def hash(self) -> str:
        """A sha256 over names, shapes and mask bits; it does not depend on the order in which masks were set."""
        digest = hashlib.sha256()
        for name in sorted(self._masks):
            mask = self._whole(name)
            digest.update(f"{name}\0{tuple(mask.shape)}\0".encode())
            digest.update(_packed(mask).numpy().tobytes())
        return digest.hexdigest()

    def pack(self, *, is_sharded: bool = False) -> dict[str, Tensor]:
        """All masks as uint8 tensors with one bit per weight (the first weight in the highest bit), on the CPU.

        With ``is_sharded`` those of sharded parameters are bool DTensors like these, and nothing is sent.
        """
        return {name: self._sharded(name) if is_sharded else _packed(self._whole(name)) for name in self._masks}

    def unpack(self, packed: Mapping[str, Tensor]) -> None:
        """Replaces all masks by those of :meth:`pack`; does not change the weights."""
        self.clear()
        for name, bits in packed.items():
            parameter = self._owners[self.owner(name)].parameters[0]
            if (mask := unpacked(bits, parameter.shape)) is None:
                raise DsdError(f"the stored mask of `{name}` does not fit its shape {tuple(parameter.shape)}")
            self.set(name, own_rows(mask, parameter))

    def _sharded(self, name: str) -> Tensor:
        """A mask like its parameter: a DTensor, if that is one; else bits."""
        parameter = self._owners[name].parameters[0]
        if not is_sharded(parameter):
            return _packed(self._masks[name].mask)
        made = torch.empty_like(parameter.detach(), dtype=torch.bool)
        local_of(made).copy_(self._masks[name].mask)
        return made

    def _whole(self, name: str) -> Tensor:
        """The mask of all processes' rows."""
        mask, parameter = self._masks[name].mask, self._owners[name].parameters[0]
        return gathered(mask, parameter) if is_sharded(parameter) else mask

    def _on_device_of(self, parameter: Tensor, name: str) -> ClearingMask:
        """The mask, moved if the model has moved to another device."""
        clearing = self._masks[name] = _moved_to(parameter.device, self._masks[name])
        return clearing


def _moved_to(device: torch.device, clearing: ClearingMask) -> ClearingMask:
    return clearing if clearing.mask.device == device else ClearingMask(clearing.mask.to(device))


def _packed(mask: Tensor) -> Tensor:
    return torch.from_numpy(np.packbits(mask.cpu().contiguous().numpy()))


def unpacked(stored: Tensor, shape: torch.Size) -> Tensor | None:
    """A mask as :meth:`MaskStore.pack` has stored it, bool of that shape; None if it does not fit."""
    if stored.dtype == torch.bool and stored.shape == shape:
        return stored
    if stored.dtype != torch.uint8 or stored.numel() != (shape.numel() + 7) // 8:
        return None
    bits = np.unpackbits(stored.cpu().numpy(), count=shape.numel())
    return torch.from_numpy(bits).view(torch.bool).view(shape)


def same_shape_buffers(parts: Sequence[torch.optim.Optimizer], parameter: Tensor) -> list[tuple[str, Tensor]]:
    """The state buffers of the parameter's shape, by name; ``parts`` are an optimizer and those inside it.

    For a sharded parameter they are the rows of this process.
    """
    found: list[tuple[str, Tensor]] = []
    for part in parts:
        for key, value in part.state[parameter].items() if parameter in part.state else ():
            tensors = value if isinstance(value, (list, tuple)) else (value,)
            found += [(str(key), local_of(tensor)) for tensor in tensors if _is_of_shape(tensor, parameter)]
    return found


def _is_of_shape(value: object, parameter: Tensor) -> bool:
    if not isinstance(value, Tensor) or not value.dim():
        return False
    return value.shape == (parameter if is_sharded(value) else local_of(parameter)).shape


def _clear_buffer(clearing: ClearingMask, buffer: Tensor, *, name: str, key: str) -> None:
    if not (buffer.is_floating_point() or buffer.is_complex()):
        raise DsdError(
            f"the optimizer keeps `{key}` of `{name}` as {buffer.dtype}, a quantized format that cannot be set to zero",
            help="use an optimizer with floating-point state",
        )
    if buffer.layout == torch.sparse_coo:
        clearing.clear_rows(buffer)
    else:
        _moved_to(buffer.device, clearing).clear(buffer)


def _group_by_memory(
    named_parameters: Iterable[tuple[str, nn.Parameter]],
) -> tuple[dict[str, Owner], dict[str, str]]:
    """Owners by their first name, and for every name the first name of the same memory."""
    owners: dict[str, Owner] = {}
    canonical: dict[str, str] = {}
    by_memory: dict[tuple[object, ...], str] = {}
    for name, parameter in named_parameters:
        first = by_memory.setdefault(memory_of(parameter), name)
        canonical[name] = first
        known = owners.get(first, Owner(first, ()))
        if any(parameter is other for other in known.parameters):
            continue
        if known.parameters and _layout(known.parameters[0]) != _layout(parameter):
            raise DsdError(
                f"`{first}` and `{name}` share memory but differ in shape or dtype, so one mask cannot serve both",
                help="tie the two as one parameter and transpose where it is used",
            )
        owners[first] = Owner(first, (*known.parameters, parameter))
    return owners, canonical


def memory_of(parameter: Tensor) -> tuple[object, ...]:
    """A key that is equal for two parameters exactly if they share memory (tied weights)."""
    has_memory = parameter.layout == torch.strided and not is_lazy(parameter)
    address = local_of(parameter).data_ptr() if has_memory else 0
    return (parameter.device, address) if address else (id(parameter),)


def _layout(parameter: Tensor) -> tuple[object, ...]:
    return (parameter.dtype, tuple(parameter.shape), parameter.stride())
