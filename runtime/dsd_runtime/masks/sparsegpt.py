"""The score `sparsegpt`: what pruning a weight costs if the weights behind it adapt; and the adapted weights.

The count of every layer comes from the competition of its scores as it is, like that of any other score. Which weights
these are is decided block by block of columns, by the scores of weights that have adapted to the blocks before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from dsd_runtime.masks.input_scores import input_products
from dsd_runtime.masks.layer_inputs import as_matrix, groups_of, of_matrix
from dsd_runtime.masks.measuring import Measuring
from dsd_runtime.masks.reconstruction import (
    InverseFactor,
    KeepInBlock,
    as_given,
    by_pattern,
    by_shares,
    reconstructed,
)
from dsd_runtime.masks.targets import NofM, SingleTarget


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """The factors of all layers, from inputs of the network before it is pruned."""

    measuring: Measuring
    factors: Mapping[str, tuple[InverseFactor, ...]]
    block: int

    @classmethod
    def of(cls, measuring: Measuring) -> Reconstruction:
        """Measures the inputs. Raises :class:`DsdError` for layers without known inputs, or with inputs all alike."""
        damp = measuring.argument("damp")
        products = input_products(measuring)
        factors = {
            name: tuple(InverseFactor.of(product, damp=damp, name=name) for product in of_groups)
            for name, of_groups in products.items()
        }
        return cls(measuring, factors, measuring.whole("block"))

    def scores(self, masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """w^2 / U_jj^2 of the weights as they are (equation 3), in float64."""
        found: dict[str, Tensor] = {}
        for name, factors in self.factors.items():
            parts = [factor.scores(matrix) for factor, matrix in zip(factors, self._matrix(name), strict=True)]
            found[name] = of_matrix(torch.stack(parts), self.measuring.weight(name), self.measuring.axis(name))
        return found

    def finish(
        self,
        masks: Mapping[str, Tensor],
        targets: Mapping[str, SingleTarget],
        among: Mapping[str, Tensor],
        *,
        is_free: bool,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The masks with as many weights as in ``masks``, and the new weights.

        ``among`` has the weights that compete, where not all do. Without ``is_free`` the masks stay as they are, and
        only the weights adapt.
        """
        chosen: dict[str, Tensor] = {}
        weights: dict[str, Tensor] = {}
        for name in self.factors:
            candidates = among.get(name, torch.ones_like(masks[name]))
            found = self._layer(name, masks[name], candidates, targets[name] if is_free else None)
            chosen[name], weights[name] = found
        return chosen, weights

    def _layer(self, name: str, mask: Tensor, candidates: Tensor, target: SingleTarget | None) -> tuple[Tensor, Tensor]:
        axis, like = self.measuring.axis(name), self.measuring.weight(name)
        groups = len(self.factors[name])
        block = self.block if not isinstance(target, NofM) else -(-self.block // target.m) * target.m
        masks, weights = [], []
        for factor, matrix, own, some in zip(
            self.factors[name],
            self._matrix(name),
            as_matrix(mask, axis, groups),
            as_matrix(candidates, axis, groups),
            strict=True,
        ):
            found = reconstructed(matrix, factor, _keep(target, own, some, block), block=block)
            masks.append(found[0])
            weights.append(found[1])
        new = of_matrix(torch.stack(weights), like, axis).to(like.dtype)
        return of_matrix(torch.stack(masks), like, axis), new

    def _matrix(self, name: str) -> Tensor:
        groups = groups_of(self.measuring, name)
        return as_matrix(self.measuring.weight(name), self.measuring.axis(name), groups)


def _keep(target: SingleTarget | None, mask: Tensor, candidates: Tensor, block: int) -> KeepInBlock:
    if target is None:
        return as_given(mask)
    if isinstance(target, NofM):
        return by_pattern(target.n, target.m)
    return by_shares(candidates, int(mask.sum()), block)
