"""Scores from the inputs of layers: `wanda`, and the matrices for `sparsegpt`.

Shape legend (see layer_inputs.py): G groups, O outputs, C inputs, R rows.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from dsd_runtime.masks.layer_inputs import as_matrix, evaluating, groups_of, of_matrix, watched_inputs
from dsd_runtime.masks.measuring import Measuring, wide


def wanda(measuring: Measuring) -> dict[str, Tensor]:
    """|w| times the norm of its input over all rows (Sun et al. 2023, equation 1); the weights of a row compete.

    Of a convolution the inputs are its patches: one norm for each channel at each kernel position.
    """
    squares = _summed(measuring, lambda rows: rows.double().square().sum(dim=1, keepdim=True))
    found: dict[str, Tensor] = {}
    for name, of_inputs in squares.items():
        weight, axis = measuring.weight(name), measuring.axis(name)
        matrix = as_matrix(wide(weight).abs(), axis, groups_of(measuring, name))
        found[name] = of_matrix((matrix * of_inputs.sqrt().to(matrix.dtype)), weight, axis)
    return found


def input_products(measuring: Measuring) -> dict[str, Tensor]:
    """X^T X of every layer's inputs [G, C, C], summed over the rows and processes, in float64."""
    return _summed(measuring, lambda rows: (wide(rows).transpose(1, 2) @ wide(rows)).double())


def _summed(measuring: Measuring, each: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
    """A sum over the rows of the first samples, of every weight, over all processes."""
    sums: dict[str, Tensor] = {}

    def take(name: str, rows: Tensor) -> None:
        found = each(rows)
        sums[name] = sums[name] + found if name in sums else found

    with evaluating(measuring.model), watched_inputs(measuring, take):
        for batch in measuring.samples():
            measuring.loss(measuring.model, batch)
    return {name: measuring.processes.total(sums[name]) for name in measuring.weights}
