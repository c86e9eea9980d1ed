"""Counts the FLOPs of one update by layer: of the products of its forward and backward pass, as the kernels are called.

A multiplication and addition are 2 FLOPs. The backward pass is counted, not estimated: it is usually twice the forward
pass (the factor that Evci et al., *Rigging the Lottery*, ICML 2020, appendix H, assume), but a first layer needs no
gradient of its inputs. Evaluations, norms and activations are left out.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dsd_lang.base.layers import LayerInfo
from dsd_runtime.experiment.products import OperationMode, multiplications

FLOPS_PER_PRODUCT = 2


class UpdateFlops(NamedTuple):
    """By layer; `""` is what belongs to no module below the model."""

    forward: Counter[str]
    backward: Counter[str]


def update_flops(model: nn.Module, loss: Callable[[], Tensor]) -> UpdateFlops:
    """The FLOPs of ``loss`` and its backward pass; the gradients of the model are left empty."""
    with _LayerCounter() as counter, counter.watching(model):
        loss().backward()  # type: ignore[no-untyped-call]
    model.zero_grad(set_to_none=True)
    return UpdateFlops(counter.forward, counter.backward)


def forward_flops(compute: Callable[[], Any]) -> int:
    """The FLOPs of a forward pass without gradients."""
    with _LayerCounter() as counter, torch.no_grad():
        compute()
    return sum(counter.forward.values())


def weights_of_layers(counted: Sequence[str], layers: Sequence[LayerInfo]) -> dict[str, dict[str, int]]:
    """The matrices that each layer with FLOPs multiplies, by first name with their sizes.

    Those of a module without FLOPs of its own (the output projection of an attention) belong to the module above it.
    """
    found: dict[str, dict[str, int]] = {name: {} for name in counted}
    for layer in layers:
        owner = next((name for name in _with_parents(layer.name) if name in found), None)
        if owner is not None:
            found[owner] |= {weight.first_name: weight.size for weight in layer.weights if weight.is_matrix}
    return found


def _with_parents(name: str) -> Iterator[str]:
    """`a.b`, `a`, and the model itself."""
    yield name
    while name:
        name = name.rpartition(".")[0]
        yield name


class _LayerCounter(OperationMode):
    """Adds the products of every operation to the innermost module that is being called.

    In the backward pass no module is called. There the node of the graph tells the module by its sequence number,
    because the nodes of one call are created one after the other.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.forward: Counter[str] = Counter()
        self.backward: Counter[str] = Counter()
        self._called: list[str] = []
        self._since: list[int] = []
        self._owners: list[str] = []

    def saw(self, operation: Any, arguments: Sequence[Any], result: Any) -> None:
        count = multiplications(operation, arguments, result)
        if count:
            node = torch._C._current_autograd_node()
            side, name = (self.forward, self._now) if node is None else (self.backward, self._owner(node))
            side[name] += FLOPS_PER_PRODUCT * count

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Follows the calls of the modules below ``model`` inside the block."""
        hooks = []
        for name, module in model.named_modules():
            if name:
                hooks.append(module.register_forward_pre_hook(lambda *_, name=name: self._enter(name)))
                hooks.append(module.register_forward_hook(lambda *_: self._leave(), always_call=True))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    @property
    def _now(self) -> str:
        return self._called[-1] if self._called else ""

    def _enter(self, name: str) -> None:
        self._called.append(name)
        self._mark()

    def _leave(self) -> None:
        self._called.pop()
        self._mark()

    def _mark(self) -> None:
        self._since.append(torch.autograd._get_sequence_nr())  # type: ignore[attr-defined]
        self._owners.append(self._now)

    def _owner(self, node: Any) -> str:
        """The module that created a node; the one being called, if a checkpointed forward pass is computed again."""
        if self._called:
            return self._now
        index = bisect_right(self._since, node._sequence_nr()) - 1
        return self._owners[index] if index >= 0 else ""
