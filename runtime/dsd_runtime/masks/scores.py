"""The registry of scores, by their names in a schedule: which weights of a parameter are pruned first.

`magnitude` makes no copy: the weights themselves are the scores, ranked by their bits without the sign.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, cast, get_args

import torch
from torch import Tensor

from dsd_lang.base.errors import DsdError
from dsd_runtime.masks.flow_scores import Flow
from dsd_runtime.masks.gradient_scores import fisher, gradient, grasp, snip, taylor
from dsd_runtime.masks.input_scores import wanda
from dsd_runtime.masks.measuring import Measuring, number_of
from dsd_runtime.masks.radix import Ranking
from dsd_runtime.masks.shards import local_of, own_rows
from dsd_runtime.masks.sparsegpt import Reconstruction

Order = Literal["smallest", "largest"]


@dataclass(frozen=True, slots=True)
class Scores:
    """A tensor and the order in which its elements are kept; of a sharded weight this process's rows.

    The score of a unit (`unit=`) is the sum of those of its weights, or if the scores ``is_drawn`` that of its first.
    """

    values: Tensor
    ranking: Ranking
    is_drawn: bool = False

    def as_values(self) -> Tensor:
        """The same order as plain scores, the largest kept first; a copy unless they already have that form."""
        if self.ranking == "value":
            return self.values
        magnitude = self.values.detach().float().abs()
        return magnitude if self.ranking == "magnitude" else -magnitude


def magnitude(weights: Tensor, *, order: Order = "smallest") -> Scores:
    """`|w|`; with ``order="smallest"`` the smallest are pruned first, with ``"largest"`` the largest."""
    return Scores(local_of(weights.detach()), "magnitude" if order == "smallest" else "smallest_magnitude")


def random(weights: Tensor, *, name: str, key: int) -> Scores:
    """Uniform scores that depend only on the key, the parameter's name and its size.

    They do not depend on other parameters, their order, the device or the number of threads.
    """
    digest = hashlib.sha256(f"{key}\0{name}".encode()).digest()
    generator = torch.Generator(device="cpu").manual_seed(int.from_bytes(digest[:8], "big", signed=True))
    values = torch.rand(weights.numel(), generator=generator, dtype=torch.float32).view(weights.shape)
    return Scores(own_rows(values, weights).to(local_of(weights).device), "value", is_drawn=True)


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """The inputs of a score: one parameter's weights, its name, the arguments of `by=` and the random key."""

    weights: Tensor
    name: str
    arguments: Mapping[str, str | bool]
    key: int
    measured: Tensor | None = None
    """The scores of this parameter, if they were measured on the whole model."""


Need = Literal["nothing", "model", "gradients", "batches", "phase"]
"""What a score is computed from besides the weight: the whole model; the gradients of the loss on some batches; the
inputs of its layer on some batches; or every update of its phase."""


class Measured(Protocol):
    """The scores of all selected weights, measured on the model at one entry."""

    def scores(self, masks: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The scores under these masks (none in the first round), by name; float64 where float32 has too few."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Scores that do not depend on the masks."""

    values: Mapping[str, Tensor]

    def scores(self, masks: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The same under any masks."""
        return self.values


def _as_measured(request: ScoreRequest) -> Scores:
    assert request.measured is not None
    return Scores(request.measured, "value")


@dataclass(frozen=True, slots=True)
class ScoreMethod:
    """One score: the function, and what it needs besides the weights. `dsd_lang.base.options` has its publication.

    A score that needs more is measured on the whole model at an entry; ``rounds`` names the argument that says how many
    selections lead to the target, each with scores under the masks so far. With ``is_by_row`` single weights are
    compared within their row (the inputs of an output), unless `scope=` says otherwise.
    """

    function: Callable[[ScoreRequest], Scores] = _as_measured
    needs: Need = "nothing"
    measure: Callable[[Measuring], Measured] | None = None
    rounds: str = ""
    is_by_row: bool = False


def _by_magnitude(request: ScoreRequest) -> Scores:
    order = request.arguments.get("order", "smallest")
    if order not in get_args(Order):
        raise ValueError(f"`order=` takes {' or '.join(get_args(Order))}, not {order!r}")
    return magnitude(request.weights, order=cast(Order, order))


def _by_random(request: ScoreRequest) -> Scores:
    return random(request.weights, name=request.name, key=request.key)


def _by_movement(request: ScoreRequest) -> Scores:
    """The request's "weights" are the scores that the phase has collected (engine/movement.py)."""
    return Scores(local_of(request.weights), "value")


def _from_gradients(measure: Callable[[Measuring], Mapping[str, Tensor]]) -> ScoreMethod:
    return ScoreMethod(needs="gradients", measure=lambda measuring: Fixed(measure(measuring)))


SCORES: dict[str, ScoreMethod] = {
    "magnitude": ScoreMethod(_by_magnitude),
    "random": ScoreMethod(_by_random),
    "gradient": _from_gradients(gradient),
    "snip": _from_gradients(snip),
    "taylor": _from_gradients(taylor),
    "fisher": _from_gradients(fisher),
    "grasp": _from_gradients(grasp),
    "synflow": ScoreMethod(needs="model", measure=Flow, rounds="rounds"),
    "wanda": ScoreMethod(needs="batches", measure=lambda measuring: Fixed(wanda(measuring)), is_by_row=True),
    "sparsegpt": ScoreMethod(needs="batches", measure=Reconstruction.of),
    "movement": ScoreMethod(_by_movement, needs="phase"),
}


def score(by: str, request: ScoreRequest) -> Scores:
    """The scores of one parameter, by the name in a schedule; the smallest are pruned, compared in float32.

    Raises :class:`DsdError` for an unknown name.
    """
    method = SCORES.get(by)
    if method is None:
        raise DsdError(f"unknown score `by={by}`; expected one of {', '.join(f'`{name}`' for name in SCORES)}")
    return method.function(request)


def num_rounds(by: str, arguments: Mapping[str, str | bool]) -> int:
    """How many selections lead to a target."""
    method = SCORES[by]
    return int(number_of(by, arguments, method.rounds)) if method.rounds else 1
