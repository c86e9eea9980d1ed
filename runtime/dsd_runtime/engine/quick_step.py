"""SGD's, Adam's and AdamW's step on a CPU in pieces that fit into its cache: the bits of torch's default, in less time.

The formulas are in quick_sgd.py and quick_adam.py, the pieces in quick_pieces.py. Gradients are masked piece by piece
too, while they are in the cache. `fused=True` is quicker still (one pass), but rounds differently.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from dsd_runtime.engine.quick_adam import QuickAdam
from dsd_runtime.engine.quick_pieces import Group, Masks, Scratch
from dsd_runtime.engine.quick_sgd import QuickSgd
from dsd_runtime.engine.step_guard import StepEnd, StepGuard
from dsd_runtime.masks import MaskStore

_DTYPES = (torch.float32, torch.float64)
_OTHER_WAYS = ("maximize", "foreach", "fused", "capturable", "differentiable", "amsgrad")
_NUMBERS = ("lr", "momentum", "dampening", "weight_decay", "eps")


class QuickStep:
    """Takes the place of `optimizer.step()`.

    >>> weight = nn.Parameter(torch.ones(2))
    >>> weight.grad = torch.ones(2)
    >>> QuickStep()(SGD([weight], lr=0.5)), weight.tolist()
    (True, [0.5, 0.5])
    """

    def __init__(self) -> None:
        scratch = Scratch()
        self._sgd, self._adam = QuickSgd(scratch), QuickAdam(scratch)

    def __call__(self, optimizer: Optimizer, store: MaskStore | None = None) -> bool:
        """Does what `optimizer.step()` does; false, with nothing done, if this optimizer has to do its step itself.

        It has to if it is of another class, has hooks besides the session's or options that change the formula, or if a
        weight or gradient is not a dense float32 or float64 tensor on the CPU. With a ``store`` gradients are masked
        first.
        """
        kind = type(optimizer)
        if kind not in (SGD, Adam, AdamW) or not _has_only_own_hooks(optimizer):
            return False
        if not all(map(_is_plain, optimizer.param_groups)):
            return False
        update = self._sgd if kind is SGD else self._adam
        masks = _masks_of(optimizer, store) if store is not None else {}
        with torch.no_grad():
            for group in optimizer.param_groups:
                if parameters := [one for one in group["params"] if one.grad is not None]:
                    update(optimizer.state, group, parameters, masks)
        return True


def _masks_of(optimizer: Optimizer, store: MaskStore) -> Masks:
    """The masks of the optimizer's weights; none, with the gradients masked already, if others are masked too."""
    masks = store.by_parameter()
    if masks.keys() <= {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}:
        return masks
    store.apply_to_gradients()
    return {}


def _has_only_own_hooks(optimizer: Optimizer) -> bool:
    """Whether nothing but the session's guard would see the step."""
    if "step" in vars(optimizer):  # a learning-rate scheduler counts the calls
        return False
    if _global_optimizer_pre_hooks or _global_optimizer_post_hooks:
        return False
    hooks = (*optimizer._optimizer_step_pre_hooks.values(), *optimizer._optimizer_step_post_hooks.values())
    return all(isinstance(hook, StepGuard | StepEnd) for hook in hooks)


def _is_plain(group: Group) -> bool:
    if any(group.get(name) for name in _OTHER_WAYS):
        return False
    if any(isinstance(group.get(name), Tensor) for name in _NUMBERS):
        return False
    if any(isinstance(beta, Tensor) for beta in group.get("betas", ())):
        return False
    return all(map(_is_dense, group["params"]))


def _is_dense(parameter: Tensor) -> bool:
    gradient = parameter.grad
    return gradient is None or (
        type(parameter) in (nn.Parameter, Tensor)
        and type(gradient) is Tensor
        and gradient.is_cpu
        and gradient.layout == torch.strided
        and parameter.dtype == gradient.dtype
        and parameter.dtype in _DTYPES
    )
