"""Masks at fixed addresses, for an update that is captured in a CUDA graph or compiled as a whole.

Every weight that some phase of the plan prunes has one mask here, all ones while the phase is dense. A boundary writes
new values into the same memory, so neither a captured graph nor a compiled function has to be made again. It costs one
byte more for each of these weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from dsd_lang.base.errors import DsdError
from dsd_runtime.engine.session import Session
from dsd_runtime.masks.clearing import bits_of
from dsd_runtime.masks.shards import local_of


def _clear(gradients: list[Tensor], masks: list[Tensor]) -> None:
    """+0.0 outside of the masks, by integer products (see clearing.py); compiled, a few kernels for all of them."""
    torch._foreach_mul_([bits_of(gradient) for gradient in gradients], masks)


class CapturedMasks:
    """Masks the gradients of a session inside a captured or compiled update::

        masks, graph = CapturedMasks(session), None
        for batch in session.batches(loader):  # enters phases, outside of the graph
            copy_to_fixed_memory(batch)
            if masks.follow():                 # gradients or state are other tensors than before
                graph = None
                update()                       # forward, backward, masks.apply(), optimizer.step()
            else:
                graph = graph or capture(update)
                graph.replay()
            masks.count_update()               # clocks, the rate of the next update

    The optimizer needs `capturable=True` where it has it, and a rate that is a tensor, which the session fills in
    place. ``compiled`` compiles :meth:`apply`.
    """

    def __init__(self, session: Session, *, compiled: bool = False) -> None:
        self._line, self._halves = session._line, session._halves
        store = session.boundary.store
        self._names = tuple(dict.fromkeys(store.owner(name) for name in session.boundary.selected_names()))
        self._weights = [weight for name in self._names for weight in store.parameters(name)]
        owners = [name for name in self._names for _ in store.parameters(name)]
        made = {name: torch.ones_like(local_of(store.parameters(name)[0]), dtype=torch.int8) for name in self._names}
        self._masks = [made[name].requires_grad_(False) for name in owners]
        self._by_name = made
        self._clear: Callable[[list[Tensor], list[Tensor]], None] = (
            torch.compile(_clear, dynamic=False) if compiled else _clear
        )
        self._changes = -1
        self._seen: list[tuple[int, int]] | None = None

    @torch.no_grad()
    def follow(self) -> bool:
        """Takes over the session's masks if they have changed; call it before each update, outside of the graph.

        Returns whether the optimizer's state or the gradients are other tensors than at the last call (the first
        update makes them, `state=reset`, `from=` and `opt=` drop them): then a graph must be captured again. Raises
        :class:`DsdError` in a phase with `clip=`, `l1=`, `distill=`, `update=`, `by=movement` or an `enforce=` that is
        not `hard`, which are not part of :meth:`apply`.
        """
        self._require_simple()
        store = self._line.boundary.store
        if store.changes != self._changes:
            now = store.masks
            for name, mask in self._by_name.items():
                mask.copy_(now[name].view(torch.int8)) if name in now else mask.fill_(1)
            self._changes = store.changes
        state: dict[Any, dict[str, Any]] = self._line.optimizer.state
        buffers = [value for entry in state.values() for value in entry.values() if isinstance(value, Tensor)]
        gradients = (weight.grad for weight in self._trained() if weight.grad is not None)
        seen = [(id(tensor), local_of(tensor).data_ptr()) for tensor in (*buffers, *gradients)]
        is_other, self._seen = seen != self._seen, seen
        return is_other

    @torch.no_grad()
    def apply(self) -> None:
        """Masks the gradients: after `backward()`, before a limit on their norm, and before the optimizer."""
        self._line.guard.open()
        pairs = [(w.grad, mask) for w, mask in zip(self._weights, self._masks, strict=True) if w.grad is not None]
        self._clear([local_of(gradient) for gradient, _ in pairs], [mask for _, mask in pairs])

    def count_update(self) -> None:
        """Counts an applied update: masks what the optimizer moves, advances the clocks, sets the next rate."""
        self._halves.after_captured("count_update()")

    def _trained(self) -> list[nn.Parameter]:
        return [weight for group in self._line.optimizer.param_groups for weight in group["params"]]

    def _require_simple(self) -> None:
        phase = self._line.stage.phase
        for name in ("clip", "l1", "distill", "update"):
            value = getattr(phase, name)
            if value is not None:
                raise DsdError(
                    f"phase `{phase.label or phase.id}` has `{name}=`, which a captured update does not do",
                    help=f"leave out `{name}=` and do it in your update, or call `session.step()`",
                )
        if not self._line.boundary.acting.is_plain:
            name = "by=movement" if phase.enforce.name == "hard" else f"enforce={phase.enforce.name}"
            raise DsdError(
                f"phase `{phase.label or phase.id}` has `{name}`, whose weights change around each step",
                help="call `session.step()` in this phase",
            )
        if self._line.frozen.drops_gradients and self._line.frozen.names:
            raise DsdError(
                f"phase `{phase.label or phase.id}` has `freeze=`, and a captured update cannot leave gradients out "
                "that processes average",
                help="call `session.step()`",
            )
