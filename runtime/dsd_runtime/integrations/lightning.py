"""A schedule as a callback of Lightning: `Trainer(callbacks=[SparsitySchedule("dense 2ep lr=1e-3; sparse 50% 2ep")])`.

Lightning steps its optimizer itself, with a closure that computes the gradients::

    on_train_batch_start      first micro-batch of an update: the session's `begin_step()`
      optimizer.step(closure)
        forward, backward     (in the closure; unscaled)
        on_before_optimizer_step                            the session's `before_update()`: masks
        gradient_clip_val                                   Lightning's clip, of masked gradients
      step post-hook                                        the session's `after_update()`
    on_train_batch_end        an update without a step was skipped by the gradient scaler
    on_validation_end         the metrics, as a report
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Plan
from dsd_runtime.integrations.missing import missing_package
from dsd_runtime.integrations.process_generators import generators_of_all, set_own_generators
from dsd_runtime.integrations.scheduled import ScheduledTraining
from dsd_runtime.integrations.trainer_session import TrainerSession, session_metrics

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.callbacks import GradientAccumulationScheduler
except ModuleNotFoundError as error:
    raise missing_package("lightning", error) from error

_READ_LOSS_EVERY_UPDATES = 10


class SparsitySchedule(ScheduledTraining, Callback):  # type: ignore[misc]
    """Trains a LightningModule by a schedule: masks, learning rate, optimizer state, and when training ends.

    ``plan`` is a plan, the text of a schedule, or a Path. The module returns its optimizer without a scheduler. Metrics
    that it logs as `val_loss` or `val/loss` are `val.loss` in conditions; the training ends with the schedule. The
    state is part of Lightning's checkpoints: `trainer.fit(..., ckpt_path=...)` resumes in any phase. ``events`` is a
    folder for TensorBoard, where the curves have the names that `dsd-run` gives them. The other options are those of
    :func:`dsd_runtime.attach`.
    """

    def _set_up(self) -> None:
        self._hook: RemovableHandle | None = None
        self._waiting: dict[str, float] = {}
        self._has_reported = False
        self._loss, self._num_losses = 0.0, 0

    # --- the loop -----------------------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Starts the session, or continues it from the checkpoint that Lightning has loaded."""
        optimizer = _only_optimizer(trainer, pl_module)
        _require_own_rate(trainer)
        _require_one_clip(trainer, self._driven.plan, optimizer)
        batches, accumulated = trainer.num_training_batches, trainer.accumulate_grad_batches
        self._driven.start(
            trainer.model if trainer.model is not None else pl_module,
            optimizer,
            steps_per_epoch=math.inf if math.isinf(batches) else math.ceil(batches / accumulated),
            planned=lambda needed, updates: _planned(trainer, needed, updates),
            is_resuming=bool(trainer.global_step),
        )
        self._hook = optimizer.register_step_post_hook(_AfterStep(self._driven))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Begins an update at its first micro-batch."""
        self._driven.begin()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Masks the gradients, before Lightning clips them."""
        self._driven.before()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Ends an update that was skipped; stops the trainer where the schedule ends."""
        self._driven.after(applied=False)
        self._draw_loss(outputs)
        if self._driven.is_between_updates and self._waiting:
            self._report(trainer, self._waiting)
        self._stop_at_end(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reports the metrics; within an accumulation, when it is complete."""
        if not self._driven.is_training:
            return
        self._report(trainer, session_metrics(trainer.callback_metrics))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Checks the weights; reports the training's metrics, if nothing was validated."""
        self._driven.check()
        if not self._has_reported:
            self._report(trainer, session_metrics(trainer.callback_metrics))
        self._has_reported = False

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ends the session; warns if the schedule has not ended."""
        self._release()
        self._driven.finish()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Closes what is open."""
        self._release()
        self._driven.close()

    def _release(self) -> None:
        if self._hook is not None:
            self._hook.remove()
            self._hook = None

    def _report(self, trainer: Trainer, metrics: dict[str, float]) -> None:
        if not self._driven.is_between_updates:
            self._waiting = metrics
            return
        self._waiting, self._has_reported = {}, bool(metrics)
        self._driven.report(metrics)
        self._stop_at_end(trainer)

    def _stop_at_end(self, trainer: Trainer) -> None:
        if self._driven.is_over:
            trainer.should_stop = True

    def _draw_loss(self, outputs: Any) -> None:
        """Draws the mean loss of every few updates (the outputs of an accumulation add up to its loss)."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if not self._driven.draws or loss is None:
            return
        self._loss = self._loss + loss.detach()
        if not self._driven.is_between_updates:
            return
        self._num_losses += 1
        if self._num_losses == _READ_LOSS_EVERY_UPDATES or self._driven.session.is_phase_over:
            self._driven.lost(float(self._loss) / self._num_losses)
            self._loss, self._num_losses = 0.0, 0

    # --- state --------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything that Lightning does not save itself; tensors and plain data. A collective call, as saving is."""
        state = self._driven.state_dict()
        return {**state, "generators": generators_of_all(self._driven.processes)} if state else state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keeps the state until training starts; the random generators are set now, before a loader draws from them."""
        if state_dict:
            self._driven.load_state_dict(state_dict)
            set_own_generators(state_dict.get("generators") or [state_dict["session"]["generators"]])


class _AfterStep:
    """The hook after the optimizer's step, which fused optimizers run also where they skip it."""

    keeps_zeros = True
    """It changes nothing in a step (see :func:`dsd_runtime.masks.preserves_zero`)."""

    def __init__(self, driven: TrainerSession) -> None:
        self._driven = driven

    def __call__(self, optimizer: Optimizer, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        found_inf = getattr(optimizer, "found_inf", None)  # a gradient scaler gives it to a fused optimizer
        self._driven.after(applied=found_inf is None or not float(found_inf))


def _only_optimizer(trainer: Trainer, module: LightningModule) -> Optimizer:
    if not module.automatic_optimization:
        raise DsdError(
            "the module has `automatic_optimization = False`, so it steps its optimizers itself",
            help="attach a session in the module: `session.before_update()`, the step, `session.after_update()`",
        )
    if len(trainer.optimizers) != 1:
        raise DsdError(
            f"a schedule drives one optimizer, and `configure_optimizers()` returns {len(trainer.optimizers)}",
            help="return one optimizer with several parameter groups",
        )
    optimizer: Optimizer = trainer.optimizers[0]
    return optimizer


def _require_own_rate(trainer: Trainer) -> None:
    """Raises :class:`DsdError` for what would set the learning rate, or the updates in an epoch, besides the plan."""
    for config in trainer.lr_scheduler_configs:
        raise DsdError(
            f"`configure_optimizers()` returns the scheduler `{type(config.scheduler).__name__}`, which would set the "
            "learning rate",
            help="return the optimizer alone: the schedule sets the rate",
        )
    for callback in trainer.callbacks:
        if isinstance(callback, GradientAccumulationScheduler) and len(callback.scheduling) > 1:
            raise DsdError(
                "`GradientAccumulationScheduler` changes the number of updates in an epoch",
                help="use `Trainer(accumulate_grad_batches=N)`",
            )


def _require_one_clip(trainer: Trainer, plan: Plan, optimizer: Optimizer) -> None:
    clipped = next((phase for phase in plan.phases if phase.clip is not None), None)
    if clipped is not None and trainer.gradient_clip_val:
        raise DsdError(
            f"phase `{clipped.label or clipped.id}` has `clip=`, and the trainer has "
            f"`gradient_clip_val={trainer.gradient_clip_val}`",
            help="keep one of the two",
        )
    is_scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
    if is_scaled and getattr(optimizer, "_step_supports_amp_scaling", False):
        names = ((phase, name) for phase in plan.phases for name in ("clip", "l1", "update"))
        scaled, name = next(((phase, name) for phase, name in names if getattr(phase, name) is not None), (None, ""))
        if scaled is not None:
            raise DsdError(
                f"phase `{scaled.label or scaled.id}` has `{name}=`, and a fused optimizer unscales its gradients only "
                "in its step",
                help="build the optimizer with `fused=False`",
            )


def _planned(trainer: Trainer, needed: int, updates_per_epoch: int) -> tuple[float, str]:
    """How many updates the trainer plans, and the advice if they are too few."""
    by_steps = math.inf if trainer.max_steps == -1 else trainer.max_steps
    by_epochs = math.inf if trainer.max_epochs in (None, -1) else trainer.max_epochs * updates_per_epoch
    return min(by_steps, by_epochs), f"give `Trainer(max_epochs={math.ceil(needed / updates_per_epoch)})`, or more"
