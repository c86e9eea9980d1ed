"""The session: applies a plan's masks, learning rates and clocks to a model and its optimizer.

The user keeps the loop. One update with its calls of the session::

    begin_step()   when a phase has ended: score, mask, restore, optimizer state, learning rate of the next phase
      forward, backward                                   (the user's)
    step()         unscale -> l1 -> mask gradients -> clip -> optimizer -> [applied?] mask -> clocks -> next rate
                   or its halves, before_update() and after_update(), around an optimizer step of a trainer's own
      evaluate, report()                                  (the user's; feeds `until`, `@best`, the log)

Between the last update of a phase and the first of the next, the model is in the state in which the phase ended.
`dsd-run` uses the same calls; because it writes a checkpoint after each phase, it enters phases itself
(`enter_next()`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Phase
from dsd_runtime.engine.calibration import batch_norms, calibrate, running_statistics
from dsd_runtime.engine.foreign_optimizers import Accelerated
from dsd_runtime.engine.halves import Halves
from dsd_runtime.engine.loader_position import PassLoader
from dsd_runtime.engine.progression import Progression
from dsd_runtime.engine.scoring import Batches, ScoreSource
from dsd_runtime.engine.session_state import reading_state
from dsd_runtime.engine.stages import Stage
from dsd_runtime.engine.standing import Standing
from dsd_runtime.masks.shards import whole_tree

T = TypeVar("T")


class Session(Standing):
    """Drives one line of phases over a user's loop. Made by :func:`dsd_runtime.attach`."""

    def __init__(
        self,
        line: Progression,
        *,
        enters_by_itself: bool = True,
        on_report: Callable[[Mapping[str, float]], None] | None = None,
        accelerated: Accelerated | None = None,
        is_quick: bool = False,
    ) -> None:
        super().__init__(line)
        self._halves = Halves(line, enters_by_itself=enters_by_itself, accelerated=accelerated, is_quick=is_quick)
        self._enters_by_itself = enters_by_itself
        self._on_report = on_report

    def mask_copy(self, model: nn.Module) -> None:
        """Masks the weights of a copy of the model in place: an EMA, an `AveragedModel`, a deepcopy.

        An average still contains values that a boundary has pruned. Call this after the last update of the average,
        before it is evaluated or saved. Raises ``ValueError`` if the copy lacks a masked weight.
        """
        self.boundary.mask_copy(model)

    # --- the loop -----------------------------------------------------------------------------------------------------

    def check_ahead(self, factory: Callable[[], nn.Module] | None) -> None:
        """Raises :class:`DsdError` for anything that would fail at a later boundary and can be checked now.

        ``factory`` is called once if the plan needs new random weights; None: the modules' own initialisation.
        """
        self._line.check_ahead(factory)

    def require_finite(self) -> None:
        """Raises :class:`DsdError` naming the first weight or buffer that is NaN or infinite.

        The session calls it at boundaries, after each pass and at reports; a loop should call it before it saves. With
        several processes all of them call it, and all raise.
        """
        self._line.require_finite()

    def broken_weight(self) -> str | None:
        """The first weight or buffer that is NaN or infinite; None if all are finite."""
        return self._ranks.processes.first(self._line.finiteness.first())

    def begin(self) -> None:
        """Enters the first phase; until an update, the original weights are kept (see :meth:`load_state_dict`)."""
        self._line.begin()

    def score(
        self, loss_fn: Callable[[nn.Module, Any], Tensor], batches: Batches, *, same_on_all_ranks: bool = False
    ) -> None:
        """Gives the loss and the batches for scores that need them (`by=snip`, `by=wanda`, ...).

        ``loss_fn(model, batch)`` is the mean loss of a batch, a tensor with one number; ``batches`` are training
        batches that can be read again: a DataLoader of their own, a list, or a function that makes them from a random
        key. They are read at every entry and selection that ranks by such a score, as many as it asks for, from the
        first on. The model is in training mode then (`wanda`, `sparsegpt`: in evaluation mode), and the random
        generators start from the key of the phase; buffers, modes, gradients and generators are afterwards as before.

        If the first phase needs them, `attach()` leaves it to this call to enter it. With data parallelism every rank
        gives its own batches, and the result is the mean over the ranks; with ``same_on_all_ranks`` all have the same
        batches, and nothing is averaged. Raises ``ValueError`` for batches that can be read only once, and
        :class:`DsdError` as `begin_step()` does.
        """
        self._halves.require_closed("score()")
        self.boundary.scoring.source = ScoreSource(loss_fn, batches, same_on_all_ranks)
        if self._enters_by_itself and not self._line.has_begun:
            self.begin()

    def enter_next(self) -> Stage:
        """Enters the next phase that no ended loop skips, and returns it.

        For loops that enter phases themselves, with `attach(..., enters_by_itself=False)`: they leave `batches()` when
        `session.is_phase_over`, and call this for the next phase. Raises ``ValueError`` elsewhere.
        """
        following = self._line.following
        if not self.is_phase_over or following is None:
            raise ValueError("enter_next() is only allowed at the end of a phase that another phase follows")
        self._line.cross(following)
        return self.stage

    def replay(self, finished: Sequence[tuple[Phase, Mapping[str, float] | None]]) -> None:
        """Makes earlier phases and their last metrics (None: skipped) the history of this session.

        For loops that continue after phases that were trained elsewhere, since conditions of loops look at all cycles.
        """
        self._line.succession.replay(finished)

    def release(self) -> None:
        """Undoes the overrides of phases on the model, for a caller that continues with another session on it."""
        self._line.overrides.release()
        self._line.frozen.leave()

    def epochs(self) -> Iterator[int]:
        """Yields the numbers of the passes over the data, from 0 (or the position of a resumed run) to the end."""
        position = self._line.data
        while not self.done:
            epoch, before = position.epoch, (position.batch, self.total_updates)
            yield epoch
            if position.epoch == epoch:
                if before == (position.batch, self.total_updates) and not self.done:
                    raise DsdError("an epoch had no batches", help="check that the loader is not empty")
                position.end_pass()

    def batches(self, loader: Iterable[T] | PassLoader[T]) -> Iterator[T]:
        """Yields the loader's batches, entering the next phase before the batch that needs it; ends with the schedule.

        After resuming in the middle of an epoch, batches that were already used are skipped. A loader that draws its
        order from the global generators (`shuffle=True`) gives the same order again; one with a method
        ``read_pass(epoch, *, skip)`` is asked for the rest of the pass.
        """
        position = self._line.data
        iterator = position.iterate(loader)
        while not self.done:
            try:
                batch = next(iterator)
            except StopIteration:
                if not position.batch:
                    raise DsdError(
                        "the loader has no batches", help="pass the DataLoader, not a used-up iterator"
                    ) from None
                position.end_pass()
                self._line.check_invariants()
                self.require_finite()
                return
            self.begin_step()
            if self.is_phase_over:
                return
            position.batch += 1
            yield batch

    def set_data_position(self, epoch: int, batch: int) -> None:
        """Sets the position in the data, for a loop that does not draw its batches through :meth:`batches`.

        Checkpoints store it, so that `clock=@ref` can continue from it.
        """
        self._line.data.move_to(epoch, batch)

    def begin_step(self) -> None:
        """Begins an update: enters the next phase if the current one has ended, and re-selects in a ramp. Idempotent.

        Raises :class:`DsdError` if weights are NaN or infinite and cannot be ranked, or a checkpoint is missing; the
        session then stays at the end of the previous phase.
        """
        self._halves.require_closed("begin_step()")
        self._guard.has_begun = True
        self._line.enter_due()

    def step(
        self,
        *,
        scaler: torch.amp.GradScaler | None = None,
        clip: float | None = None,
        closure: Callable[[], Tensor | float] | None = None,
    ) -> bool:
        """Ends an update: masks gradients, clips, steps the optimizer, masks, sets the next rate, advances the clocks.

        ``scaler`` is unscaled, stepped and updated here. ``clip`` is the maximum norm of the gradients, if the phase
        has no `clip=`. ``closure`` computes the loss and its gradients, for optimizers that need one. Returns whether
        the update was applied: if the scaler skips it because of infinite gradients, nothing advances. Raises
        ``ValueError`` if the schedule has ended, and :class:`DsdError` if the gradients are those of the previous
        update, or missing.
        """
        return self._halves.whole(scaler=scaler, clip=clip, closure=closure)

    def before_update(self, *, clip: float | None = None) -> None:
        """The first half of an update, for a trainer that steps the optimizer itself: masks gradients, clips.

        Call it after the backward pass, on unscaled gradients; then the optimizer's step, then :meth:`after_update`.
        The optimizer may also call it inside its closure. ``clip`` is the maximum norm, if the phase has no `clip=`.
        Raises ``ValueError`` outside of that order, and otherwise as :meth:`step`.
        """
        self._halves.before_foreign_step(clip=clip)

    def after_update(self, *, applied: bool = True) -> None:
        """The second half: masks weights and state, advances the clocks, sets the next rate.

        ``applied=False`` says that the optimizer's step was skipped (infinite gradients): then nothing advances. Raises
        ``ValueError`` without :meth:`before_update`, and if the session's optimizer was not stepped since.
        """
        self._halves.after_foreign_step(applied=applied)

    def distilled_loss(self, loss: Tensor, logits: Tensor, *inputs: Any, valid: Tensor | None = None) -> Tensor:
        """The loss of a phase with `distill=`: alpha T^2 KL(teacher || student) + (1 - alpha) loss; else the loss.

        ``logits`` [N, ..., K] are the model's for ``inputs``, which the teacher is called with. ``valid`` [N, ...] is
        false at padding. The divergence is summed over a sample's positions and averaged over the batch.

        In a phase with `distill=`, `step()` raises a :class:`DsdError` if this was not called for its update.
        """
        if self.teacher is None:
            return loss
        self._line.is_teacher_asked = True
        return self.teacher.distilled(loss, logits, inputs, valid=valid)

    def mix_with_teacher(self, loss: Tensor, student: Tensor, teacher: Tensor, *, samples: int) -> Tensor:
        """What :meth:`distilled_loss` does, for loops that call the teacher themselves: rows of logits [M, K]."""
        if self.teacher is None:
            raise ValueError("mix_with_teacher() in a phase without `distill=`")
        self._line.is_teacher_asked = True
        return self.teacher.mixed(loss, student, teacher, samples=samples)

    def calibrate(self, inputs: Iterable[Any]) -> None:
        """Refreshes the batch-norm statistics before an evaluation, as the phase's `calibrate=` says; else nothing.

        ``inputs`` are what the model is called with, one item (or tuple) a training batch: as many are read as the
        phase asks for. Each new statistic is the mean over these batches. No weight changes.
        """
        self._line.is_calibrated = True
        model = self.model
        calibrate(
            model,
            self.stage,
            inputs,
            lambda item: model(*item) if isinstance(item, tuple) else model(item),
            kept=self.kept_norms,
        )
        if self.stage.phase.calibrate is not None:
            self._ranks.average_in_place(running_statistics(model))

    def report(
        self,
        metrics: Mapping[str, float],
        *,
        higher_is_better: Iterable[str] = (),
        lower_is_better: Iterable[str] = (),
    ) -> None:
        """Takes metrics such as `{"val.loss": 0.3}` for `until`, `gain`, `drop`, `@label.best` and the log.

        ``higher_is_better`` and ``lower_is_better`` give the direction of your own metrics. The total `sparsity` (a
        ratio) is added, unless it is in the report. With data parallelism every rank reports, and the mean over the
        ranks is used. Raises :class:`DsdError` for a value that is not a number, for a metric whose direction is needed
        but unknown, and if a weight of the model is not finite.
        """
        if not self.is_over:
            self._guard.check()
        line = self._line
        read = self._ranks.together(lambda: line.reports.read(metrics, higher_is_better, lower_is_better))
        found = self._ranks.averaged(read)
        self.require_finite()
        line.warn(line.reports.undecidable(self.stage.phase, found))
        if self._enters_by_itself and not line.is_calibrated and batch_norms(self.model):
            line.warn(line.reports.uncalibrated(self.stage.phase))
        line.succession.history.report({"sparsity": self.sparsity()["total"], **found})
        line.moments.keep_best(found, self.stage, line.reading())
        if self._on_report is not None:
            self._on_report(found)
        condition = self.stage.phase.until
        if not line.position.exited and condition is not None and line.succession.holds(condition):
            line.stop(found)
        if self._enters_by_itself and self.is_phase_over:
            line.enter_empty_rest(by_reports=True)

    # --- state --------------------------------------------------------------------------------------------------------

    def state_dict(self, *, is_sharded: bool = False) -> dict[str, Any]:
        """Everything but the model's own `state_dict`, as tensors and plain data (nothing that needs pickling).
        As in torch, the optimizer's tensors are the live ones: write them out, or copy, before the next update.

        Of a model that is sharded by `fully_shard` every rank calls it and gets whole tensors on the CPU: the same
        state as that of one process, which any number of processes can load. With ``is_sharded`` the tensors of the
        weights' shapes stay DTensors, masks too, and nothing is gathered: for :func:`dsd_runtime.save_checkpoint`.
        """
        self._halves.require_closed("state_dict()")
        state = self._line.state_dict(is_sharded=is_sharded and self._ranks.is_sharded)
        return state if is_sharded or not self._ranks.is_sharded else cast(dict[str, Any], whole_tree(state))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a saved state; the caller loads the model's own weights, before or after `attach()`.

        The executed phases must be unchanged in the plan; otherwise a :class:`DsdError` shows the first difference.
        Later phases may differ. Weights that were loaded before `attach()` and that it has just pruned are restored. A
        state written by another version of dsd raises :class:`DsdError`. It may have been saved by any number of
        processes; all of them load it, each its own rows of sharded weights.
        """
        self._halves.close()
        with reading_state():
            self._line.check_state(state)
            self._line.load_state_dict(state)

    def load_shorter(self, state: Mapping[str, Any]) -> None:
        """Continues from the end of a phase that is longer in this session's plan and otherwise the same.

        For callers that know that the updates of the shorter phase are the first ones of the longer phase.
        """
        with reading_state():
            self.load_state_dict(self._line.prefix.reopened(state))
        self._line.renew_rate()
