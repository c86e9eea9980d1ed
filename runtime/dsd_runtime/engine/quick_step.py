"""SGD's, Adam's and AdamW's step on a CPU in pieces that fit into its cache: the bits of torch's default, in less time.

Torch's default on a CPU passes over the whole memory of a matrix once for each operation of its formula, and allocates
the results. Here the same operations run in the same order on 2^18 elements at a time, and small tensors in one call.
Each operation is elementwise, so where a float32 or float64 tensor is cut changes no bit (in bfloat16 and float16 the
last elements of a piece are rounded differently). What costs Adam's default most in a sparse phase is avoided as well:
the square roots of the zeros in its moments. `fused=True` is quicker still (one pass), but rounds differently.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from dsd_runtime.engine.step_guard import StepEnd, StepGuard

PIECE_ELEMENTS = 1 << 18
"""Elements of each tensor that a thread updates at once (1 MB for float32)."""

_SMALL_ELEMENTS = 1 << 14

Group = Mapping[str, Any]
State = Mapping[Tensor, dict[str, Any]]


class Operations(NamedTuple):
    """The operations of the formulas, on a tensor or on lists of tensors: the same kernels."""

    add_: Callable[..., object]
    mul_: Callable[..., object]
    div_: Callable[..., object]
    lerp_: Callable[..., object]
    addcmul_: Callable[..., object]
    addcdiv_: Callable[..., object]


_ON_TENSOR = Operations(Tensor.add_, Tensor.mul_, Tensor.div_, Tensor.lerp_, Tensor.addcmul_, Tensor.addcdiv_)
_ON_LISTS = Operations(
    torch._foreach_add_,
    torch._foreach_mul_,
    torch._foreach_div_,
    torch._foreach_lerp_,
    torch._foreach_addcmul_,
    torch._foreach_addcdiv_,
)

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
        self._scratch: dict[torch.dtype, Tensor] = {}
        self._spaces: dict[tuple[torch.dtype, torch.Size], Tensor] = {}

    def __call__(self, optimizer: Optimizer) -> bool:
        """Does what `optimizer.step()` does; false, with nothing done, if this optimizer has to do its step itself.

        It has to if it is of another class, has hooks besides the session's or options that change the formula, or if a
        weight or gradient is not a dense float32 or float64 tensor on the CPU.
        """
        kind = type(optimizer)
        if kind not in (SGD, Adam, AdamW) or not _has_only_own_hooks(optimizer):
            return False
        if not all(map(_is_plain, optimizer.param_groups)):
            return False
        update = self._sgd if kind is SGD else self._adam
        with torch.no_grad():
            for group in optimizer.param_groups:
                update(optimizer.state, group, [one for one in group["params"] if one.grad is not None])
        return True

    def _sgd(self, state: State, group: Group, parameters: list[Tensor]) -> None:
        """buffer = m buffer + (1 - d) (g + wd w); w -= lr buffer, or with Nesterov lr (g + wd w + m buffer)."""
        rate, momentum, decay = group["lr"], group["momentum"], group["weight_decay"]
        kept, is_nesterov = 1 - group["dampening"], group["nesterov"]
        if not momentum:
            self._sgd_without_momentum(parameters, rate, decay)
            return
        started = [parameter for parameter in parameters if state[parameter].get("momentum_buffer") is not None]
        if len(started) < len(parameters):
            known = set(started)
            _start_sgd(state, group, [parameter for parameter in parameters if parameter not in known])
        buffers = [state[parameter]["momentum_buffer"] for parameter in started]
        for on, (weights, gradients, moments) in _pieces((started, _gradients(started), buffers)):
            if decay:
                gradients = self._sum(gradients, weights, decay)
            on.mul_(moments, momentum)
            on.add_(moments, gradients, alpha=kept)
            on.add_(weights, self._sum(gradients, moments, momentum) if is_nesterov else moments, alpha=-rate)

    def _sgd_without_momentum(self, parameters: list[Tensor], rate: float, decay: float) -> None:
        if not decay:
            torch._foreach_add_(parameters, _gradients(parameters), alpha=-rate)
            return
        for on, (weights, gradients) in _pieces((parameters, _gradients(parameters))):
            on.add_(weights, self._sum(gradients, weights, decay), alpha=-rate)

    def _adam(self, state: State, group: Group, parameters: list[Tensor]) -> None:
        """The moments m and v of g (Adam: g + wd w); w -= lr m / c1 / (sqrt(v) / c2 + eps), AdamW after w *= 1 - lr wd.

        Weights whose state was reset have a step count of their own, and with it other corrections c1 and c2.
        """
        alike: dict[float, list[Tensor]] = defaultdict(list)
        for parameter in parameters:
            if not (own := state[parameter]):
                _start_adam(own, parameter)
            own["step"] += 1
            alike[own["step"].item()].append(parameter)
        for steps, members in alike.items():
            first, second = ([state[parameter][name] for parameter in members] for name in ("exp_avg", "exp_avg_sq"))
            for on, piece in _pieces((members, _gradients(members), first, second)):
                self._adam_piece(on, group, steps, *piece)

    def _adam_piece(
        self, on: Operations, group: Group, steps: float, weights: Any, gradients: Any, first: Any, second: Any
    ) -> None:
        rate, decay, (beta1, beta2) = group["lr"], group["weight_decay"], group["betas"]
        if decay and group["decoupled_weight_decay"]:
            on.mul_(weights, 1 - rate * decay)
        elif decay:
            gradients = self._sum(gradients, weights, decay)
        on.lerp_(first, gradients, 1 - beta1)
        on.mul_(second, beta2)
        on.addcmul_(second, gradients, gradients, value=1 - beta2)
        correction = (1 - beta2**steps) ** 0.5
        divisors = self._roots(second, at_least=_negligible(group["eps"] * correction, second))
        on.div_(divisors, correction)
        on.add_(divisors, group["eps"])
        on.addcdiv_(weights, first, divisors, value=-(rate / (1 - beta1**steps)))

    def _sum(self, left: Any, right: Any, factor: float) -> Any:
        """left + factor right; the result is valid until the next call."""
        if isinstance(left, Tensor):
            return torch.add(left, right, alpha=factor, out=self._space(left))
        return torch._foreach_add(left, right, alpha=factor)

    def _roots(self, values: Any, at_least: float) -> Any:
        """The square roots of the values, or of ``at_least`` if that is more; valid until the next call."""
        if isinstance(values, Tensor):
            return torch.clamp_min(values, at_least, out=self._space(values)).sqrt_()
        raised = torch._foreach_clamp_min(values, at_least)
        torch._foreach_sqrt_(raised)
        return raised

    def _space(self, like: Tensor) -> Tensor:
        """Memory for one result, always the same so that it stays in the cache."""
        key = (like.dtype, like.shape)
        space = self._spaces.get(key)
        if space is None:
            scratch = self._scratch.get(like.dtype)
            if scratch is None or scratch.numel() < like.numel():
                scratch = self._scratch[like.dtype] = torch.empty(like.numel(), dtype=like.dtype)
            space = self._spaces[key] = scratch[: like.numel()].view(like.shape)
        return space


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


def _start_sgd(state: State, group: Group, parameters: list[Tensor]) -> None:
    """The first step of some weights, whose buffer becomes their gradient."""
    for parameter in parameters:
        gradient = parameter.grad
        assert gradient is not None
        if group["weight_decay"]:
            gradient = gradient.add(parameter, alpha=group["weight_decay"])
        buffer = state[parameter]["momentum_buffer"] = gradient.detach().clone()
        direction = gradient.add(buffer, alpha=group["momentum"]) if group["nesterov"] else buffer
        parameter.add_(direction, alpha=-group["lr"])


def _start_adam(state: dict[str, Any], parameter: Tensor) -> None:
    is_wide = torch.get_default_dtype() == torch.float64
    state["step"] = torch.tensor(0.0, dtype=torch.float64 if is_wide else torch.float32, device="cpu")
    for name in ("exp_avg", "exp_avg_sq"):
        state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)


def _negligible(epsilon: float, values: Any) -> float:
    """A value whose square root disappears when ``epsilon`` is added, so that anything below may be raised to it.

    The square roots of 0, as every pruned weight has, and of denormal numbers take ten times as long as others (MKL).
    """
    dtype = values.dtype if isinstance(values, Tensor) else values[0].dtype
    largest = (epsilon * torch.finfo(dtype).eps / 8) ** 2
    return largest if largest > torch.finfo(dtype).tiny else 0.0


def _gradients(parameters: list[Tensor]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _pieces(columns: tuple[list[Tensor], ...]) -> Iterator[tuple[Operations, Any]]:
    """The rows of the columns: a large one in pieces, as tensors; small ones together, as lists."""
    rows: list[tuple[Tensor, ...]] = []
    size, most = 0, PIECE_ELEMENTS * torch.get_num_threads()
    for row in zip(*columns, strict=True):
        numel = row[0].numel()
        if numel > most and all(tensor.is_contiguous() for tensor in row):
            for piece in zip(*(tensor.view(-1).split(most) for tensor in row), strict=True):
                yield _ON_TENSOR, piece
        elif numel > _SMALL_ELEMENTS:
            yield _ON_TENSOR, row
        else:
            rows.append(row)
            size += numel
            if size > most:
                yield _ON_LISTS, tuple(map(list, zip(*rows, strict=True)))
                rows, size = [], 0
    if rows:
        yield _ON_LISTS, tuple(map(list, zip(*rows, strict=True)))
