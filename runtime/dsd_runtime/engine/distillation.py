"""Knowledge distillation: a phase's teacher, and the loss that its logits add (Hinton et al., 2015).

Shape legend: M rows that count (samples, valid frames, words), K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from dsd_lang.base.errors import DsdError
from dsd_lang.base.units import exact
from dsd_lang.plan import Distillation, Phase, Plan
from dsd_runtime.engine.origins import copy_into, file_shapes, referenced_weights, require_fitting, shapes_of
from dsd_runtime.engine.references import ReferenceStore, copied, tensors_of
from dsd_runtime.masks.shards import is_sharded, local_of, whole_tree

BuildTeacher = Callable[[str], nn.Module]
"""Builds the model of a teacher in a file from the name in the schedule."""


class Teacher(NamedTuple):
    """The teacher of a phase: a model in evaluation mode without gradients, the weight of its loss, the temperature."""

    model: nn.Module
    alpha: float
    temperature: float

    def mixed(self, loss: Tensor, student: Tensor, teacher: Tensor, *, samples: int) -> Tensor:
        """alpha T^2 KL(softmax(teacher / T) || softmax(student / T)) + (1 - alpha) loss.

        The divergence of each row of the logits [M, K] is summed and divided by ``samples``, the batch's, as the loss
        is a mean over them.
        """
        if student.shape != teacher.shape:
            raise DsdError(
                f"the teacher's logits are {list(teacher.shape)}, and the student's {list(student.shape)}",
                help="a teacher needs the student's classes and, for speech, its number of frames",
            )
        of_student = functional.log_softmax(student.float() / self.temperature, dim=-1)
        of_teacher = functional.log_softmax(teacher.float() / self.temperature, dim=-1)
        divergence = functional.kl_div(of_student, of_teacher, log_target=True, reduction="sum") / samples
        return self.alpha * self.temperature**2 * divergence + (1 - self.alpha) * loss

    def distilled(self, loss: Tensor, logits: Tensor, inputs: tuple[Any, ...], *, valid: Tensor | None) -> Tensor:
        """:meth:`mixed` for the student's logits [N, ..., K]; the teacher is called with the same ``inputs``."""
        samples, targets = len(logits), teacher_logits(self, inputs)
        if valid is not None and logits.shape == targets.shape:
            logits, targets = logits[valid], targets[valid]
        return self.mixed(loss, logits, targets, samples=samples)


class Teachers:
    """Loads the teachers of a line's phases: from the plan's own checkpoints, or from files."""

    def __init__(
        self,
        model: nn.Module,
        references: ReferenceStore,
        build: BuildTeacher | None,
        factory: Callable[[], nn.Module] | None = None,
    ) -> None:
        self._model, self._references, self._build, self._factory = model, references, build, factory

    def of(self, phase: Phase) -> Teacher | None:
        """The phase's teacher with its weights; None for a phase without one."""
        found = phase.distill
        if found is None:
            return None
        weights = whole_tree(referenced_weights(found.teacher, self._references))
        model = self._built(found)
        require_fitting(shapes_of(weights), shapes_of(tensors_of(model)), phase, what="teacher")
        copy_into(model, weights)
        return Teacher(model, float(exact(found.alpha)), float(exact(found.temperature)))

    def check(self, plan: Plan) -> None:
        """Raises :class:`DsdError` for a teacher whose file or model cannot be used, reading only the file's header."""
        seen: dict[tuple[str, str | None], Mapping[str, tuple[int, ...]]] = {}
        for phase in plan.phases:
            found = phase.distill
            if found is None or found.teacher.moment != "file":
                continue
            name = (found.teacher.file or "", found.model)
            if name not in seen:
                model = self._model if found.model is None else self._built(found)
                seen[name] = shapes_of(tensors_of(model))
            require_fitting(file_shapes(name[0]), seen[name], phase, what="teacher")

    @property
    def _is_sharded(self) -> bool:
        """Whether the student is sharded; its teachers are whole on every process."""
        return any(map(is_sharded, tensors_of(self._model).values()))

    def _built(self, found: Distillation) -> nn.Module:
        """A model for the teacher on the student's device; no random number of the run is used up."""
        if found.model is None and self._is_sharded and self._factory is not None:
            with torch.random.fork_rng(devices=[]):
                model = self._factory()
        elif found.model is None:
            model = copied(self._model, "for a teacher")
        elif self._build is None:
            raise DsdError(
                f"the teacher is a `{found.model}`, and nothing says how to build one",
                help="pass `attach(..., build_teacher=...)`, a function from the name to a model",
            )
        else:
            with torch.random.fork_rng(devices=[]):
                model = self._build(found.model)
        first = next(iter(tensors_of(self._model).values()), None)
        model = model if first is None else model.to(local_of(first).device)
        for parameter in model.parameters():
            parameter.grad = None
        return model.requires_grad_(False).eval()


def teacher_logits(teacher: Teacher, inputs: tuple[Any, ...]) -> Tensor:
    """What the teacher's forward pass gives, without gradients; of several outputs the first."""
    with torch.no_grad():
        output = teacher.model(*inputs)
    return output if isinstance(output, Tensor) else output[0]


def require_asked(teacher: Teacher | None, is_asked: bool, phase: Phase) -> None:
    """Raises :class:`DsdError` for an update of a phase with a teacher that did not enter the loss."""
    if teacher is not None and not is_asked:
        raise DsdError(
            f"phase `{phase.label or phase.id}` has `distill=`, and the loss of this update is without its teacher",
            help="call `loss = session.distilled_loss(loss, logits, inputs)` before `backward()`",
        )
