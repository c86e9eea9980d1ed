"""Detects an update on the gradients of the previous update, or without any."""

from __future__ import annotations

from torch import Tensor, nn
from torch.optim import Optimizer

from dsd_lang.base.errors import DsdError
from dsd_runtime.engine.warning import warn
from dsd_runtime.masks.shards import local_of


class FreshGradients:
    """Keeps one small gradient of the last update, and its version."""

    def __init__(self) -> None:
        self._parameter: nn.Parameter | None = None
        self._used: tuple[Tensor, int] | None = None
        self._has_stepped = False
        self._has_warned = False

    def require(self, call: str, optimizer: Optimizer, *, has_begun: bool, is_scaled: bool) -> None:
        """Raises :class:`DsdError` for a second ``call`` after one `backward()`; warns once if there is no gradient.

        ``has_begun``: a batch was drawn or `begin_step()` called since the last update, so old gradients may be
        intended.
        """
        has_any = any(weight.grad is not None for group in optimizer.param_groups for weight in group["params"])
        if not has_begun and self._has_stepped and (not has_any or self._is_old()):
            raise DsdError(
                f"`session.{call}` was called again without new gradients",
                help="call it once for each update, after `backward()`",
            )
        if has_any:
            return
        if is_scaled:
            raise DsdError("no weight has a gradient, so there is nothing to unscale", help="call `backward()` first")
        if not self._has_warned:
            self._has_warned = True
            warn(f"no weight has a gradient at `session.{call}`: was `backward()` called?")

    def remember(self, optimizer: Optimizer) -> None:
        """Marks the gradients as used."""
        self._has_stepped = True
        if self._parameter is None or self._parameter.grad is None:
            with_gradient = [w for group in optimizer.param_groups for w in group["params"] if w.grad is not None]
            self._parameter = min(with_gradient, key=Tensor.numel, default=None)
        gradient = self._parameter.grad if self._parameter is not None else None
        self._used = (gradient, local_of(gradient)._version) if gradient is not None else None

    def _is_old(self) -> bool:
        if self._parameter is None or self._used is None:
            return False
        gradient, version = self._used
        return self._parameter.grad is gradient and local_of(gradient)._version == version
