"""The values that pruned weights keep while the model has zeros in their place.

Between two updates a model has w M: what it computes, what is evaluated, saved or exported is masked, and no forward
pass is changed. Before the optimizer's step the values of the weights that are trained come into the model (`reveal`),
and after it the pruned ones go out again (`hide`). So the gradient of the loss at w M goes straight to w.

Each of the two costs an addition, or a copy, a mask and a subtraction, of the masked weights; the memory is one more
copy of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from dsd_runtime.masks import MaskStore
from dsd_runtime.masks.shards import local_of, sharded_as


class HiddenValues:
    """Values by the name of their mask, zero where the mask keeps the weight; of a sharded weight its rows.

    ``store`` has the masks of the forward pass. ``trained`` has those of the weights that a step may change, for the
    names for which that is not all of them; the values of the others stay hidden during a step.
    """

    def __init__(self, store: MaskStore, trained: MaskStore) -> None:
        self._store, self._trained = store, trained
        self._values: dict[str, Tensor] = {}
        self.is_open = False
        """Whether the model has the values of the trained weights."""

    def __len__(self) -> int:
        return len(self._values)

    def begin(self, names: Iterable[str]) -> None:
        """Takes the values of all pruned weights of some masks out of the model, which has them now."""
        self._values = {name: torch.zeros_like(self._store.parameters(name)[0].detach()) for name in names}
        self.is_open = True
        self.hide()

    def end(self) -> None:
        """Drops the values; the model is left as it is."""
        self._values, self.is_open = {}, False

    @torch.no_grad()
    def reveal(self) -> None:
        """Gives the model the values of the weights that a step trains."""
        if self.is_open:
            return
        for name, own, hidden in self._pairs():
            if name in self._trained:
                moved = hidden.clone()
                self._trained.mask_tensor(name, moved)
                hidden.sub_(moved)
                own.add_(moved)
            else:
                own.add_(hidden)
        self.is_open = True

    @torch.no_grad()
    def reveal_all(self) -> None:
        """Gives the model all values, also of weights that a step does not train."""
        self.reveal()
        for name, own, hidden in self._pairs():
            if name in self._trained:
                own.add_(hidden)
                hidden.zero_()

    def hide(self) -> None:
        """Takes the values of pruned weights out of the model; nothing if they are (as after most updates)."""
        if self.is_open:
            self._hide()

    @torch.no_grad()
    def _hide(self) -> None:
        for name, own, hidden in self._pairs():
            pruned = own.clone() if name in self._trained else hidden.copy_(own)
            self._store.mask_tensor(name, own)
            pruned.sub_(own)
            if pruned is not hidden:
                hidden.add_(pruned)
        self.is_open = False

    @contextmanager
    def all_revealed(self) -> Iterator[None]:
        """The model has all values in the block; afterwards it is masked again, also after an error."""
        self.reveal_all()
        try:
            yield
        finally:
            self.hide()

    def trained_parts(self) -> Iterator[tuple[str, Tensor]]:
        """The hidden values of the weights that a step trains, while they are hidden: by name, zero elsewhere."""
        assert not self.is_open
        for name, _, hidden in self._pairs():
            if name in self._trained:
                hidden = hidden.clone()
                self._trained.mask_tensor(name, hidden)
            yield name, hidden

    def dense(self, name: str) -> Tensor:
        """A copy of this process's rows of a weight with all its values, while they are hidden."""
        assert not self.is_open
        own = local_of(self._store.parameters(name)[0].detach())
        return own + self._on_device_of(own, name) if name in self._values else own.clone()

    def state_dict(self) -> dict[str, Tensor]:
        """The values, live."""
        return dict(self._values)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Takes saved values; the model is masked and stays as it is."""
        self._values, self.is_open = {}, False
        for name, value in state.items():
            parameter = self._store.parameters(self._store.owner(name))[0].detach()
            self._values[name] = torch.zeros_like(parameter)
            local_of(self._values[name]).copy_(local_of(sharded_as(parameter, value)))

    def _pairs(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Each name, the memory of its weight, and the hidden values."""
        for name in self._values:
            own = local_of(self._store.parameters(name)[0].detach())
            yield name, own, self._on_device_of(own, name)

    def _on_device_of(self, own: Tensor, name: str) -> Tensor:
        """The hidden values, moved if the model has moved to another device."""
        if self._values[name].device != own.device:
            self._values[name] = self._values[name].to(own.device)
        return local_of(self._values[name])
