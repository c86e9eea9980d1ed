"""A plan, a model and an optimizer in; a session that drives the masks, the learning rate and the clocks out.

The user keeps the loop. One update, and where the session stands in it::

    begin_step()   when a boundary is due: score, mask, restore, optimizer state, learning rate of the next phase
      forward, backward                                   (the user's)
    step()         unscale -> l1 -> mask gradients -> clip -> optimizer -> [applied?] mask -> clocks -> next rate
      evaluate, report()                                  (the user's; feeds `until`, `@best`, the log)

Between the last update of a phase and the first of the next, the model is what the phase ended with.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Phase, Plan
from dsd_runtime.engine.boundary import Boundary
from dsd_runtime.engine.entry_undo import EntryUndo
from dsd_runtime.engine.events import Event
from dsd_runtime.engine.generators import generator_states, set_generator_states
from dsd_runtime.engine.layers import inventory
from dsd_runtime.engine.learning_rate import RateOwner, RateSchedule
from dsd_runtime.engine.loader_position import LoaderPosition
from dsd_runtime.engine.moments import Moments
from dsd_runtime.engine.origins import Origins
from dsd_runtime.engine.overrides import Overrides
from dsd_runtime.engine.phase_view import PhaseView, Place
from dsd_runtime.engine.rates import phase_rate, reading_of
from dsd_runtime.engine.references import ClockReading, MemoryReferences, ReferenceStore, take_snapshot
from dsd_runtime.engine.session_state import STATE_VERSION, Prefix, reading_state, reopened
from dsd_runtime.engine.shown import session_html, session_text
from dsd_runtime.engine.stages import Stage, UpdatesPerEpoch, build_timeline
from dsd_runtime.engine.succession import Succession
from dsd_runtime.engine.update import UpdateRule, apply_update

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
        percent_metrics: frozenset[str],
        enters_by_itself: bool = True,
    ) -> None:
        self.plan = plan
        self.model = model
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
        self._succession = Succession(self.timeline, percent_metrics)
        self._moments = Moments(plan, model, self._references, best_metric)
        self._prefix = Prefix(plan, self.timeline)
        self._position = LoaderPosition()
        self._schedule: RateSchedule | None = None
        self._rule = UpdateRule(0.0, None, "norm")
        self._has_offsets = False
        self._place = Place(rate=self._rate_owner.own_rate)
        self._data = ClockReading()
        self._entry: EntryUndo | None = None
        self._enters_by_itself = enters_by_itself

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
        if self.done:
            return 1.0
        return (self.stage.start + self._place.step) / max(1, self.timeline.total_updates)

    @property
    def done(self) -> bool:
        """True after the last update of the schedule."""
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

    def begin(self) -> None:
        """Enters the first phase; until an update the weights from before are kept (see :meth:`load_state_dict`)."""
        if self._moments.needs_init or any(phase.restore.kind == "init" for phase in self.plan.phases):
            self._references.save("init", take_snapshot(self.model, ClockReading()))
        first = self.timeline.stages[0].phase
        if first.mode == "sparse" or first.from_.kind != "last":
            self._entry = EntryUndo.before(self.model)
        self.begin_step()
        if self._entry is not None:
            self._entry.entered()

    def enter_next(self) -> Stage:
        """Enters exactly one phase, the next that no ended loop skips (for drivers that treat phases one by one)."""
        following = self._succession.following(self._place.index)
        if not self.is_phase_over or following is None:
            raise ValueError("enter_next() is for a session that stands at the end of a phase with another to come")
        self._cross(following)
        return self.stage

    def replay(self, finished: Sequence[tuple[Phase, Mapping[str, float] | None]]) -> None:
        """Takes the line's phases so far and their last metrics (None: skipped) as this session's own past."""
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
                    raise DsdError("an epoch went by without a single batch", help="is the loader empty?")
                position.end_pass()

    def batches(self, loader: Iterable[T]) -> Iterator[T]:
        """Yields the loader's batches, crossing a boundary before the batch that needs it; ends with the schedule.

        After a resume in the middle of an epoch, the batches that were already trained on are passed over. A loader
        that draws its order from torch's generators (`shuffle=True`) gives the same order again.
        """
        position = self._position
        iterator = position.iterate(loader)
        while not self.done:
            try:
                batch = next(iterator)
            except StopIteration:
                if not position.batch:
                    raise DsdError("the loader has no batch", help="is it an iterator that was used up?") from None
                position.end_pass()
                self._boundary.check_invariants(self._place.total)
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
        while self.is_phase_over:
            following = self._succession.following(self._place.index)
            if following is None:
                return
            self._cross(following)
        if self._boundary.is_selection_due(self._place.step):
            self._record("select", self._boundary.select_again(self._place.step, self._place.total, self.optimizer))

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
        Raises ``ValueError`` when no update is due.
        """
        if self.is_phase_over or self._boundary.is_selection_due(self._place.step):
            raise ValueError(
                "step() after the last update of the schedule"
                if self.done
                else "step() without begin_step(): call it before the forward pass (batches() does)"
            )
        self._rate_owner.check()
        optimizer, store = self.optimizer, self._boundary.store
        if not apply_update(self._rule, optimizer, store, scaler=scaler, clip=clip, closure=closure):
            return False
        self._entry = None
        self._boundary.after_update(optimizer)
        self._place.step += 1
        self._place.total += 1
        if self._has_offsets:
            self._moments.save_offsets(self.stage, self.reading())
        if self._place.step >= self.stage.length:
            self._finish_phase()
            self._enter_empty_rest(by_reports=False)
        elif self._schedule is not None:
            self._set_rate(self._schedule(self._place.step))
        return True

    def report(self, metrics: Mapping[str, float]) -> None:
        """Takes metrics such as `{"val.loss": 0.3}`: feeds `until`, `gain`, `drop` and `@label.best`.

        The total `sparsity` (a ratio) is reported with them, unless they have their own.
        """
        self._succession.history.report({"sparsity": self.sparsity()["total"], **metrics})
        self._moments.keep_best(metrics, self.stage, self.reading())
        condition = self.stage.phase.until
        if not self._place.exited and condition is not None and self._succession.holds(condition):
            self._place.stopped = True
            self._record("stop", {"step": self._place.step, "metrics": dict(metrics)})
            self._finish_phase()
        if self.is_phase_over:
            self._enter_empty_rest(by_reports=True)

    # --- boundaries ---------------------------------------------------------------------------------------------------

    def _cross(self, stage: Stage) -> None:
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
        self._record("enter", {"lr": self._place.rate, **details})
        for text in self._boundary.advice(self.optimizer):
            warnings.warn(text, stacklevel=4)
            self._record("warning", {"text": text})
        if stage.length == 0:
            self._finish_phase()

    def _follow(self, stage: Stage) -> None:
        """Sets what a phase overrides."""
        self._overrides.apply(stage.phase)
        self._rate_owner.follow(self.optimizer)
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

    def _finish_phase(self) -> None:
        self._place.exited = True
        assert self._schedule is not None
        self._place.last_rates[self.stage.phase.id] = self._schedule(self._place.step)
        self._boundary.check_invariants(self._place.total)
        self._moments.save("end", self.stage, self.reading())
        self._record(
            "exit", {"step": self._place.step, "mask_hash": self._boundary.store.hash(), **self._boundary.counts()}
        )

    def _set_rate(self, rate: float) -> None:
        self._place.rate = rate
        self._rate_owner.set(rate)

    def _record(self, kind: Literal["enter", "select", "exit", "stop", "warning"], details: dict[str, Any]) -> None:
        self.events.append(Event(kind, self._place.total, self.stage.phase.id, details))

    def reading(self) -> ClockReading:
        """The clocks now."""
        return ClockReading(self._place.step, self._place.total, self._data.data_epoch, self._data.data_batch)

    def set_data_position(self, epoch: int, batch: int) -> None:
        """Tells the session where the data stands, so that `clock=@ref` can find the place again."""
        self._data = ClockReading(data_epoch=epoch, data_batch=batch)

    # --- state --------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything but the model's own weights, as tensors and plain data (nothing that needs pickling).

        As in torch, the optimizer's tensors are the live ones: write them out, or copy, before the next update.
        """
        owned = self._references.state_dict() if isinstance(self._references, MemoryReferences) else None
        return {
            "version": STATE_VERSION,
            "prefix": self._prefix.up_to(self._place.index),
            **asdict(self._place),
            "position": self._position.state_dict(),
            "generators": generator_states(),
            "data": asdict(self._data),
            "best": self._moments.best,
            "succession": self._succession.state_dict(),
            "boundary": self._boundary.state_dict(),
            "overrides": self._overrides.state_dict(),
            "rate_owner": self._rate_owner.state_dict(),
            "references": owned,
            "events": [asdict(event) for event in self.events],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a saved state; the model's own weights are loaded by the caller, before or after `attach()`.

        The phases already executed must be unchanged in the plan; otherwise a :class:`DsdError` shows the first
        difference. Later phases may differ. Where `attach()` has just pruned weights that were loaded before it, they
        are put back. A state that another version of the program wrote is refused with a :class:`DsdError`.
        """
        with reading_state():
            self._prefix.check(state)
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
        self._place = Place.of(state)
        self._data = ClockReading(**state["data"])
        self._moments.best = state["best"]
        self._position.load_state_dict(state["position"])
        self._succession.load_state_dict(state["succession"])
        if isinstance(self._references, MemoryReferences) and state["references"] is not None:
            self._references.load_state_dict(state["references"])
        self._overrides.load_state_dict(state["overrides"], self.stage.phase)
        self._rate_owner.load_state_dict(state["rate_owner"])
        self._boundary.load_state_dict(state["boundary"], self.stage, self.optimizer)
        self.events = [Event(**entry) for entry in state["events"]]
        self._schedule, self._boundary.clock_reading = self._schedule_of(self.stage)
        self._follow(self.stage)
        self._set_rate(self._place.rate)
        set_generator_states(state["generators"])
