"""One branch in training: its session, model and position; it can be saved and loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Plan
from dsd_runtime.engine.attachment import attach
from dsd_runtime.engine.origins import copy_into
from dsd_runtime.engine.overrides import build_optimizer
from dsd_runtime.engine.references import ReferenceStore
from dsd_runtime.engine.session import Session
from dsd_runtime.engine.session_state import reading_state
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.masks.shards import is_sharded, mesh_of
from dsd_runtime.models.registry import build_model
from dsd_runtime.storage.checkpoint import load_checkpoint, save_checkpoint
from dsd_runtime.training.loop import PhaseRun
from dsd_runtime.training.tasks.task import Task


class ReportRelay:
    """Passes a session's reports to the listener of the node in training."""

    def __init__(self) -> None:
        self.listener: Callable[[Mapping[str, float]], None] = lambda metrics: None

    def __call__(self, metrics: Mapping[str, float]) -> None:
        self.listener(metrics)


def attached(
    prepared: Prepared,
    plan: Plan,
    model: nn.Module,
    *,
    factory: Callable[[], nn.Module] | None = None,
    references: ReferenceStore | None = None,
    on_report: Callable[[Mapping[str, float]], None] | None = None,
    wrapped: nn.Module | None = None,
) -> Session:
    """A session over one line of the plan, with the optimizer that its first phase asks for; no phase is entered.

    ``wrapped`` is the model as several processes share it.
    """
    first = plan.phases[0]
    assert first.opt is not None  # every preset has one
    settings = {name: value for name, value in plan.settings.items() if name != "noise"}  # it is in the data already
    return attach(
        plan.model_copy(update={"settings": settings}),
        model if wrapped is None else wrapped,
        build_optimizer(model.parameters(), first.opt, rate=float(prepared.preset.lr)),
        steps_per_epoch=lambda phase: prepared.updates_per_epoch(phase.batch),
        seed=prepared.seed,
        factory=factory,
        references=references,
        build_teacher=lambda name: build_model(name, prepared.data.traits),
        best_metric=prepared.best_metric,
        percent_metrics=prepared.percent_metrics,
        metrics=prepared.own_directions,
        enters_by_itself=False,
        keeps_saved=prepared.keeps_saved,
        on_report=on_report,
        quick_step=True,
    )


def load_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Loads whole weights; of a sharded model this process's rows. Raises ``RuntimeError`` if they do not fit."""
    own = model.state_dict()
    if not any(map(is_sharded, own.values())):
        model.load_state_dict(weights)
        return
    for name, value in own.items():
        if name not in weights or weights[name].shape != value.shape:
            raise RuntimeError(f"error loading the state:\n{name}: it is missing or of another shape")
    copy_into(model, weights)


@dataclass(slots=True)
class TrainedLine:
    """The live session: the linear plan it runs, and the node (``at``) whose end its weights are."""

    path: str
    session: Session
    model: nn.Module
    forward: nn.Module
    task: Task
    scaler: torch.amp.GradScaler | None
    reports: ReportRelay
    at: str | None = None

    def save(
        self,
        checkpoint: Path,
        run: PhaseRun,
        metrics: Mapping[str, float],
        *,
        open_key: str | None = None,
        is_flushed: bool = True,
    ) -> None:
        """Writes everything needed to continue from here; ``open_key`` lets a longer phase continue too (longer.py).

        Without ``is_flushed`` the caller sees to it that the checkpoint's name reaches the disk.
        """
        scaler = self.scaler.state_dict() if self.scaler is not None else None
        loop = {
            "scaler": scaler,
            "pass_loss": run.pass_loss,
            "pass_updates": run.pass_updates,
            "seconds": run.seconds,
        }
        parts: dict[str, Any] = {
            "weights": dict(self.model.state_dict()),
            "session": self.session.state_dict(is_sharded=True),
            "loop": loop,
            "node": {
                "phase": self.session.stage.phase.id,
                "metrics": dict(metrics),
                "open": open_key,
                "keeps_saved": self.session.boundary.pruned_values.is_kept,
            },
        }
        run.sharing.saved(lambda: save_checkpoint(checkpoint, parts, is_flushed=is_flushed))

    def load(self, checkpoint: Path, *, is_longer: bool = False) -> Mapping[str, Any]:
        """Restores a checkpoint; returns the loop's own state (``pass_loss``, ``pass_updates``, ``seconds``).

        With ``is_longer`` it is the end of a shorter version of the phase, and a position inside this one.
        """
        parts = load_checkpoint(checkpoint, ["weights", "session", "loop"], mesh=mesh_of(self.model.parameters()))
        try:
            load_weights(self.model, parts["weights"])
        except RuntimeError as error:
            first = str(error).split("\n")[:2][-1].strip()  # below the heading
            raise DsdError(
                f"the weights in `{checkpoint}` do not fit the model: {first}",
                help="if the model's code has changed, use `--fresh` or another `--out`",
            ) from error
        if is_longer:
            self.session.load_shorter(parts["session"])
        else:
            self.session.load_state_dict(parts["session"])
        loop: Mapping[str, Any] = parts["loop"]
        with reading_state():
            if self.scaler is not None and loop["scaler"] is not None:
                self.scaler.load_state_dict(loop["scaler"])
        return loop
