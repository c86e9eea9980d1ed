"""Determines whether an optimizer keeps a zero weight with zero gradient and zero state exactly zero.

If it does, masking the gradients at every update is enough after weights and state were zeroed at the phase's entry:
each rule below maps (w=+0, g=+0, state=+0) to itself, bit by bit. This follows from torch's formulas and is tested
(`tests/runtime/masks/test_optimizers.py`) for the for-loop, foreach and fused variants, with weight decay coupled or
decoupled (0 x anything is 0), `maximize`, Nesterov, dampening, `amsgrad` and `centered`:

* SGD: the buffer is m b + (1-d) g; w - lr b.
* Adam, AdamW, NAdam, RAdam, RMSprop, Adagrad, Adadelta: every moment is a weighted sum of g and g^2, and the step is
  moment / (sqrt(moment) + eps). It is 0/eps = 0 if eps is not zero in the weights' dtype; else 0/0. In float16
  Adam's default eps of 1e-8 is 0, so there the answer is no. (Adagrad's initial accumulator is zeroed at the entry.)
* ASGD: w (1 - lambda eta) - eta g, and its average is a mean of weights.

The others need their weights and state masked after every step:

* Adamax keeps max(beta |u|, |g| + eps), so its norm becomes eps; Rprop keeps a step size that never falls to 0.
* Muon orthogonalises the momentum of a whole matrix: pruned weights move at once.
* Adafactor's factored moments belong to rows and columns (and a one-row matrix's is of the weights' shape).
* SparseAdam, LBFGS and optimizers of other packages: unknown, so they are masked in full. So are subclasses, and
  optimizers with step hooks, unless the hook has `keeps_zeros = True`.
"""

from __future__ import annotations

import torch
from torch.optim import ASGD, SGD, Adadelta, Adagrad, Adam, AdamW, NAdam, Optimizer, RAdam, RMSprop

_WITHOUT_DIVISION = (SGD, ASGD)
_WITH_EPSILON = (Adam, AdamW, NAdam, RAdam, RMSprop, Adagrad, Adadelta)


_INSIDE = ("optimizer", "base_optimizer", "_base_optimizer", "inner_optimizer", "_optimizer", "optim")


def inner_optimizer(wrapper: object) -> tuple[str, Optimizer] | None:
    """The optimizer inside a wrapper (Lookahead, SAM, accelerate), and the attribute that holds it."""
    for attribute in _INSIDE:
        inner = getattr(wrapper, attribute, None)
        if isinstance(inner, Optimizer):
            return attribute, inner
    return None


def parts_of(optimizer: Optimizer) -> tuple[Optimizer, ...]:
    """The optimizer and those inside it with a state of their own, outermost first."""
    parts = [optimizer]
    while (inside := inner_optimizer(parts[-1])) is not None and all(inside[1] is not part for part in parts):
        parts.append(inside[1])
    return tuple(part for i, part in enumerate(parts) if all(part.state is not before.state for before in parts[:i]))


def preserves_zero(optimizer: Optimizer) -> bool:
    """Whether a weight of +0.0 with gradient and state of +0.0 stays exactly +0.0 in `optimizer.step()`.

    >>> preserves_zero(SGD([torch.zeros(1)], lr=0.1)), preserves_zero(torch.optim.Adamax([torch.zeros(1)]))
    (True, False)
    """
    kind = type(optimizer)
    if kind not in (*_WITHOUT_DIVISION, *_WITH_EPSILON):
        return False
    hooks = (*optimizer._optimizer_step_pre_hooks.values(), *optimizer._optimizer_step_post_hooks.values())
    if not all(getattr(hook, "keeps_zeros", False) for hook in hooks):
        return False
    if kind in _WITHOUT_DIVISION:
        return True
    return all(_epsilon_survives(group) for group in optimizer.param_groups)


def _epsilon_survives(group: dict[str, object]) -> bool:
    """Whether the group's eps is above zero in the dtype of each of its parameters."""
    parameters, epsilon = group["params"], group["eps"]
    assert isinstance(parameters, list)
    dtypes = {parameter.dtype for parameter in parameters}
    return all(float(torch.tensor(epsilon, dtype=dtype).real) > 0 for dtype in dtypes)
