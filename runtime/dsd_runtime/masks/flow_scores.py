"""The score of `synflow`: how much each weight carries of the flow through the network of absolute weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from dsd_lang.base.errors import DsdError
from dsd_runtime.masks.measuring import Measuring, is_array, num_samples


class _Called(Exception):
    """The model was called: what is needed is known."""


class Flow:
    """R = the sum of the outputs of the network of |w| on an input of ones (Tanaka et al. 2020, equation 2).

    A copy of the model in float64 and evaluation mode has the absolute values of all weights; biases and running means
    are 0, as in the equation and in the networks of the paper. No data is used, but the shape of one sample; whole
    numbers in the input (tokens, lengths) stay those of that sample.
    """

    def __init__(self, measuring: Measuring) -> None:
        self._measuring = measuring
        self._arguments, self._named = _inputs_of(measuring)
        self._model = _absolute(measuring)
        own = dict(self._model.named_parameters(remove_duplicate=False))
        self._weights = {name: own[name] for name in measuring.weights}
        self._full = {name: weight.detach().clone() for name, weight in self._weights.items()}

    def scores(self, masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """w dR/dw of the network with these masks, in float64; 0 for the weights that they prune.

        In a network of layers one behind the other the scores of every layer have the same sum, R.
        """
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(self._full[name])
                if name in masks:
                    weight.masked_fill_(~masks[name], 0)
        with torch.enable_grad():
            outputs = self._model(*self._arguments, **self._named)
            parts = [leaf.sum() for leaf in tree_leaves(_plain(outputs)) if is_float(leaf)]
            flow = torch.stack(parts).sum() if parts else torch.zeros(())
            if not flow.requires_grad:
                raise DsdError(
                    "`by=synflow` needs outputs of the model that depend on its weights", help="use `by=snip`"
                )
            found = torch.autograd.grad(flow, list(self._weights.values()), allow_unused=True)
        return {
            name: torch.zeros_like(weight) if gradient is None else (weight.detach() * gradient)
            for (name, weight), gradient in zip(self._weights.items(), found, strict=True)
        }


def is_float(value: object) -> bool:
    """Whether it is a tensor of real numbers."""
    return isinstance(value, Tensor) and value.is_floating_point()


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else value


def _inputs_of(measuring: Measuring) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What the model is called with for the first sample, with ones for all real numbers."""
    batch = measuring.one()
    found: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def keep(module: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        found.append((arguments, named))
        raise _Called

    hook = measuring.model.register_forward_pre_hook(keep, with_kwargs=True)
    try:
        with torch.no_grad():
            measuring.loss(measuring.model, batch)
    except _Called:
        pass
    finally:
        hook.remove()
    if not found:
        raise DsdError(
            f"the loss function for `by={measuring.by}` does not call the model",
            help="call the model that it is given: `lambda model, batch: loss_of(model(batch[0]), batch[1])`",
        )
    samples = num_samples(found[0])
    ones: tuple[tuple[Any, ...], dict[str, Any]] = tree_map(lambda leaf: _one_sample(leaf, samples), found[0])
    return ones


def _one_sample(leaf: Any, samples: int) -> Any:
    if not is_array(leaf):
        return leaf
    first = leaf[:1] if leaf.shape[0] == samples else leaf
    return torch.ones_like(first, dtype=torch.float64) if is_float(first) else first


def _absolute(measuring: Measuring) -> nn.Module:
    """A copy of the model with absolute weights and variances, and nothing that is added."""
    model = copy.deepcopy(measuring.model).double().eval()
    with torch.no_grad():
        for name, value in (*model.named_parameters(), *model.named_buffers()):
            if value.is_floating_point():
                is_added = "bias" in name.rpartition(".")[2] or name.endswith("running_mean")
                value.zero_() if is_added else value.abs_()
    for parameter in model.parameters():
        parameter.grad = None
    return model
