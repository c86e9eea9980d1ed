"""Counts the multiplications of one operation of torch: matrix products, convolutions, recurrent layers, attention.

Exact, from the shapes of what an operation is called with and returns. Everything else (norms, activations, sums)
counts as none, as in the literature.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import MappingProxyType
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

Arguments = Sequence[Any]
Count = Callable[[Arguments, Any], int]
"""From the arguments of an operation and its result."""


class OperationMode(TorchDispatchMode, ABC):  # type: ignore[no-untyped-call]
    """A base for counters: inside the block, :meth:`saw` gets every operation below the modules, with its result.

    The steps of recurrences are among them, and the backward pass.
    """

    @abstractmethod
    def saw(self, operation: Any, arguments: Arguments, result: Any) -> None:
        """Is called after every operation."""

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Arguments = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.saw(func, args, result)
        return result

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Else torch imports its compiler at the first operation, which takes seconds; counters are not compiled."""
        return False


def multiplications(operation: Any, arguments: Arguments, result: Any) -> int | None:
    """Of one call of an ATen operation; None for one without products. In-place and `out=` forms count alike."""
    count = _PRODUCTS.get(operation.overloadpacket.__name__.rstrip("_"))
    return None if count is None else count(arguments, result)


def _matrices(left: int) -> Count:
    """Two matrices at these indices of the arguments: [..., m, k] and [..., k, n] (or a vector [k])."""

    def count(arguments: Arguments, result: Any) -> int:
        first, second = arguments[left], arguments[left + 1]
        return int(prod(first.shape) * (second.shape[-1] if second.dim() > 1 else 1))

    return count


def _convolution(arguments: Arguments, result: Any) -> int:
    """Each output uses every weight of its group once; transposed, each input does."""
    images, kernel, is_transposed = arguments[0], arguments[1], arguments[6]
    return _of_kernel((images if is_transposed else result).shape, kernel)


def _convolution_gradients(arguments: Arguments, result: Any) -> int:
    """The gradients of the inputs and of the weights (those that are asked for) cost what the convolution costs."""
    gradient, images, kernel, is_transposed, asked = (arguments[index] for index in (0, 1, 2, 7, 10))
    return _of_kernel((images if is_transposed else gradient).shape, kernel) * (int(asked[0]) + int(asked[1]))


def _of_kernel(shape: Sequence[int], kernel: Any) -> int:
    """``shape`` is [N, C, ...]; the kernel [C, its inputs, ...] is used at each position of each sample."""
    return int(shape[0] * prod(shape[2:]) * kernel.numel())


def _packed_linear(arguments: Arguments, result: Any) -> int:
    """oneDNN's product [..., k] x [k, n] with a packed matrix, whose shape its own layout may hide."""
    return int(prod(result.shape) * arguments[0].shape[-1])


def _recurrent_layer(arguments: Arguments, result: Any) -> int:
    """oneDNN's: frames [T, N, F], then the input and the recurrent matrix of one direction of one layer."""
    frames, inner, hidden = arguments[0], arguments[1], arguments[2]
    return int(prod(frames.shape[:-1]) * (inner.numel() + hidden.numel()))


def _recurrent_stack(arguments: Arguments, result: Any) -> int:
    """cuDNN's: frames [T, N, F] or packed [T N, F], then the matrices and biases of all layers and directions."""
    frames, weights = arguments[0], arguments[1]
    return int(prod(frames.shape[:-1]) * sum(weight.numel() for weight in weights if weight.dim() > 1))


def _twice(count: Count) -> Count:
    """The gradients of inputs and weights."""
    return lambda arguments, result: 2 * count(arguments, result)


def _attention(arguments: Arguments, result: Any) -> int:
    from torch.utils.flop_counter import sdpa_flop_count  # imports triton

    return int(sdpa_flop_count(*(tensor.shape for tensor in arguments[:3]))) // 2  # type: ignore[no-untyped-call]


def _attention_gradients(arguments: Arguments, result: Any) -> int:
    """With the scores, which the kernels compute again."""
    from torch.utils.flop_counter import sdpa_backward_flop_count

    return int(sdpa_backward_flop_count(*(tensor.shape for tensor in arguments[:4]))) // 2  # type: ignore[no-untyped-call]


_ATTENTIONS = ("flash_attention", "flash_attention_for_cpu", "efficient_attention", "cudnn_attention")
_PRODUCTS: Mapping[str, Count] = MappingProxyType(
    {
        "dot": _matrices(0),
        "mv": _matrices(0),
        "addmv": _matrices(1),
        "mm": _matrices(0),
        "bmm": _matrices(0),
        "addmm": _matrices(1),
        "baddbmm": _matrices(1),
        "convolution": _convolution,
        "convolution_backward": _convolution_gradients,
        "_linear_pointwise": _packed_linear,
        "mkldnn_rnn_layer": _recurrent_layer,
        "mkldnn_rnn_layer_backward": _twice(_recurrent_layer),
        "_cudnn_rnn": _recurrent_stack,
        "_cudnn_rnn_backward": _twice(_recurrent_stack),
        **{f"_scaled_dot_product_{name}": _attention for name in _ATTENTIONS},
        **{f"_scaled_dot_product_{name}_backward": _attention_gradients for name in _ATTENTIONS},
    }
)
