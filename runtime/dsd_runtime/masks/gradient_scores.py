"""Scores from gradients of the loss: `gradient`, `snip`, `taylor`, `fisher`, `grasp`.

Shape legend: every score has its weight's shape; the largest are kept. g is the gradient of a batch's mean loss, w the
weight. A weight that the loss does not reach has the score 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from dsd_lang.base.errors import DsdError
from dsd_runtime.masks.measuring import Measuring, wide

TensorsByName = dict[str, Tensor]


def gradient(measuring: Measuring) -> TensorsByName:
    """Mean over the batches of |g|. Weights that are 0 compete too, as in growing (Evci et al. 2020, section 3)."""
    return _mean_over_batches(measuring, lambda name, g: g.abs())


def snip(measuring: Measuring) -> TensorsByName:
    """|g w|, g the mean over the batches: the derivative by a gate at 1 (Lee et al. 2019, equations 4 and 5)."""
    means = _mean_over_batches(measuring, lambda name, g: g)
    return {name: (g * wide(measuring.weight(name))).abs() for name, g in means.items()}


def taylor(measuring: Measuring) -> TensorsByName:
    """(g w)^2, g the mean over the batches: the squared change of the loss without the weight, to first order
    (Molchanov et al. 2019, equation 8); in float64, as squares leave the range of float32 soon.
    """
    means = _mean_over_batches(measuring, lambda name, g: g)
    return {name: (g.double() * measuring.weight(name).double()).square() for name, g in means.items()}


def fisher(measuring: Measuring) -> TensorsByName:
    """w^2 times the mean over the batches of g^2: twice the increase of the loss without the weight, by the diagonal of
    the empirical Fisher information (Theis et al. 2018, equation 8); in float64.
    """
    means = _mean_over_batches(measuring, lambda name, g: g.double().square())
    return {name: g2 * measuring.weight(name).double().square() for name, g2 in means.items()}


def grasp(measuring: Measuring) -> TensorsByName:
    """w (H g), whose smallest are pruned: those of which the removal costs the least gradient flow.

    The paper (Wang et al. 2020, equation 8, Algorithm 1) removes the largest of -w (H g). The logits are divided by
    `T`. Raises :class:`DsdError` for a model without second derivatives.
    """
    batches = measuring.batches()
    with _divided_outputs(measuring, measuring.argument("T")), _differentiable_twice(measuring.by):
        mean = _over_batches(measuring, batches, lambda name, g: g)
        products = {name: torch.zeros_like(g) for name, g in mean.items()}
        for batch in batches:
            found = measuring.derivatives(measuring.loss_on(batch), create_graph=True)
            flow = torch.stack([(found[name] * mean[name]).sum() for name in mean]).sum()
            if flow.requires_grad:
                _require_second(flow, measuring.by)
                for name, product in measuring.derivatives(flow).items():
                    products[name] += measuring.mean(product) / len(batches)
    return {name: wide(measuring.weight(name)) * product for name, product in products.items()}


def _mean_over_batches(measuring: Measuring, each: Callable[[str, Tensor], Tensor]) -> TensorsByName:
    return _over_batches(measuring, measuring.batches(), each)


def _over_batches(measuring: Measuring, batches: list[Any], each: Callable[[str, Tensor], Tensor]) -> TensorsByName:
    sums: TensorsByName = {}
    for gradients in measuring.gradients(batches):
        for name, value in gradients.items():
            found = each(name, value)
            sums[name] = sums[name] + found if name in sums else found
    return {name: total / len(batches) for name, total in sums.items()}


@contextmanager
def _divided_outputs(measuring: Measuring, temperature: float) -> Iterator[None]:
    """Within the block the model's outputs, its logits, are divided by the temperature."""

    calls: list[nn.Module] = []

    def divide(module: nn.Module, inputs: object, output: object) -> object:
        calls.append(module)
        if isinstance(output, Mapping) and output.get("loss") is not None and temperature != 1:
            raise DsdError(
                f"`by={measuring.by}` divides the logits by `T={temperature:g}`, and the model computes its loss "
                "itself",
                help="give `score()` a loss of the logits (no labels for the model), or write `grasp(T=1)`",
            )
        return _divided(output, temperature)

    hook = measuring.model.register_forward_hook(divide)
    try:
        yield
    finally:
        hook.remove()
    if not calls and temperature != 1:
        raise DsdError(
            f"`by={measuring.by}` divides the logits by `T={temperature:g}`, and the loss function does not call the "
            "model that it is given",
            help="call the model itself and not a part of it, or write `grasp(T=1)`",
        )


def _divided(output: object, temperature: float) -> Any:
    if isinstance(output, Tensor):
        return output / temperature if output.is_floating_point() else output
    if isinstance(output, Mapping):
        made: Any = {name: _divided(value, temperature) for name, value in output.items()}
        return made if type(output) is dict else type(output)(**made)
    if isinstance(output, tuple) and hasattr(output, "_fields"):
        return type(output)(*(_divided(value, temperature) for value in output))
    if isinstance(output, (list, tuple)):
        return type(output)(_divided(value, temperature) for value in output)
    return output


@contextmanager
def _differentiable_twice(by: str) -> Iterator[None]:
    """Within the block attention and recurrences use kernels with second derivatives, where torch has them."""
    with sdpa_kernel(SDPBackend.MATH), torch.backends.cudnn.flags(enabled=False):
        try:
            yield
        except (RuntimeError, NotImplementedError) as error:
            said = str(error).split("\n")[0]
            if "is not implemented" not in said:
                raise
            raise _no_second_derivatives(by, said) from error


def _require_second(scalar: Tensor, by: str) -> None:
    """Raises :class:`DsdError` if an operation that computes it allows one derivative only.

    Such an operation (`once_differentiable`) ends the graph in a node that raises when it is reached, but it is never
    on the way to a weight.
    """
    seen: set[object] = set()
    waiting = [scalar.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node.name() in ("DelayedError", "torch::autograd::Error"):
            raise _no_second_derivatives(by, "it is marked as differentiable once")
        waiting += [before for before, _ in node.next_functions]


def _no_second_derivatives(by: str, why: str) -> DsdError:
    return DsdError(
        f"`by={by}` needs second derivatives, which an operation of the model does not have: {why}",
        help="use `by=snip` or `by=synflow`",
    )
