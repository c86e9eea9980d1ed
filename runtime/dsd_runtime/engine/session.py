"""The session: applies a plan's masks, learning rates and clocks to a model and its optimizer.

The user keeps the loop. One update, and where the session stands in it::

    begin_step()   when a boundary is due: score, mask, restore, optimizer state, learning rate of the next phase
      forward, backward                                   (the user's)
    step()         unscale -> l1 -> mask gradients -> clip -> optimizer -> [applied?] mask -> clocks -> next rate
      evaluate, report()                                  (the user's; feeds `until`, `@best`, the log)

Between the last update of a phase and the first of the next, the model is what the phase ended with. `dsd-run` drives
a session by the same calls; as each phase is a checkpoint of its own to it, it enters them itself (`enter_next()`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Phase, Plan
from dsd_runtime.engine.boundary import Boundary
from dsd_runtime.engine.entry_undo import EntryUndo
from dsd_runtime.engine.events import Event, EventKind, packed, record, unpacked
from dsd_runtime.engine.finiteness import Finiteness
from dsd_runtime.engine.fresh_gradients import FreshGradients
from dsd_runtime.engine.generators import generator_states, set_generator_states
from dsd_runtime.engine.layers import inventory
from dsd_runtime.engine.learning_rate import RateOwner, RateSchedule
from dsd_runtime.engine.loader_position import LoaderPosition, PassLoader
from dsd_runtime.engine.metric_table import MetricTable
from dsd_runtime.engine.moments import Moments
from dsd_runtime.engine.origins import Origins
from dsd_runtime.engine.overrides import Overrides
from dsd_runtime.engine.phase_view import PhaseView, Position
from dsd_runtime.engine.preflight import check_moments, check_optimizers, check_rates, check_sources
from dsd_runtime.engine.ranks import Ranks
from dsd_runtime.engine.rates import phase_rate, reading_of
from dsd_runtime.engine.references import (
    ClockReading,
    MemoryReferences,
    ReferenceStore,
    put_buffers,
    take_snapshot,
    unsaved_buffers,
)
from dsd_runtime.engine.reports import Reports
from dsd_runtime.engine.session_state import STATE_VERSION, Prefix, reading_state, reopened, require_same_seed
from dsd_runtime.engine.shown import session_html, session_text
from dsd_runtime.engine.stages import Stage, UpdatesPerEpoch, build_timeline
from dsd_runtime.engine.step_guard import StepGuard
from dsd_runtime.engine.succession import Succession
from dsd_runtime.engine.update import UpdateRule, apply_update
from dsd_runtime.engine.warning import warn
from dsd_runtime.engine.wrappers import unwrapped

T = TypeVar("T")


class Session:
    """Drives one line of phases over a user's loop. Made by :func:`dsd_runtime.attach`."""

    def __init__(
        self,
        plan: Plan,
        model: nn.Module,
        optimizer: Optimizer,
        *,
        steps_per_epoch: UpdatesPerEpoch,
        seed: int,
        factory: Callable[[], nn.Module] | None,
        references: ReferenceStore | None,
        best_metric: str,
        table: MetricTable,
        enters_by_itself: bool = True,
        on_report: Callable[[Mapping[str, float]], None] | None = None,
    ) -> None:
        self._ranks = Ranks(model)
        model = unwrapped(model)
        self.plan = plan
        self.model = model
        self.seed = seed
        self.timeline = build_timeline(plan, steps_per_epoch)
        self.events: list[Event] = []
        self._references = references if references is not None else MemoryReferences()
        origins = Origins(model, self._references, seed=seed, factory=factory)
        self._overrides = Overrides(model, optimizer)
        self._overrides.check(plan)
        self._boundary = Boundary(
            model, lambda: inventory(model, self._overrides.optimizer), plan, seed=seed, origins=origins
        )
        self._rate_owner = RateOwner(optimizer)
        self._succession = Succession(self.timeline, table)
        self._moments = Moments(plan, model, self._references, best_metric, table)
        self._reports = Reports(plan, best_metric, table)
        self._finiteness = Finiteness(model)
        self._guard = StepGuard(self)
        self._guard.watch(optimizer)
        self._prefix = Prefix(plan, self.timeline)
        self._position = LoaderPosition()
        self._schedule: RateSchedule | None = None
        self._rule = UpdateRule(0.0, None, "norm")
        self._has_offsets = False
        self._place = Position(rate=self._rate_owner.own_rate)
        self._entry: EntryUndo | None = None
        self._enters_by_itself = enters_by_itself
        self._on_report = on_report
        self._gradients = FreshGradients()

    def __repr__(self) -> str:
        """One line: the phase, how far it is, the rate, what is pruned."""
        return session_text(self)

    def _repr_html_(self) -> str:
        """The plan with how far each phase is, for notebooks."""
        return session_html(self)

    # --- where it stands ----------------------------------------------------------------------------------------------

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer in force: the one given to `attach()`, unless the phase's `opt=` names another class."""
        return self._overrides.optimizer

    @property
    def stage(self) -> Stage:
        """The stage the session is in (or has just finished)."""
        return self.timeline.stages[max(self._place.index, 0)]

    @property
    def phase(self) -> PhaseView:
        """The current phase."""
        return PhaseView.of(self.stage, self._place.step, self._place.rate)

    @property
    def total_updates(self) -> int:
        """Updates applied so far over the whole line."""
        return self._place.total

    @property
    def progress(self) -> float:
        """The share of the planned updates that is behind, 0 to 1; phases ended or skipped early count as whole."""
        if self.is_over:
            return 1.0
        return (self.stage.start + self._place.step) / max(1, self.timeline.total_updates)

    @property
    def done(self) -> bool:
        """True after the last update of the schedule.

        Raises :class:`DsdError` when `optimizer.step()` was called in place of `session.step()`: the end never comes.
        """
        if not self.is_over:
            self._guard.check()
        return self.is_over

    @property
    def is_over(self) -> bool:
        """What `done` says, without the complaint."""
        return self.is_phase_over and self._succession.following(self._place.index) is None

    @property
    def is_phase_over(self) -> bool:
        """True between the last update of a phase and the first of the next (`until` included)."""
        return self._place.index < 0 or self._place.stopped or self._place.step >= self.stage.length

    @property
    def masks(self) -> dict[str, Tensor]:
        """The masks in force by parameter name, bool tensors of the parameters' shapes; empty in a dense phase."""
        return self._boundary.store.masks

    def sparsity(self) -> dict[str, float]:
        """The exact pruned fraction of each selected weight by name, and of all of them together under `total`."""
        return self._boundary.sparsity()

    @property
    def data_position(self) -> tuple[int, int]:
        """Which pass over the data, and which batch of it, is drawn next (both from 0)."""
        return self._position.epoch, self._position.batch

    def set_data_position(self, epoch: int, batch: int) -> None:
        """Says where the data stands, for a loop that does not draw its batches through :meth:`batches`.

        Checkpoints remember it, so that `clock=@ref` finds the place again.
        """
        self._position.move_to(epoch, batch)

    @property
    def boundary(self) -> Boundary:
        """The part that holds masks and selections (for logging)."""
        return self._boundary

    def mask_copy(self, model: nn.Module) -> None:
        """Masks the weights of a copy of the model in place: an EMA, an `AveragedModel`, a deepcopy.

        An average still remembers what a boundary pruned; call this after the average's last update, before it is
        evaluated or saved. Raises ``ValueError`` when the copy lacks a masked weight.
        """
        self._boundary.mask_copy(model)

    # --- the loop -----------------------------------------------------------------------------------------------------

    def check_ahead(self, factory: Callable[[], nn.Module] | None) -> None:
        """Raises :class:`DsdError` for what would fail at a later boundary and can be known now.

        ``factory`` is asked for one model, where the plan draws fresh weights; None: the modules' own initialisation.
        """
        check_optimizers(self.plan, self._overrides.optimizer)
        check_moments(self.plan, self.timeline)
        check_rates(self.timeline, self._rate_owner.own_rate)
        check_sources(self.plan, self.model, factory)
        self._ranks.agree("schedules or seeds", f"{self.plan.hash} {self.seed}")

    def require_finite(self) -> None:
        """Raises :class:`DsdError` naming the first weight, or buffer, that is NaN or infinite.

        The session asks this of itself at boundaries, after each pass and at reports; a loop asks it before it saves.
        """
        self._finiteness.require(self.where)

    def broken_weight(self) -> str | None:
        """The first weight, or buffer, that is NaN or infinite; None for a good model."""
        return self._finiteness.first()

    def begin(self) -> None:
        """Enters the first phase; until an update the weights from before are kept (see :meth:`load_state_dict`)."""
        if self._moments.needs_init or any(phase.restore.kind == "init" for phase in self.plan.phases):
            self._references.save("init", take_snapshot(self.model, ClockReading()))
        first = self.timeline.stages[0].phase
        if first.mode == "sparse" or first.from_.kind != "last":
            self._entry = EntryUndo.before(self.model)
        self.begin_step()
        self._guard.has_begun = False  # the loop's own first update has not
        if self._entry is not None:
            self._entry.entered()

    def enter_next(self) -> Stage:
        """Enters exactly one phase, the next that no ended loop skips, and returns it.

        For loops that treat phases one by one, with `attach(..., enters_by_itself=False)`: they leave `batches()` when
        `session.is_phase_over`, and enter the next phase when they are ready. Raises ``ValueError`` elsewhere.
        """
        following = self._succession.following(self._place.index)
        if not self.is_phase_over or following is None:
            raise ValueError("enter_next() is only allowed at the end of a phase that another phase follows")
        self._cross(following)
        return self.stage

    def replay(self, finished: Sequence[tuple[Phase, Mapping[str, float] | None]]) -> None:
        """Takes the line's phases so far and their last metrics (None: skipped) as this session's own past.

        For loops that go on from a phase that was trained elsewhere: conditions of loops look back over all cycles.
        """
        self._succession.replay(finished)

    def release(self) -> None:
        """Undoes what phases override on the model, for a driver that goes on with another session on it."""
        self._overrides.release()

    def epochs(self) -> Iterator[int]:
        """Yields the numbers of the passes over the data, from 0 (or from where a resumed run stands) to the end."""
        position = self._position
        while not self.done:
            epoch, before = position.epoch, (position.batch, self._place.total)
            yield epoch
            if position.epoch == epoch:
                if before == (position.batch, self._place.total) and not self.done:
                    raise DsdError("an epoch had no batches", help="check that the loader is not empty")
                position.end_pass()

    def batches(self, loader: Iterable[T] | PassLoader[T]) -> Iterator[T]:
        """Yields the loader's batches, crossing a boundary before the batch that needs it; ends with the schedule.

        After a resume in the middle of an epoch, the batches that were already trained on are passed over. A loader
        that draws its order from the global generators (`shuffle=True`) gives the same order again; one with a method
        ``read_pass(epoch, *, skip)`` is asked for the rest of the pass.
        """
        position = self._position
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
                self._boundary.check_invariants(self._place.total)
                self.require_finite()
                return
            self.begin_step()
            if self.is_phase_over:
                return
            position.batch += 1
            yield batch

    def begin_step(self) -> None:
        """The head of an update: enters the next phase when one is due, and re-selects within a ramp. Idempotent.

        Raises :class:`DsdError` when weights are NaN or infinite and cannot be ranked, or a checkpoint is absent; the
        session then still stands at the end of the phase before.
        """
        self._guard.has_begun = True
        while self.is_phase_over:
            following = self._succession.following(self._place.index)
            if following is None:
                return
            self._cross(following)
        if self._boundary.is_selection_due(self._place.step):
            details = self._boundary.select_again(self._place.step, self._place.total, self.optimizer)
            self._agree_on_masks()
            self._record("select", details)

    def step(
        self,
        *,
        scaler: torch.amp.GradScaler | None = None,
        clip: float | None = None,
        closure: Callable[[], Tensor | float] | None = None,
    ) -> bool:
        """The end of an update: masks gradients, clips, steps the optimizer, masks, next rate, advances the clocks.

        ``scaler`` is unscaled, stepped and updated here. ``clip`` is a bound on the gradients' norm, where the phase
        does not say its own `clip=`. ``closure`` computes the loss and its gradients, for optimizers that need one.
        Returns whether the update was applied: one that the scaler skipped for infinite gradients advances nothing.
        Raises ``ValueError`` when no update is due, and :class:`DsdError` when the gradients are those of the update
        before, or none.
        """
        if self.is_phase_over or self._boundary.is_selection_due(self._place.step):
            raise ValueError(
                "step() after the last update of the schedule"
                if self.done
                else "step() without begin_step(): call it before the forward pass (batches() does)"
            )
        self._rate_owner.check()
        optimizer, store = self.optimizer, self._boundary.store
        if closure is None:
            self._gradients.require(optimizer, has_begun=self._guard.has_begun, is_scaled=scaler is not None)
        with self._guard.opened():
            if not apply_update(self._rule, optimizer, store, scaler=scaler, clip=clip, closure=closure):
                return False
        self._entry = None
        self._guard.applied()
        self._gradients.remember(optimizer)
        self._boundary.after_update(optimizer)
        self._place.step += 1
        self._place.total += 1
        if self._has_offsets:
            self._moments.save_offsets(self.stage, self.reading())
        if self._place.step >= self.stage.length:
            self._finish_phase(has_gradients=True)
            self._enter_empty_rest(by_reports=False)
        elif self._schedule is not None:
            self._set_rate(self._schedule(self._place.step))
            if self._place.step == 2 * self.stage.updates_per_epoch:
                self._warn(self._reports.missing(self.stage.phase, self._succession.history))
        return True

    def report(
        self,
        metrics: Mapping[str, float],
        *,
        higher_is_better: Iterable[str] = (),
        lower_is_better: Iterable[str] = (),
    ) -> None:
        """Takes metrics such as `{"val.loss": 0.3}`: feeds `until`, `gain`, `drop`, `@label.best` and the log.

        ``higher_is_better`` and ``lower_is_better`` name those of the metrics that are the user's own. The total
        `sparsity` (a ratio) is reported with them, unless they have their own. Under data parallelism every rank
        reports, and the mean over the ranks counts on all. Raises :class:`DsdError` for a value that is no number, for
        a metric whose direction matters and was not said, and when a weight of the model is not finite.
        """
        if not self.is_over:
            self._guard.check()
        found = self._ranks.averaged(self._reports.read(metrics, higher_is_better, lower_is_better))
        self.require_finite()
        self._warn(self._reports.undecidable(self.stage.phase, found))
        self._succession.history.report({"sparsity": self.sparsity()["total"], **found})
        self._moments.keep_best(found, self.stage, self.reading())
        if self._on_report is not None:
            self._on_report(found)
        condition = self.stage.phase.until
        if not self._place.exited and condition is not None and self._succession.holds(condition):
            self._place.stopped = True
            self._record("stop", {"step": self._place.step, "metrics": found})
            self._finish_phase()
        if self.is_phase_over:
            self._enter_empty_rest(by_reports=True)

    # --- boundaries ---------------------------------------------------------------------------------------------------

    def _cross(self, stage: Stage) -> None:
        self.require_finite()
        self._warn_of_what_was_not_reported(stage.phase)
        entry = self._boundary.prepare(stage, self._place.total)
        schedule, clock_reading = self._schedule_of(stage)
        self._succession.cross(self._place.index, stage)
        self._place.enter(stage.index)
        self._moments.best = None
        self._moments.save("start", stage, self.reading())
        self._follow(stage)
        self._boundary.clock_reading, self._schedule = clock_reading, schedule
        details = self._boundary.enter(stage, entry, self.optimizer)
        self._set_rate(schedule(0))
        self._moments.save("entered", stage, self.reading())
        self._moments.save_offsets(stage, self.reading())
        self._agree_on_masks()
        self._record("enter", {"lr": self._place.rate, **details})
        self._warn(self._boundary.advice(self.optimizer))
        if stage.length == 0:
            self._finish_phase()

    def _follow(self, stage: Stage) -> None:
        """Sets what a phase overrides."""
        self._overrides.apply(stage.phase)
        self._rate_owner.follow(self.optimizer)
        self._guard.watch(self.optimizer)
        self._rule = UpdateRule.of(stage.phase)
        self._has_offsets = self._moments.has_offsets(stage)

    def _schedule_of(self, stage: Stage) -> tuple[RateSchedule, ClockReading | None]:
        own_rate = self._rate_owner.own_rate
        reading = reading_of(stage, self._references)
        return phase_rate(stage, self.timeline, self._place.last_rates, own_rate, reading), reading

    def _enter_empty_rest(self, *, by_reports: bool) -> None:
        """Where only phases without updates are left, enters them at once: nothing else would."""
        if self._enters_by_itself and self._succession.has_only_empty_left(self._place.index, by_reports=by_reports):
            while (following := self._succession.following(self._place.index)) is not None:
                self._cross(following)

    def _finish_phase(self, *, has_gradients: bool = False) -> None:
        """``has_gradients``: those in the model are of the last update applied (and not of one that was skipped)."""
        self._place.exited = True
        assert self._schedule is not None
        self._place.last_rates[self.stage.phase.id] = self._schedule(self._place.step)
        self._boundary.check_invariants(self._place.total)
        self._finiteness.require(self.where, gradients=has_gradients)
        self._moments.save("end", self.stage, self.reading())
        self._record(
            "exit", {"step": self._place.step, "mask_hash": self._boundary.store.hash(), **self._boundary.counts()}
        )

    def _set_rate(self, rate: float) -> None:
        self._place.rate = rate
        self._rate_owner.set(rate)

    def _warn_of_what_was_not_reported(self, following: Phase) -> None:
        """On leaving a phase: its `until`, or that of a loop whose cycle it ends, may have had nothing to read."""
        if self._place.index < 0 or self._place.stopped:
            return
        phase, history = self.stage.phase, self._succession.history
        self._warn([*self._reports.missing(phase, history), *self._reports.missing_in_cycle(phase, following, history)])

    def _agree_on_masks(self) -> None:
        if self._ranks.count > 1:
            self._ranks.agree("masks", self._boundary.store.hash())

    def _warn(self, texts: Iterable[str]) -> None:
        for text in texts:
            warn(text)
            self._record("warning", {"text": text})

    def _record(self, kind: EventKind, details: dict[str, Any]) -> None:
        record(self.events, Event(kind, self._place.total, self.stage.phase.id, details))

    @property
    def where(self) -> str:
        """Where the session stands, in words for the end of a sentence: `at update 3, in phase ...`."""
        return f"at update {self._place.total}, in phase `{self.stage.phase.label or self.stage.phase.id}`"

    def reading(self) -> ClockReading:
        """The clocks now, as checkpoints remember them."""
        return ClockReading(self._place.step, self._place.total, *self.data_position)

    # --- state --------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything but the model's own `state_dict`, as tensors and plain data (nothing that needs pickling).
        As in torch, the optimizer's tensors are the live ones: write them out, or copy, before the next update.
        """
        owned = self._references.state_dict() if isinstance(self._references, MemoryReferences) else None
        return {
            "version": STATE_VERSION,
            "prefix": self._prefix.up_to(self._place.index),
            **asdict(self._place),
            "position": self._position.state_dict(),
            "generators": generator_states(),
            "seed": self.seed,
            "buffers": {name: value.clone() for name, value in unsaved_buffers(self.model).items()},
            "metrics": self._reports.table.state_dict(),
            "best": self._moments.best,
            "succession": self._succession.state_dict(),
            "boundary": self._boundary.state_dict(),
            "overrides": self._overrides.state_dict(),
            "rate_owner": self._rate_owner.state_dict(),
            "references": owned,
            "events": packed(self.events),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a saved state; the model's own weights are loaded by the caller, before or after `attach()`.

        The phases already executed must be unchanged in the plan; otherwise a :class:`DsdError` shows the first
        difference. Later phases may differ. Where `attach()` has just pruned weights that were loaded before it, they
        are put back. A state written by a different version of dsd is refused with a :class:`DsdError`.
        """
        with reading_state():
            self._prefix.check(state)
            require_same_seed(state, self.seed)
            if self._entry is not None:
                self._entry.undo_if_untouched()
                self._entry = None
            self._take(state)

    def load_shorter(self, state: Mapping[str, Any]) -> None:
        """Goes on from the end of a phase that is longer in this session's plan, and is otherwise the same.

        For drivers that know that the shorter form's updates are the first of the longer one's.
        """
        with reading_state():
            self.load_state_dict(reopened(state, self._prefix))
        assert self._schedule is not None
        self._set_rate(self._schedule(self._place.step))

    def _take(self, state: Mapping[str, Any]) -> None:
        self._place = Position.of(state)
        self._reports.table.load_state_dict(state["metrics"])
        put_buffers(self.model, state["buffers"])
        self._moments.best = state["best"]
        self._position.load_state_dict(state["position"])
        self._succession.load_state_dict(state["succession"])
        if isinstance(self._references, MemoryReferences) and state["references"] is not None:
            self._references.load_state_dict(state["references"])
        self._overrides.load_state_dict(state["overrides"], self.stage.phase)
        self._rate_owner.load_state_dict(state["rate_owner"])
        self._boundary.load_state_dict(state["boundary"], self.stage, self.optimizer)
        self.events = unpacked(state["events"])
        self._schedule, self._boundary.clock_reading = self._schedule_of(self.stage)
        self._follow(self.stage)
        self._set_rate(self._place.rate)
        set_generator_states(state["generators"])
