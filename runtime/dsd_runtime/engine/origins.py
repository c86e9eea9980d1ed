"""Loads the weights for `from=` and `restore=` at a boundary, by state_dict key.

References are looked up, files read and weights initialised before a phase is entered, so that anything missing is an
error while the previous phase is still active.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from dsd_lang.base.errors import DsdError
from dsd_lang.base.regular_files import require_regular
from dsd_lang.plan import Phase, ReferenceInfo
from dsd_runtime.engine.randomness import stream_key
from dsd_runtime.engine.references import ReferenceStore, fresh_weights, reference_key, tensors_of
from dsd_runtime.engine.stages import Stage
from dsd_runtime.masks.shards import local_of, own_rows

Weights = Mapping[str, Tensor]


class Origins:
    """The sources of weights for a model's phases."""

    def __init__(
        self,
        model: nn.Module,
        references: ReferenceStore,
        *,
        seed: int,
        factory: Callable[[], nn.Module] | None,
    ) -> None:
        self._model = model
        self._references = references
        self._seed = seed
        self._factory = factory

    def starting(self, stage: Stage) -> Weights | None:
        """The weights and buffers for `from=`; None for the last ones."""
        source = stage.phase.from_
        if source.kind == "last":
            return None
        if source.kind == "random":
            weights = self._fresh(stage)
        else:
            assert source.reference is not None
            weights = referenced_weights(source.reference, self._references)
        return self._fitting(weights, stage.phase, self._model.state_dict())

    def restoring(self, stage: Stage) -> Weights | None:
        """The values of revived weights for `restore=`; None for zero. (The boundary keeps those of `saved`.)"""
        restore = stage.phase.restore
        if restore.kind == "zero":
            return None
        if restore.kind == "random":
            weights = self._fresh(stage)
        else:
            key = "init" if restore.reference is None else reference_key(restore.reference)
            weights = self._references.load(key).weights
        return self._fitting(weights, stage.phase, dict(self._model.named_parameters(remove_duplicate=False)))

    def _fresh(self, stage: Stage) -> Weights:
        phase = stage.phase
        key = stream_key(self._seed, phase.seed_index, "init", f"{phase.path}:{stage.index}")
        if self._factory is None:
            return fresh_weights(self._model, key)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(key)
            return tensors_of(self._factory())

    def _fitting(self, weights: Weights, phase: Phase, wanted: Mapping[str, object]) -> Weights:
        require_fitting(shapes_of(weights), shapes_of(wanted), phase)
        return weights


def shapes_of(values: Mapping[str, object]) -> dict[str, tuple[int, ...]]:
    """The tensors' shapes by name; values that are not tensors are left out."""
    return {name: tuple(value.shape) for name, value in values.items() if isinstance(value, Tensor)}


def require_fitting(
    found: Mapping[str, tuple[int, ...]],
    wanted: Mapping[str, tuple[int, ...]],
    phase: Phase,
    *,
    what: str = "source of the weights",
) -> None:
    """Raises :class:`DsdError` if a source lacks one of the model's weights, or has it in another shape."""
    for name, shape in wanted.items():
        if found.get(name) != shape:
            other = f"; it has one of {found[name]}" if name in found else ""
            raise DsdError(
                f"the {what} of phase `{phase.label or phase.id}` has no `{name}` of the shape {shape}{other}",
                help="take them from a model of the same shape",
            )


def copy_into(model: nn.Module, weights: Weights) -> None:
    """Overwrites a model's weights and buffers in place; of sharded ones, this process's rows."""
    with torch.no_grad():
        for name, value in tensors_of(model).items():
            local_of(value).copy_(own_rows(weights[name], value))


def file_shapes(path: str) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors in a safetensors file; only its header is read, and only from a regular file."""
    try:
        require_regular(path)
        with safe_open(path, framework="pt") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, SafetensorError) as error:
        raise _unreadable(path, str(error).lower()) from error


def referenced_weights(reference: ReferenceInfo, references: ReferenceStore) -> Weights:
    """The weights that a reference of the plan means: a checkpoint of the run, or a file."""
    if reference.moment != "file":
        return references.load(reference_key(reference)).weights
    assert reference.file is not None
    return read_weights(reference.file)


def read_weights(path: str) -> Weights:
    """The tensors in a safetensors file; raises :class:`DsdError` for one that cannot be read."""
    try:
        require_regular(path)
        return load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise _unreadable(path, str(error).lower()) from error


def _unreadable(path: str, why: str) -> DsdError:
    return DsdError(
        f"`{path}` cannot be read as safetensors: {why}",
        help="name a file that `safetensors.torch.save_file(model.state_dict(), path)` wrote",
    )
