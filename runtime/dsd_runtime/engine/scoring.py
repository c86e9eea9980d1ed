"""Measures the scores of a phase on the model: with the loss and batches of `Session.score()`, changing nothing.

Modes, buffers and random generators are restored afterwards, and gradients are not touched. Generators are seeded from
the phase's mask key, so what dropout and a shuffling loader draw does not depend on what was drawn before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Phase
from dsd_runtime.engine.generators import generator_states, seed_generators, set_generator_states
from dsd_runtime.masks.input_axes import InputAxis
from dsd_runtime.masks.layer_inputs import require_inputs
from dsd_runtime.masks.measuring import LossOf, Measuring
from dsd_runtime.masks.processes import ONE, Processes
from dsd_runtime.masks.scores import SCORES, Measured, ScoreMethod

Batches = Iterable[Any] | Callable[[int], Iterable[Any]]
_NEEDS = {"model": "a batch, for the shape of its inputs", "gradients": "the gradients of a loss", "batches": "batches"}


@dataclass(frozen=True, slots=True)
class ScoreSource:
    """The loss of a model on a batch, and batches that can be read again (or a function of a random key)."""

    loss: LossOf
    batches: Batches
    is_same_everywhere: bool = False
    """Whether all processes read the same batches, so that nothing is averaged over them."""

    def __post_init__(self) -> None:
        if not callable(self.loss):
            raise ValueError(f"`loss_fn` must be a function of a model and a batch, not {type(self.loss).__name__}")
        if callable(self.batches):
            return
        if not isinstance(self.batches, Iterable) or isinstance(self.batches, Iterator):  # `iter()` would draw a seed
            raise ValueError(
                "`batches` must be readable again at every entry: pass a DataLoader or a list, no iterator"
            )
        if getattr(self.batches, "persistent_workers", False):
            raise ValueError(
                "`batches` has persistent workers, which a second reading takes away from the first: pass a loader of "
                "its own, without `persistent_workers=True`"
            )

    def read(self, key: int) -> Iterator[Any]:
        """The batches from the first on; an iterator, or a generator that a loader has of its own, is not disturbed."""
        batches = self.batches(key) if callable(self.batches) else self.batches
        owners = (
            batches,
            getattr(batches, "sampler", None),
            getattr(getattr(batches, "sampler", None), "sampler", None),
        )
        generators = [one for one in (getattr(owner, "generator", None) for owner in owners) if one is not None]
        states = [generator.get_state() for generator in generators]
        try:
            for generator in generators:
                generator.manual_seed(key)
            yield from batches
        finally:
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)


def measured_method(phase: Phase) -> ScoreMethod | None:
    """The phase's score, if it is one that is measured on the model when the phase chooses masks; else None."""
    if phase.mode != "sparse" or phase.target is None or phase.target.kind in ("held", "current"):
        return None
    method = SCORES.get(phase.by.name)
    return method if method is not None and method.measure is not None else None


class Scoring:
    """The measured scores of one model; what `Session.score()` gives is in ``source``."""

    def __init__(self, model: nn.Module, processes: Processes, *, is_sharded: bool) -> None:
        self.source: ScoreSource | None = None
        self._model, self._processes, self._is_sharded = model, processes, is_sharded

    def require_possible(self, phase: Phase, axes: Mapping[str, InputAxis]) -> None:
        """Raises :class:`DsdError` for what no call of `score()` can make possible, by the axes of the weights."""
        method = measured_method(phase)
        if method is None:
            return
        by, name = phase.by.name, phase.label or phase.id
        if self._is_sharded:
            raise DsdError(
                f"phase `{name}` has `by={by}`, which needs whole weights, and the model is sharded (`fully_shard`)",
                help="use DistributedDataParallel, or `by=magnitude`",
            )
        if method.needs == "batches":
            require_inputs(by, self._model, axes)
        if by == "sparsegpt" and phase.enforce.name != "hard":
            raise DsdError(
                f"phase `{name}` has `by=sparsegpt`, whose kept weights make up for those that are pruned, and "
                f"`enforce={phase.enforce.name}`, which lets these live on",
                help="write `enforce=hard`, or another score",
            )
        if by == "sparsegpt" and phase.from_.kind != "last":
            raise DsdError(
                f"phase `{name}` has `by=sparsegpt`, which changes kept weights, and `from=`, which replaces them",
                help="load the weights in a phase before it, such as `dense 0ep from=...`",
            )

    def measure(
        self, phase: Phase, weights: Mapping[str, tuple[Tensor, ...]], axes: Mapping[str, InputAxis], key: int
    ) -> Measured:
        """Measures the scores of the weights. Raises :class:`DsdError` naming the phase if there is no source."""
        method = measured_method(phase)
        assert method is not None
        assert method.measure is not None
        source = self.source
        if source is None:
            raise DsdError(
                f"phase `{phase.label or phase.id}` has `by={phase.by.name}`, which needs {_NEEDS[method.needs]}, and "
                "nobody has given them",
                help="call `session.score(loss_fn, batches)` before the phase is entered, with "
                "`loss_fn(model, batch)` the loss of a batch",
            )
        processes = ONE if source.is_same_everywhere else self._processes
        measuring = Measuring(
            phase.by.name,
            self._model,
            weights,
            source.loss,
            lambda: source.read(key),
            phase.by.arguments,
            axes,
            processes,
        )
        with undisturbed(self._model, key), differentiable(part for parts in weights.values() for part in parts):
            return method.measure(measuring)


@contextmanager
def differentiable(weights: Iterable[Tensor]) -> Iterator[None]:
    """Within the block weights have derivatives, also frozen ones."""
    frozen = [weight for weight in weights if not weight.requires_grad]
    for weight in frozen:
        weight.requires_grad_(True)
    try:
        yield
    finally:
        for weight in frozen:
            weight.requires_grad_(False)


@contextmanager
def undisturbed(model: nn.Module, key: int) -> Iterator[None]:
    """Within the block the model is in training mode and the generators start from ``key``; all is restored after."""
    modes = {module: module.training for module in model.modules()}
    buffers = [(module, name, value) for module in model.modules() for name, value in module._buffers.items()]
    values = [None if value is None else value.detach().clone() for _, _, value in buffers]
    states = generator_states()
    model.train()
    seed_generators(key)
    try:
        yield
    finally:
        set_generator_states(states)
        _put_back(buffers, values)
        for module, mode in modes.items():
            module.training = mode


@torch.no_grad()
def _put_back(buffers: list[tuple[nn.Module, str, Tensor | None]], values: list[Tensor | None]) -> None:
    """Gives every module its own buffers with their values."""
    for (module, name, buffer), value in zip(buffers, values, strict=True):
        module._buffers[name] = buffer
        if buffer is not None and value is not None:
            buffer.copy_(value)
