"""A user's own metrics for classification: a name, a function of all outputs and labels of a split, a direction.

Shape legend: N samples, K classes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_lang.base.metrics import MEASURES

_HELP = 'write `"metrics": {"f1": (f1, "higher")}`: a function of (logits, labels), and which way is better'


@dataclass(frozen=True, slots=True)
class OwnMetric:
    """``compute`` gets the logits [N, K] and the labels [N] of a whole split, both on the CPU."""

    name: str
    compute: Callable[[Tensor, Tensor], Any]
    better: Literal["higher", "lower"]

    def value(self, logits: Tensor, labels: Tensor) -> float:
        """Raises :class:`DsdError` unless the function returns a number."""
        found = self.compute(logits, labels)
        try:
            return float(found)
        except (TypeError, ValueError, RuntimeError):
            kind = type(found).__name__
            raise DsdError(
                f"the metric `{self.name}` gave a `{kind}`", help="its function returns one number"
            ) from None


def own_metrics(found: object, source: str) -> tuple[OwnMetric, ...]:
    """The metrics of the dict that a factory returned; raises :class:`DsdError` naming what is wrong."""
    if not isinstance(found, Mapping):
        raise DsdError(f"the `metrics` of `{source}` are a `{type(found).__name__}`, not a dict", help=_HELP)
    return tuple(_own_metric(name, given, source) for name, given in found.items())


def _own_metric(name: object, given: object, source: str) -> OwnMetric:
    if not isinstance(name, str) or not (name.isidentifier() and name.isascii()):
        raise DsdError(
            f"`{source}` has a metric named `{name}`", help="a name has letters, digits and `_`: `f1`, read as `val.f1`"
        )
    if name in MEASURES:
        raise DsdError(f"the metric `{name}` of `{source}` is measured by dsd itself", help="choose another name")
    function, better = given if isinstance(given, tuple | list) and len(given) == 2 else (given, None)
    if not callable(function):
        raise DsdError(f"the metric `{name}` of `{source}` has no function", help=_HELP)
    if not _takes_two(function):
        raise DsdError(f"the function of the metric `{name}` of `{source}` does not take (logits, labels)", help=_HELP)
    if better not in ("higher", "lower"):
        raise DsdError(f"whether a higher `{name}` is better was not said, and it is not guessed", help=_HELP)
    return OwnMetric(name, function, "higher" if better == "higher" else "lower")


def _takes_two(function: Callable[..., Any]) -> bool:
    try:
        inspect.signature(function).bind(None, None)
    except TypeError:
        return False
    except ValueError:
        return True  # a function of C, whose signature is not known
    return True


def directions(metrics: Iterable[OwnMetric]) -> dict[str, Literal["higher", "lower"]]:
    """Which way is better, by full name: `val.f1`, `test.f1`."""
    return {f"{split}.{metric.name}": metric.better for metric in metrics for split in ("val", "test")}
