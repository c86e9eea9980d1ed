"""Moves a session from phase to phase: what happens at a boundary, in which order, and what is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from dsd_lang.plan import Phase, Plan
from dsd_runtime.engine.boundary import Boundary
from dsd_runtime.engine.distillation import BuildTeacher, Teacher, Teachers
from dsd_runtime.engine.entry_undo import EntryUndo
from dsd_runtime.engine.events import Event, EventKind, packed, record_event, unpacked
from dsd_runtime.engine.finiteness import Finiteness
from dsd_runtime.engine.frozen import Frozen
from dsd_runtime.engine.generators import generator_states, set_generator_states
from dsd_runtime.engine.layers import inventory
from dsd_runtime.engine.learning_rate import GroupSchedules, RateOwner
from dsd_runtime.engine.loader_position import LoaderPosition
from dsd_runtime.engine.metric_table import MetricTable
from dsd_runtime.engine.moments import Moments
from dsd_runtime.engine.moving_masks import Gradients, MovingMasks
from dsd_runtime.engine.origins import Origins
from dsd_runtime.engine.overrides import Overrides
from dsd_runtime.engine.phase_view import Position
from dsd_runtime.engine.preflight import check_moments, check_optimizers, check_rates, check_sources
from dsd_runtime.engine.ranks import Ranks, reshard
from dsd_runtime.engine.rate_groups import split_groups
from dsd_runtime.engine.rates import phase_rate, reading_of
from dsd_runtime.engine.references import (
    ClockReading,
    MemoryReferences,
    ReferenceStore,
    put_buffers,
    take_snapshot,
    tensors_of,
    unsaved_buffers,
)
from dsd_runtime.engine.reports import Reports
from dsd_runtime.engine.scoring import Scoring
from dsd_runtime.engine.session_state import STATE_VERSION, Prefix, require_same_seed
from dsd_runtime.engine.stages import Stage, UpdatesPerEpoch, build_timeline
from dsd_runtime.engine.step_guard import StepGuard
from dsd_runtime.engine.succession import Succession
from dsd_runtime.engine.update import UpdateRule
from dsd_runtime.engine.warning import warn
from dsd_runtime.engine.wrappers import unwrapped


class Progression:
    """The position in a linear plan, the parts that a boundary changes, and the order of the changes.

    The session translates a user's loop to calls of this class: `cross()` between phases, `advance()` after an update.
    """

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
        build_teacher: BuildTeacher | None = None,
        best_metric: str,
        table: MetricTable,
        keeps_saved: bool = False,
        process_group: torch.distributed.ProcessGroup | None = None,
    ) -> None:
        reshard(model)
        self.ranks = Ranks(model, process_group)
        model = unwrapped(model)
        self.plan, self.model, self.seed = plan, model, seed
        self.timeline = build_timeline(plan, steps_per_epoch)
        self.references = references if references is not None else MemoryReferences()
        self.groups = split_groups(plan, model, optimizer)
        self.overrides = Overrides(model, optimizer, self.groups)
        self.overrides.check(plan)
        self.teachers = Teachers(model, self.references, build_teacher, factory)
        self.teacher: Teacher | None = None
        self.is_teacher_asked = False
        self.is_calibrated = False
        origins = Origins(model, self.references, seed=seed, factory=factory)
        self.boundary = Boundary(
            model,
            lambda: inventory(model, self.overrides.optimizer),
            plan,
            seed=seed,
            origins=origins,
            scoring=Scoring(model, self.ranks.processes, is_sharded=self.ranks.is_sharded),
            keeps_saved=keeps_saved,
        )
        self.frozen = Frozen(model, drops_gradients=self.ranks.averages_gradients)
        self.frozen.check(plan, self.boundary.layers)
        self.rate_owner = RateOwner(optimizer, self.groups)
        self.succession = Succession(self.timeline, table)
        self.moments = Moments(plan, model, self.references, best_metric, table)
        self.reports = Reports(plan, best_metric, table)
        self.finiteness = Finiteness(model)
        self.data = LoaderPosition()
        self.position = Position(rate=self.rate_owner.own_rate)
        self.rule = UpdateRule(0.0, None, "norm")
        self._moving: MovingMasks | None = None
        self.events: list[Event] = []
        self.guard = StepGuard(self)
        self.guard.watch(optimizer)
        self.prefix = Prefix(plan, self.timeline)
        self._schedule: GroupSchedules | None = None
        self._has_offsets = False
        self._entry: EntryUndo | None = None

    # --- where it stands ----------------------------------------------------------------------------------------------

    @property
    def optimizer(self) -> Optimizer:
        """The current optimizer."""
        return self.overrides.optimizer

    @property
    def stage(self) -> Stage:
        """The stage entered last; the first one if none was."""
        return self.timeline.stages[max(self.position.index, 0)]

    @property
    def following(self) -> Stage | None:
        """The next stage that is not skipped by an ended loop; None at the end of the plan."""
        return self.succession.following(self.position.index)

    @property
    def is_phase_over(self) -> bool:
        """True between the last update of a phase and the first of the next, also if `until` has ended it."""
        position = self.position
        return position.index < 0 or position.stopped or position.step >= self.stage.length

    @property
    def is_over(self) -> bool:
        """True after the last update of the line."""
        return self.is_phase_over and self.following is None

    @property
    def is_selection_due(self) -> bool:
        """Whether a ramp selects again before the next update."""
        return self.boundary.is_selection_due(self.position.step)

    @property
    def mask_update(self) -> MovingMasks | None:
        """What moves the masks at the current update; None if nothing does."""
        return self._moving if self._moving is not None and self._moving.is_due(self.position.step) else None

    @property
    def where(self) -> str:
        """The current position for the end of a sentence: `at update 3, in phase ...`."""
        return f"at update {self.position.total}, in phase `{self.stage.phase.label or self.stage.phase.id}`"

    def reading(self) -> ClockReading:
        """The current clocks, as stored in checkpoints."""
        return ClockReading(self.position.step, self.position.total, self.data.epoch, self.data.batch)

    # --- how it moves -------------------------------------------------------------------------------------------------

    def check_ahead(self, factory: Callable[[], nn.Module] | None) -> None:
        """Raises :class:`DsdError` for anything that would fail at a later boundary and can be checked now."""
        check_optimizers(self.plan, self.optimizer)
        check_moments(self.plan, self.timeline)
        check_rates(self.timeline, self.rate_owner.own_rate)
        check_sources(self.plan, self.model, factory)
        self.teachers.check(self.plan)
        self.ranks.agree("schedules or seeds", f"{self.plan.hash} {self.seed}")

    @property
    def has_begun(self) -> bool:
        """Whether a phase was entered, here or in the run that the state comes from."""
        return self.position.index >= 0

    def begin(self) -> None:
        """Enters the first phase; until an update, the original weights are kept."""
        if self.moments.needs_init or any(phase.restore.kind == "init" for phase in self.plan.phases):
            self.references.save("init", take_snapshot(self.model, ClockReading()))
        first = self.timeline.stages[0].phase
        if first.mode == "sparse" or first.from_.kind != "last":
            self._entry = EntryUndo.before(self.model)
        self.enter_due()
        if self._entry is not None:
            self._entry.entered()

    def enter_due(self) -> None:
        """Enters phases up to the one that the next update belongs to, and selects again where its ramp is due."""
        while self.is_phase_over:
            if (following := self.following) is None:
                return
            self.cross(following)
        if self.is_selection_due:
            self.select_again()

    def cross(self, stage: Stage) -> None:
        """Enters a stage. Until `prepare()` has returned nothing has changed, so what raises there leaves the session
        at the end of the phase before.
        """
        self._reshard()
        self.require_finite()
        self.ranks.agree_on_weights([*self.model.named_parameters(), *self.boundary.acting.hidden.state_dict().items()])
        self._warn_of_what_was_not_reported(stage.phase)
        entry = self.ranks.together(lambda: self.boundary.prepare(stage, self.position.total))
        frozen = self.ranks.together(lambda: self.frozen.choose(stage.phase, self.boundary.layers))
        schedule, clock_reading = self._schedule_of(stage)
        teacher = self.teachers.of(stage.phase)
        self.succession.cross(self.position.index, stage)
        self.position.enter(stage.index)
        self.moments.best = None
        self.moments.save("start", stage, self.reading())
        self._follow(stage)
        self.teacher, self.is_teacher_asked = teacher, False
        self.boundary.clock_reading, self._schedule = clock_reading, schedule
        details = self.boundary.enter(stage, entry, self.optimizer)
        self.frozen.enter(frozen, self.optimizer)
        self._set_rate(schedule(0), schedule.of_groups(0))
        self.moments.save("entered", stage, self.reading())
        self.moments.save_offsets(stage, self.reading())
        self._agree_on_masks()
        self.record("enter", {"lr": self.position.rate, **details})
        self.warn([*self.boundary.advice(self.optimizer), *(self._moving.advice() if self._moving else ())])
        if stage.length == 0:
            self.finish_phase()

    def select_again(self) -> None:
        """Selects the weights for the ramp's next sparsity."""
        self._reshard()
        details = self.boundary.select_again(self.position.step, self.position.total, self.optimizer)
        self._agree_on_masks()
        self.record("select", details)

    def move_masks(self, moving: MovingMasks, gradients: Gradients) -> None:
        """Moves the masks at the current update, by its gradients."""
        self._reshard()
        step, update = self.position.step, self.position.total
        details = self.ranks.together(lambda: moving.move(step, update, gradients, self.optimizer))
        self._agree_on_masks()
        self.record("move", details)

    def advance(self) -> None:
        """Counts an applied update; then ends the phase, or sets the rate of its next update."""
        self._entry = None
        self.position.step += 1
        self.position.total += 1
        if self._has_offsets:
            self.moments.save_offsets(self.stage, self.reading())
        if self.position.step >= self.stage.length:
            self.finish_phase(has_gradients=True)
            return
        self.renew_rate()
        if self.position.step == 2 * self.stage.updates_per_epoch:
            self.warn(self.reports.missing(self.stage.phase, self.succession.history))

    def stop(self, metrics: Mapping[str, float]) -> None:
        """Ends the phase early, because its `until` is true."""
        self.position.stopped = True
        self.record("stop", {"step": self.position.step, "metrics": dict(metrics)})
        self.finish_phase()

    def finish_phase(self, *, has_gradients: bool = False) -> None:
        """Records a phase's end.

        ``has_gradients``: the model has the gradients of the last applied update (not of a skipped one).
        """
        assert self._schedule is not None
        self.position.exited = True
        self.position.last_rates[self.stage.phase.id] = self._schedule(self.position.step)
        self._reshard()
        self.check_invariants()
        self.require_finite(gradients=has_gradients)
        self.frozen.leave()
        self.moments.save("end", self.stage, self.reading())
        details = {"mask_hash": self.boundary.store.hash(), **self.boundary.counts()}
        self.record("exit", {"step": self.position.step, **details})

    def enter_empty_rest(self, *, by_reports: bool) -> None:
        """If only phases without updates are left, enters them at once, since no update would."""
        if self.succession.has_only_empty_left(self.position.index, by_reports=by_reports):
            while (following := self.following) is not None:
                self.cross(following)

    def renew_rate(self) -> None:
        """Sets the rate of the next update."""
        assert self._schedule is not None
        self._set_rate(self._schedule(self.position.step), self._schedule.of_groups(self.position.step))

    def require_finite(self, *, gradients: bool = False) -> None:
        """Raises :class:`DsdError` naming the first weight or buffer that is NaN or infinite, on all ranks."""
        self.ranks.together(lambda: self.finiteness.require(self.where, gradients=gradients))

    def check_invariants(self) -> None:
        """Raises :class:`DsdError` if a masked weight is not zero, on all ranks."""
        self._reshard()
        self.ranks.together(lambda: self.boundary.check_invariants(self.position.total))

    def _reshard(self) -> None:
        if self.ranks.is_sharded:
            reshard(self.model)

    def warn(self, texts: Iterable[str]) -> None:
        """Warns, and records each warning as an event."""
        for text in texts:
            warn(text)
            self.record("warning", {"text": text})

    def record(self, kind: EventKind, details: dict[str, Any]) -> None:
        """Adds an event to the log."""
        record_event(self.events, Event(kind, self.position.total, self.stage.phase.id, details))

    def _follow(self, stage: Stage) -> None:
        """Sets the overrides of a phase."""
        self.overrides.apply(stage.phase)
        self.rate_owner.follow(self.optimizer)
        self.guard.watch(self.optimizer)
        self.rule = UpdateRule.of(stage.phase)
        self._moving = MovingMasks.of(stage, self.boundary, self.seed)
        self._has_offsets = self.moments.has_offsets(stage)

    def _freeze_again(self) -> None:
        """After loading: what the phase freezes, unless it is over."""
        chosen = self.frozen.choose(self.stage.phase, self.boundary.layers)
        if self.position.exited:
            self.frozen.remember(chosen)
        else:
            self.frozen.enter(chosen, self.optimizer)

    def _schedule_of(self, stage: Stage) -> tuple[GroupSchedules, ClockReading | None]:
        own_rate = self.rate_owner.own_rate
        reading = reading_of(stage, self.references)
        schedule = phase_rate(stage, self.timeline, self.position.last_rates, own_rate, reading)
        return GroupSchedules(schedule, self.groups.factors_of(stage.phase)), reading

    def _set_rate(self, rate: float, of_groups: Sequence[float]) -> None:
        self.position.rate = rate
        self.rate_owner.set(rate, of_groups)

    def _agree_on_masks(self) -> None:
        """Raises :class:`DsdError` on all ranks unless they have the same masks: of shards, as many kept weights."""
        if self.ranks.count > 1:
            said = str(self.boundary.counts()) if self.ranks.is_sharded else self.boundary.store.hash()
            self.ranks.agree("masks", said)

    def _warn_of_what_was_not_reported(self, following: Phase) -> None:
        """Warns at the end of a phase about conditions of it or its loops whose metrics were not reported."""
        if self.position.index < 0 or self.position.stopped:
            return
        phase, history = self.stage.phase, self.succession.history
        self.warn([*self.reports.missing(phase, history), *self.reports.missing_in_cycle(phase, following, history)])

    # --- state --------------------------------------------------------------------------------------------------------

    def state_dict(self, *, is_sharded: bool = False) -> dict[str, Any]:
        """Tensors and plain data; the optimizer's tensors are the live ones."""
        self._reshard()
        owned = self.references.state_dict() if isinstance(self.references, MemoryReferences) else None
        return {
            "version": STATE_VERSION,
            "prefix": self.prefix.up_to(self.position.index),
            **asdict(self.position),
            "position": self.data.state_dict(),
            "generators": generator_states(),
            "seed": self.seed,
            "buffers": {name: value.clone() for name, value in unsaved_buffers(self.model).items()},
            "metrics": self.reports.table.state_dict(),
            "best": self.moments.best,
            "succession": self.succession.state_dict(),
            "boundary": self.boundary.state_dict(is_sharded=is_sharded),
            "overrides": self.overrides.state_dict(),
            "rate_owner": self.rate_owner.state_dict(),
            "references": owned,
            "events": packed(self.events),
        }

    def check_state(self, state: Mapping[str, Any]) -> None:
        """Raises :class:`DsdError` unless a saved state fits this plan's executed phases and seed."""
        self._reshard()
        self.prefix.check(state)
        require_same_seed(state, self.seed)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Loads a state that `check_state()` has accepted."""
        self.frozen.leave()
        if self._entry is not None:
            self._entry.undo_if_untouched()
            self._entry = None
        self.position = Position.of(state)
        self.reports.table.load_state_dict(state["metrics"])
        put_buffers(self.model, state["buffers"])
        self.moments.best = state["best"]
        self.data.load_state_dict(state["position"])
        self.succession.load_state_dict(state["succession"])
        if isinstance(self.references, MemoryReferences) and state["references"] is not None:
            self.references.load_state_dict(state["references"], tensors_of(self.model))
        self.overrides.load_state_dict(state["overrides"], self.stage.phase)
        self.rate_owner.load_state_dict(state["rate_owner"])
        self.boundary.load_state_dict(state["boundary"], self.stage, self.optimizer)
        self.events = unpacked(state["events"])
        self._schedule, self.boundary.clock_reading = self._schedule_of(self.stage)
        self._follow(self.stage)
        update = min(self.position.step, max(0, self.stage.length - 1))  # the last one's rate stays after a phase
        self._set_rate(self.position.rate, self._schedule.of_groups(update))
        self._freeze_again()
        self.teacher = None if self.is_phase_over else self.teachers.of(self.stage.phase)
        self.is_teacher_asked = False
        set_generator_states(state["generators"])
