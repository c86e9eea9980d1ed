"""A backward pass in Python: torch's own engine asks the CUDA driver for its streams, and there is none.

It calls the same nodes in the same order, and checks what torch's engine checks: the device and shape of a gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

Gradients = dict[Any, dict[int, Tensor]]
"""By node, and by the number of its input."""


def run_backward(outputs: Sequence[Tensor], gradients: Sequence[Tensor], *rest: Any, **options: Any) -> tuple[()]:
    """Takes the place of `torch.autograd._engine_run_backward` for `Tensor.backward()`."""
    edges = [torch.autograd.graph.get_gradient_edge(output) for output in outputs]
    pending: Gradients = {}
    for edge, gradient in zip(edges, gradients, strict=True):
        _add(pending, edge.node, edge.output_nr, gradient)
    with torch.no_grad():
        for node in _in_order([edge.node for edge in edges]):
            received = pending.pop(node, {})
            if hasattr(node, "variable"):
                _accumulate(node.variable, received.get(0))
            elif received:
                for (following, index), value in zip(node.next_functions, _called(node, received), strict=False):
                    if following is not None and value is not None:
                        _add(pending, following, index, value)
    return ()


def _in_order(roots: list[Any]) -> Iterator[Any]:
    """Every node before the nodes that it passes gradients to."""
    finished: list[Any] = []
    seen: set[Any] = set()
    stack = [(root, False) for root in roots]
    while stack:
        node, is_done = stack.pop()
        if is_done:
            finished.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack += [(following, False) for following, _ in node.next_functions if following is not None]
    return reversed(finished)


def _called(node: Any, received: dict[int, Tensor]) -> tuple[Tensor | None, ...]:
    arguments = [received.get(index) for index in range(len(node._input_metadata))]
    results = node.apply(*arguments) if hasattr(node, "apply") else node(*arguments)
    return results if isinstance(results, tuple) else (results,)


def _add(pending: Gradients, node: Any, index: int, value: Tensor) -> None:
    expected = node._input_metadata[index]
    assert value.device == expected.device, f"{node.name()} expects a gradient on {expected.device}, not {value.device}"
    value = value.sum_to_size(tuple(expected.shape)).to(expected.dtype)
    slots = pending.setdefault(node, {})
    slots[index] = value if index not in slots else slots[index] + value


def _accumulate(variable: Tensor, gradient: Tensor | None) -> None:
    if gradient is not None:
        variable.grad = gradient.detach() if variable.grad is None else variable.grad.add_(gradient)
