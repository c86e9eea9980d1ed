"""A schedule as a callback of the Transformers `Trainer`.

The trainer takes the callback, and its learning rates in the scheduler's stead::

    schedule = SparsitySchedule("dense 2ep lr=1e-3; sparse 50% 2ep")
    Trainer(model, args, train_dataset=data, callbacks=[schedule], optimizers=(None, schedule.rates)).train()

    on_step_begin             the session's `begin_step()`; the trainer's clip is taken over for the update
      forward, backward       (of every micro-batch)
    on_pre_optimizer_step     the session's `before_update()`: unscales, masks, clips by `max_grad_norm`
    on_optimizer_step         the session's `after_update()`
    on_evaluate               the metrics, as a report
    save                      in the trainer's `scheduler.pt`
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch.distributed as dist
from torch import nn
from torch.distributed import ProcessGroup
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from dsd_lang.base.errors import DsdError
from dsd_runtime.engine.ranks import world_size
from dsd_runtime.integrations.missing import missing_package
from dsd_runtime.integrations.scheduled import ScheduledTraining
from dsd_runtime.integrations.trainer_session import TrainerSession, session_metrics
from dsd_runtime.masks.shards import is_sharded

try:
    from accelerate.state import AcceleratorState
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
except ModuleNotFoundError as error:
    raise missing_package("transformers", error, "accelerate") from error

_SHARDING = ("FSDP", "DEEPSPEED", "MEGATRON_LM")


class SessionRates(LRScheduler):
    """The session's learning rates as the scheduler of a trainer, which saves the session's state with it."""

    def __init__(self, driven: TrainerSession) -> None:
        self._driven = driven  # not `super().__init__()`: it would set the rate of an optimizer that is not there yet
        self.last_epoch = 0

    def step(self, epoch: int | None = None) -> None:
        """Nothing: the session has set the rate."""

    def get_last_lr(self) -> list[float]:  # type: ignore[override]
        """The rate of the last update."""
        return [self._driven.rate]

    def state_dict(self) -> dict[str, Any]:
        """The session's state, without the optimizer's, which the trainer saves; tensors and plain data."""
        return self._driven.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keeps the state until the training starts."""
        self._driven.load_state_dict(state_dict)


class SparsitySchedule(ScheduledTraining, TrainerCallback):  # type: ignore[misc]
    """Trains a model with the Transformers `Trainer` by a schedule: masks, rates, optimizer state, and the end.

    ``plan`` is a plan, the text of a schedule, or a Path. Give the trainer ``optimizers=(None, schedule.rates)`` as
    well. The session clips by the trainer's `max_grad_norm`, after the mask; the `grad_norm` that the trainer logs is
    that of all gradients. `eval_loss` is `val.loss` in conditions, and the training ends with the schedule. The state
    is saved in the trainer's checkpoints: `trainer.train(resume_from_checkpoint=...)` resumes in any phase. ``events``
    is a folder for TensorBoard, where the curves have the names that `dsd-run` gives them. The other options are those
    of :func:`dsd_runtime.attach`.
    """

    def _set_up(self) -> None:
        self.rates = SessionRates(self._driven)
        """For the trainer: `optimizers=(None, schedule.rates)`."""
        self._clip: float | None = None
        self._train_loss: dict[str, float] = {}

    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        *,
        model: nn.Module,
        optimizer: Optimizer,
        lr_scheduler: LRScheduler,
        train_dataloader: Any,
        **_: Any,
    ) -> None:
        """Starts the session, or continues it from the checkpoint that the trainer has loaded."""
        if lr_scheduler is not self.rates:
            raise DsdError(
                f"the trainer has the scheduler `{type(lr_scheduler).__name__}`, which would set the learning rate",
                help="build it with `Trainer(..., optimizers=(None, schedule.rates))`",
            )
        self._driven.start(
            model,
            optimizer,
            process_group=_process_group(model),
            steps_per_epoch=_updates_per_epoch(args, train_dataloader),
            planned=lambda needed, updates: (
                state.max_steps,
                f"give `TrainingArguments(num_train_epochs={math.ceil(needed / updates)})`, or more",
            ),
            is_resuming=bool(state.global_step),
        )

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Begins an update; until it ends, the trainer does not clip, because it would do so before the mask."""
        self._driven.begin()
        self._clip, args.max_grad_norm = args.max_grad_norm, 0.0

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Masks and clips the gradients."""
        self._driven.before(clip=self._clip or None)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, *, optimizer: Any, **_: Any
    ) -> None:
        """Ends the update; nothing advances if the gradient scaler skipped it."""
        args.max_grad_norm = self._clip
        self._driven.after(applied=not getattr(optimizer, "step_was_skipped", False))

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        """Ends the training with the schedule."""
        return self._stopping(control)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Draws the training loss, and keeps it for the next report."""
        if logs and "loss" in logs:
            self._train_loss = session_metrics({"train_loss": logs["loss"]})
            self._driven.lost(float(logs["loss"]))

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> TrainerControl:
        """Reports the metrics of an evaluation within the training."""
        if state.global_step and self._driven.is_training:
            named = {f"val_{name[5:]}": value for name, value in (metrics or {}).items() if name.startswith("eval_")}
            self._driven.report({**self._train_loss, **session_metrics(named)})
        return self._stopping(control)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Checks the weights."""
        self._driven.check()

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Ends the session; warns if the schedule has not ended."""
        self._driven.finish()

    def _stopping(self, control: TrainerControl) -> TrainerControl:
        if self._driven.is_over:
            control.should_training_stop = True
        return control


def _process_group(model: nn.Module) -> ProcessGroup | None:
    """The processes whose gradients the trainer averages; its callbacks get the model inside of the wrapper."""
    kind = AcceleratorState().distributed_type.value
    if any(map(is_sharded, model.parameters())) or kind in _SHARDING:
        raise DsdError(
            f"the trainer deals the weights out to several processes ({kind}), which a schedule in it does not follow",
            help="start it with `torchrun` without `fsdp` and `deepspeed`, or shard the model in a loop of your own",
        )
    if kind == "NO" and world_size() > 1:
        raise DsdError(
            f"there are {world_size()} processes, and the trainer would train a model of its own in each of them",
            help="on a machine without GPUs give `TrainingArguments(use_cpu=True)`",
        )
    return dist.group.WORLD if kind.startswith("MULTI_") else None


def _updates_per_epoch(args: TrainingArguments, loader: Any) -> float:
    """The updates in a pass over the data; infinite if the loader has no length."""
    if not hasattr(loader, "__len__"):
        return math.inf
    accumulated: int = args.gradient_accumulation_steps
    return max(1, math.ceil(len(loader) / accumulated))
