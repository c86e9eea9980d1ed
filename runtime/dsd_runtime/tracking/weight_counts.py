"""Counts the weights of a model by value, pruned and surviving ones apart: small numbers that a report draws.

Weights that are exactly 0 are told apart and are in no bin. What lies beyond the limit of the axis is in the outermost
bin, so that the bins and the zeros of a group add up to its weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

NUM_BINS = 61
WHOLE = ""
"""The name under which all weights together are counted."""
_FINE_BINS = 4096
_INSIDE, _MARGIN = 0.998, 1.5
_PART, _SAMPLE = 2**22, 2**20
"""Weights counted at once, few enough that counts in float32 are exact; weights of a tensor that its limit is of."""

Weights = Mapping[str, Tensor]


def limits(sides: Sequence[Weights]) -> dict[str, float] | None:
    """The end of a symmetric axis for each weight and for all: a margin beyond nearly all values of all sides.

    None where a value is not finite.
    """
    names = dict.fromkeys(name for side in sides for name in side)
    groups = {name: [side[name] for side in sides if name in side] for name in names}
    groups[WHOLE] = [values for side in sides for values in side.values()]
    largest = {name: max((_largest(values) for values in group), default=0.0) for name, group in groups.items()}
    if not all(value < float("inf") for value in largest.values()):
        return None
    return {name: _limit(group, largest[name]) for name, group in groups.items()}


def distribution(weights: Weights, masks: Weights, axis: Mapping[str, float]) -> dict[str, Any]:
    """For each masked weight, and for all: the limit of its axis, and both groups as plain data."""
    groups = {
        name: (values[~mask], values[mask])
        for name, mask in masks.items()
        if name in axis and (values := weights.get(name)) is not None
    }
    found = {name: _described([pruned], [kept], axis[name]) for name, (pruned, kept) in groups.items()}
    pruned, kept = ([group[side] for group in groups.values()] for side in (0, 1))
    return {WHOLE: _described(pruned, kept, axis[WHOLE]), **found}


def _described(pruned: Sequence[Tensor], kept: Sequence[Tensor], limit: float) -> dict[str, Any]:
    return {"limit": limit, "pruned": _counted(pruned, limit), "surviving": _counted(kept, limit)}


def _counted(values: Sequence[Tensor], limit: float) -> dict[str, Any]:
    weights = sum(part.numel() for part in values)
    zeros = weights - sum(int(torch.count_nonzero(part)) for part in values)
    total = sum(float(part.abs().sum(dtype=torch.float64)) for part in values)
    counts = torch.zeros(NUM_BINS, dtype=torch.float64)
    for part in _parts(values):
        counts += torch.histc(part.clamp(-limit, limit), NUM_BINS, -limit, limit).double().cpu()
    counts[NUM_BINS // 2] -= zeros
    return {
        "weights": weights,
        "zeros": zeros,
        "mean_abs": total / weights if weights else 0.0,
        "counts": counts.long().tolist(),
    }


def _limit(values: Sequence[Tensor], largest: float) -> float:
    """A margin beyond the magnitude below which nearly all weights are that are not 0."""
    if not largest:
        return 1.0
    counts = torch.zeros(_FINE_BINS, dtype=torch.float64)
    for tensor in values:
        sample = tensor.reshape(-1)[:: -(-tensor.numel() // _SAMPLE) or 1].float()
        counts += torch.histc(sample.abs(), _FINE_BINS, 0.0, largest).double().cpu()
        counts[0] -= sample.numel() - int(torch.count_nonzero(sample))
    if not counts.sum():
        return largest
    inside = torch.searchsorted(counts.cumsum(0), _INSIDE * counts.sum()) + 1
    return min(largest, _MARGIN * largest * int(inside) / _FINE_BINS)


def _parts(values: Iterable[Tensor]) -> Iterable[Tensor]:
    """Stretches of the values, in float32."""
    for tensor in values:
        for part in torch.split(tensor.reshape(-1), _PART):
            yield part.float()


def _largest(values: Tensor) -> float:
    """The largest magnitude; infinity where a value is not finite."""
    if not values.numel():
        return 0.0
    largest = float(values.abs().max())
    return largest if largest == largest else float("inf")
