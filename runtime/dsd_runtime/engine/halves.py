"""One update in two halves, around the optimizer's step.

before()   [unscale] -> [values of pruned weights] -> l1 -> mask gradients -> clip
  optimizer.step()                                    (by `Session.step()`, or by the trainer that keeps its own)
after()    [applied?] mask weights and state, with new masks where they are due -> clocks -> next rate

At a mask update (`update=`) gradients are not masked, and after() moves the masks. Where it replaces the step there is
none, and a trainer's own finds no gradients, with which no optimizer of torch changes anything.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dsd_runtime.engine.distillation import require_asked
from dsd_runtime.engine.foreign_optimizers import Accelerated
from dsd_runtime.engine.fresh_gradients import FreshGradients
from dsd_runtime.engine.moving_masks import Gradients, gradients_of
from dsd_runtime.engine.progression import Progression
from dsd_runtime.engine.quick_step import QuickStep
from dsd_runtime.engine.update import (
    forget_skipped,
    stateless_parameters,
    take_no_step,
    take_quick_step,
    take_step,
    unscale,
)


class Halves:
    """The two halves of an update; refuses them in any other order than before, step, after."""

    def __init__(
        self,
        line: Progression,
        *,
        enters_by_itself: bool,
        accelerated: Accelerated | None = None,
        is_quick: bool = False,
    ) -> None:
        self._line, self._guard = line, line.guard
        self._quick = QuickStep() if is_quick else None
        self._gradients = FreshGradients()
        self._enters_by_itself = enters_by_itself
        self._accelerated = accelerated
        self._stateless: list[nn.Parameter] = []
        self._hidden: Gradients = {}
        self.is_open = False
        """Whether the first half was done and the second was not."""

    def before(
        self,
        call: str,
        *,
        clip: float | None,
        scaler: torch.amp.GradScaler | None = None,
        has_closure: bool = False,
        masks_later: bool = False,
    ) -> None:
        """The first half, for the public method ``call``; then the optimizer may be stepped."""
        line = self._line
        if self.is_open and not self._guard.is_stepping:
            raise ValueError(f"{call} in an update whose before_update() was called: end it with after_update() first")
        if line.is_phase_over or line.is_selection_due:
            raise ValueError(
                f"{call} after the last update of the schedule"
                if line.is_over
                else f"{call} without begin_step(): call it before the forward pass (batches() does)"
            )
        if self._accelerated is not None:
            self._accelerated.require_complete(call)
        optimizer = line.optimizer
        line.rate_owner.check()
        if not has_closure:
            require_asked(line.teacher, line.is_teacher_asked, line.stage.phase)
            self._gradients.require(call, optimizer, has_begun=self._guard.has_begun, is_scaled=scaler is not None)
        line.frozen.drop_gradients()
        if scaler is not None:
            unscale(optimizer, scaler)
        line.boundary.acting.begin_update(optimizer)
        moving = line.mask_update
        if moving is None or not moving.replaces_step:
            is_masked = not masks_later and moving is None
            line.rule.prepare_gradients(optimizer, line.boundary.acting.trained if is_masked else None, clip)
        self._guard.open()
        self.is_open = True

    def before_foreign_step(self, *, clip: float | None) -> None:
        """The first half, for a trainer that steps the optimizer itself."""
        self._line.boundary.acting.require_no_line_search(self._line.optimizer, self._line.stage.phase)
        self.before("before_update()", clip=clip, scaler=self._accelerated.scaler if self._accelerated else None)
        optimizer, moving = self._line.optimizer, self._line.mask_update
        if moving is not None and moving.replaces_step:
            self._hidden = gradients_of(optimizer, hide=True)
        is_fused = any(group.get("fused") for group in optimizer.param_groups)
        self._stateless = stateless_parameters(optimizer) if is_fused else []

    def after_foreign_step(self, *, applied: bool) -> None:
        """The second half, for a trainer that has stepped the optimizer itself, or skipped the step."""
        if not self.is_open:
            raise ValueError("after_update() without before_update(): call it after backward(), before the optimizer")
        if applied and not self._guard.has_stepped:
            raise ValueError(
                "after_update() without a step of the session's optimizer: call optimizer.step() before it, or "
                "after_update(applied=False) if the step was skipped"
            )
        if not applied:
            forget_skipped(self._line.optimizer, self._stateless)
        self.after(applied=applied)

    def after_captured(self, call: str) -> None:
        """Counts an update that a captured graph has made, as the public method ``call`` says."""
        self.require_closed(call)
        line = self._line
        if line.is_phase_over or line.is_selection_due:
            raise ValueError(f"{call} without begin_step(), or after the last update of the schedule")
        line.rate_owner.check()
        self.after(applied=True)

    def after(self, *, applied: bool) -> None:
        """The second half: masks, clocks and the next rate, unless the step was skipped."""
        line = self._line
        moving = line.mask_update
        try:
            if applied and moving is not None:
                line.move_masks(moving, self._hidden or gradients_of(line.optimizer))
            elif applied:
                line.boundary.after_update(line.optimizer, line.position.step + 1, line.position.total + 1)
        finally:
            self.close()
        if not applied:
            return
        optimizer = line.optimizer
        line.is_teacher_asked = line.is_calibrated = False
        self._guard.applied()
        self._gradients.remember(optimizer)
        line.advance()
        if self._enters_by_itself and line.is_phase_over:
            line.enter_empty_rest(by_reports=False)

    def whole(
        self,
        *,
        scaler: torch.amp.GradScaler | None,
        clip: float | None,
        closure: Callable[[], Tensor | float] | None,
    ) -> bool:
        """Both halves with the optimizer's step between them; returns whether it was applied."""
        if scaler is None and self._accelerated is not None:
            scaler = self._accelerated.scaler
        if scaler is not None and closure is not None:
            raise ValueError("step() takes a scaler or a closure, not both")
        line, quick = self._line, self._quick if scaler is None and closure is None else None
        masks_later = quick is not None and clip is None and line.rule.clip is None
        self.before("step()", clip=clip, scaler=scaler, has_closure=closure is not None, masks_later=masks_later)
        applied, moving = True, line.mask_update
        acting = line.boundary.acting if moving is None else None
        closure = line.frozen.without_gradients(closure) if closure is not None else None
        try:
            if moving is not None and moving.replaces_step:
                applied = take_no_step(scaler, closure)
            elif quick is not None:
                trained = None if acting is None else acting.trained
                take_quick_step(quick, line.optimizer, trained, are_masked=not masks_later)
            else:
                applied = take_step(line.rule, line.optimizer, acting, scaler, clip, closure)
        except BaseException:
            self.close()
            raise
        self.after(applied=applied)
        return applied

    def close(self) -> None:
        """Forgets a first half whose second will not come."""
        self.is_open, self._hidden = False, {}
        self._guard.close()
        self._line.boundary.acting.hidden.hide()

    def require_closed(self, call: str) -> None:
        """Raises ``ValueError`` between the halves."""
        if self.is_open:
            raise ValueError(f"{call} between before_update() and after_update(): end the update first")
