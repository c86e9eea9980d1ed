"""A session in a trainer's loop: started or resumed with the trainer's own objects, and called from its hooks.

The trainer saves and loads model and optimizer; the state here has everything else.
"""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

import dsd_lang
from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Plan
from dsd_runtime.engine.attachment import attach
from dsd_runtime.engine.foreign_optimizers import usable_optimizer
from dsd_runtime.engine.generators import generator_states, set_generator_states
from dsd_runtime.engine.metric_table import Better
from dsd_runtime.engine.scoring import Batches
from dsd_runtime.engine.session import Session
from dsd_runtime.engine.stages import build_timeline
from dsd_runtime.integrations.curves import Curves
from dsd_runtime.integrations.refusals import require_followable, require_time
from dsd_runtime.masks.measuring import LossOf
from dsd_runtime.masks.processes import Processes
from dsd_runtime.notices import DsdWarning

_SPLIT = re.compile(r"(train|val|test)[_/](?=.)")
_NO_STATE = "the trainer resumes, and its checkpoint has no state of a `SparsitySchedule`"


@dataclass(frozen=True, slots=True)
class ScheduleOptions:
    """What a user gives a `SparsitySchedule` besides the schedule; most goes to :func:`dsd_runtime.attach`."""

    seed: int
    factory: Callable[[], nn.Module] | None
    best_metric: str
    percent_metrics: tuple[str, ...]
    metrics: Mapping[str, Better] | None
    steps_per_epoch: int | None
    events: Path | None
    score: tuple[LossOf, Batches] | None = None


class TrainerSession:
    """The session of one training, from its start in the trainer to its end."""

    def __init__(self, plan: Plan | str | Path, options: ScheduleOptions) -> None:
        self.plan = read_plan(plan)
        self.options = options
        self.rate = 0.0
        """The learning rate of the last update."""
        self._session: Session | None = None
        self._curves: Curves | None = None
        self._saved: Mapping[str, Any] | None = None
        self._groups: list[dict[str, Any]] = []
        self._is_prepared = self._has_begun = False
        self.is_training = False
        """Whether the trainer trains, and does not only evaluate."""

    @property
    def session(self) -> Session:
        """The session; ``ValueError`` before the training starts."""
        if self._session is None:
            raise ValueError(
                "the session exists from the start of the training on, and nothing was trained yet (a checkpoint of "
                "the trainer's last epoch leaves nothing to train)"
            )
        return self._session

    @property
    def processes(self) -> Processes:
        """The processes that train the model together."""
        return self.session._ranks.processes

    @property
    def is_over(self) -> bool:
        """True after the last update of the schedule."""
        return self._session is not None and self._session.is_over

    def start(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        *,
        steps_per_epoch: float,
        planned: Callable[[int, int], tuple[float, str]],
        is_resuming: bool,
        process_group: torch.distributed.ProcessGroup | None = None,
    ) -> Session:
        """Attaches a session to the trainer's objects, and loads the state that the trainer has loaded.

        ``planned`` maps the schedule's updates, and those of an epoch, to the number that the trainer plans and the
        advice if it is smaller. ``process_group`` has the processes of a trainer that does not show its wrapped model.
        """
        own, updates = usable_optimizer(optimizer), self._updates_per_epoch(steps_per_epoch)
        if is_resuming and self._saved is None:
            raise DsdError(_NO_STATE, help="resume from a checkpoint that was saved with it, and not for weights only")
        require_followable(self.plan, own)
        needed = build_timeline(self.plan, updates).total_updates
        require_time(needed, *planned(needed, updates))
        state = copy.deepcopy(own.state_dict()) if self._saved is not None else None
        self._own_groups(own)
        options = self.options
        self._session = attach(
            self.plan,
            model,
            optimizer,
            steps_per_epoch=updates,
            seed=options.seed,
            factory=options.factory,
            best_metric=options.best_metric,
            percent_metrics=options.percent_metrics,
            metrics=options.metrics,
            on_report=lambda metrics: self._curves.reported(metrics) if self._curves is not None else None,
            process_group=process_group,
        )
        self._resume(self._session, state)
        if options.score is not None:
            self._session.score(*options.score)
        self._is_prepared = self._has_begun = False
        self.is_training = True
        self.rate = self._session.phase.lr
        if options.events is not None and self.processes.index == 0:
            self._curves = Curves(options.events, self._session, options.best_metric)
            self._curves.started()
        return self._session

    def _updates_per_epoch(self, of_trainer: float) -> int:
        if self.options.steps_per_epoch is not None:
            return self.options.steps_per_epoch
        if of_trainer == float("inf"):
            raise DsdError(
                "the trainer does not know how many batches an epoch has",
                help="give `SparsitySchedule(..., steps_per_epoch=N)`, the updates in an epoch",
            )
        return int(of_trainer)

    def _own_groups(self, optimizer: Optimizer) -> None:
        """Notes the optimizer's options as the user gave them; on resuming it has those of the saved phase."""
        if self._saved is not None:
            for group, own in zip(optimizer.param_groups, self._saved["groups"], strict=True):
                group.update(own)
        self._groups = [
            {name: copy.deepcopy(value) for name, value in group.items() if name != "params"}
            for group in optimizer.param_groups
        ]

    def _resume(self, session: Session, optimizer_state: dict[str, Any] | None) -> None:
        """Loads the session's state; the random generators are the trainer's."""
        if self._saved is None:
            return
        state, self._saved = self._saved["session"], None
        generators = generator_states()
        session.load_state_dict({**state, "overrides": {**state["overrides"], "optimizer": optimizer_state}})
        set_generator_states(generators)

    def begin(self) -> None:
        """Begins an update, before its first micro-batch; later calls for the same update do nothing."""
        if self._has_begun:
            return
        if self.session.is_over:
            raise DsdError(
                "the schedule has ended, and the trainer goes on",
                help="remove what keeps it from stopping, such as `min_epochs`",
            )
        self._has_begun = True
        if self._curves is None:
            self.session.begin_step()
        else:
            self._curves.begin_step()

    def before(self, clip: float | None = None) -> None:
        """The half of the update before the optimizer's step."""
        self.session.before_update(clip=clip)
        self._is_prepared, self.rate = True, self.session.phase.lr

    def after(self, *, applied: bool) -> None:
        """The half after it; nothing if there was none before."""
        if self._is_prepared:
            self._is_prepared = self._has_begun = False
            self.session.after_update(applied=applied)

    @property
    def is_between_updates(self) -> bool:
        """False from the first micro-batch of an update to its end."""
        return not self._has_begun

    def lost(self, loss: float) -> None:
        """Draws the mean training loss of the last updates, averaged over the processes."""
        if self.draws:
            loss = self.session._ranks.averaged({"train.loss": loss})["train.loss"]
        if self._curves is not None:
            self._curves.lost(loss, self.rate)

    @property
    def draws(self) -> bool:
        """Whether curves are drawn, here or by the first process, so that losses are worth reading."""
        return self.options.events is not None and self.is_training

    def report(self, metrics: Mapping[str, float]) -> None:
        """Reports metrics, if there are any."""
        if metrics:
            self.session.report(metrics)

    def check(self) -> None:
        """Raises :class:`DsdError` if a pruned weight is not 0, or a weight is not finite."""
        self.session.boundary.check_invariants(self.session.total_updates)
        self.session.require_finite()

    def finish(self) -> None:
        """The training has ended; warns if the schedule has not."""
        self.close()
        if self._session is not None and not self._session.is_over:
            done, planned = self._session.total_updates, self._session.timeline.total_updates
            warnings.warn(
                f"the trainer ended after {done} of the schedule's {planned} updates", DsdWarning, stacklevel=2
            )

    def close(self) -> None:
        """Closes the event files; the training is over."""
        self.is_training = False
        if self._curves is not None:
            self._curves.close()
            self._curves = None

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain data, without the optimizer's state, which the trainer saves; empty before the start."""
        if self._session is None:
            return {}
        state = self._session.state_dict()
        overrides = {name: value for name, value in state["overrides"].items() if name != "optimizer"}
        return {"session": {**state, "overrides": overrides}, "groups": self._groups}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Keeps a saved state for the start of the training."""
        if "session" not in state or "groups" not in state:
            raise DsdError(_NO_STATE, help="resume from a checkpoint that was saved with it")
        self._saved = state


def read_plan(plan: Plan | str | Path) -> Plan:
    """A plan as it is, the schedule in a file, or the text of a schedule."""
    if isinstance(plan, Plan):
        return plan
    return dsd_lang.compile_file(plan) if isinstance(plan, Path) else dsd_lang.compile(plan)


def session_metrics(named: Mapping[str, Any]) -> dict[str, float]:
    """A trainer's metrics under the names of the language: `val_loss` and `val/loss` are `val.loss`."""
    found = {name: value for name, value in named.items() if _is_number(value)}
    return {_SPLIT.sub(r"\1.", name, count=1) if _SPLIT.match(name) else name: float(v) for name, v in found.items()}


def _is_number(value: object) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1 and not value.is_complex()
    return isinstance(value, int | float) and not isinstance(value, bool)
