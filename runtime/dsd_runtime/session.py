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
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dsd_lang.errors import DsdError
from dsd_lang.plan import Cycle, Phase, Plan, Target
from dsd_lang.units import exact
from dsd_runtime.boundary import Boundary
from dsd_runtime.conditions import Evaluation, MetricHistory, is_better
from dsd_runtime.events import Event
from dsd_runtime.layers import inventory
from dsd_runtime.learning_rate import RateOwner, RateSchedule
from dsd_runtime.overrides import DropoutRates, WeightDecay, add_l1, build_optimizer, clip_gradients, optimizer_class
from dsd_runtime.rates import phase_rate
from dsd_runtime.entry_undo import EntryUndo
from dsd_runtime.references import ClockReading, MemoryReferences, ReferenceStore, reference_key, take_snapshot
from dsd_runtime.session_state import check_prefix, prefix_of
from dsd_runtime.support import require_supported
from dsd_runtime.timeline import Stage, UpdatesPerEpoch, build_timeline

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PhaseView:
    """Where a session stands: the phase, the rate of its current update, epochs and updates done within it."""

    index: int
    id: str
    label: str | None
    mode: Literal["dense", "sparse"]
    target: Target | None
    lr: float
    epoch: int
    step: int
    length: int
    batch: int | None


def attach(
    plan: Plan,
    model: nn.Module,
    optimizer: Optimizer,
    *,
    steps_per_epoch: UpdatesPerEpoch,
    seed: int = 0,
    factory: Callable[[], nn.Module] | None = None,
    references: ReferenceStore | None = None,
    best_metric: str = "val.loss",
    percent_metrics: Iterable[str] = (),
) -> Session:
    """Binds a linear plan to a model and its optimizer, enters the first phase and returns the session.

    ``steps_per_epoch`` counts optimizer updates (with gradient accumulation: fewer than batches), or is a function of the
    plan's phase. ``factory`` builds a model like this one, for `from=random` and `restore=random`; without it the
    modules' own `reset_parameters()` is used. ``best_metric`` decides `@label.best`. ``percent_metrics`` are reported in
    percent points, so that `10%` in a condition means 10 for them.

    Raises :class:`DsdError` for a plan with branches (naming them), for selectors that match nothing in the model, and
    for parts of the language that this version does not execute.
    """
    if not plan.is_linear:
        names = ", ".join(f'"{name}"' for name in plan.branches)
        raise DsdError(
            f"the plan has branches, and a session runs one line of phases; choose one of: {names}",
            help=f'attach(plan.branch("{plan.branches[0]}"), ...)',
        )
    if not plan.phases:
        raise DsdError("the plan has no phases", help="write at least one, such as `dense 1ep lr=0.1`")
    require_supported(plan)
    session = Session(
        plan,
        model,
        optimizer,
        steps_per_epoch=steps_per_epoch,
        seed=seed,
        factory=factory,
        references=references,
        best_metric=best_metric,
        percent_metrics=frozenset(percent_metrics),
    )
    session.begin()
    return session


class Session:
    """Drives one line of phases over a user's loop. Made by :func:`attach`."""

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
    ) -> None:
        self.plan = plan
        self.model = model
        self.optimizer = optimizer
        self.timeline = build_timeline(plan, steps_per_epoch)
        self.events: list[Event] = []
        self._references = references if references is not None else MemoryReferences()
        self._owned_references = self._references if isinstance(self._references, MemoryReferences) else None
        self._best_metric = best_metric
        self._percent_metrics = percent_metrics
        self._boundary = Boundary(model, inventory(model), plan, seed=seed, factory=factory, references=self._references)
        self._rate_owner = RateOwner(optimizer)
        self._weight_decay = WeightDecay.of(optimizer)
        self._dropout = DropoutRates.of(model)
        self._schedule: RateSchedule | None = None
        self._history = MetricHistory()
        self._ended_loops: set[str] = set()
        self._index = -1
        self._step = 0
        self._stopped = False
        self._exited = True
        self._total = 0
        self._rate = self._rate_owner.own_rate
        self._last_rates: dict[str, float] = {}
        self._epoch = 0
        self._batch = 0
        self._resume_batches = 0
        self._epoch_rng: Tensor | None = None
        self._data = ClockReading()
        self._best: float | None = None
        self._entry: EntryUndo | None = None
        if any(point.moment == "init" for point in plan.checkpoints) or self._boundary.needs_init:
            self._references.save("init", take_snapshot(model, ClockReading()))

    # --- where it stands ----------------------------------------------------------------------------------------------

    @property
    def stage(self) -> Stage:
        """The stage the session is in (or has just finished)."""
        return self.timeline.stages[max(self._index, 0)]

    @property
    def phase(self) -> PhaseView:
        """The current phase."""
        stage = self.stage
        phase = stage.phase
        return PhaseView(
            stage.index, phase.id, phase.label, phase.mode, phase.target, self._rate,
            self._step // stage.updates_per_epoch, self._step, stage.length, phase.batch,
        )  # fmt: skip

    @property
    def total_updates(self) -> int:
        """Updates applied so far over the whole line."""
        return self._total

    @property
    def progress(self) -> float:
        """The share of the planned updates that is behind, 0 to 1; phases ended or skipped early count as whole."""
        if self.done:
            return 1.0
        return (self.stage.start + self._step) / max(1, self.timeline.total_updates)

    @property
    def done(self) -> bool:
        """True after the last update of the schedule."""
        return self._is_phase_over() and not self._following()

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

    # --- the loop -----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Enters the first phase. Until the first update the weights from before are kept (see :meth:`load_state_dict`)."""
        first = self.timeline.stages[0].phase
        if first.mode == "sparse" or first.from_.kind != "last":
            self._entry = EntryUndo.before(self.model)
        self.begin_step()
        if self._entry is not None:
            self._entry.entered()

    def epochs(self) -> Iterator[int]:
        """Yields the numbers of the passes over the data, from 0 (or from where a resumed run stands) to the end."""
        while not self.done:
            epoch, before = self._epoch, (self._epoch, self._batch, self._total)
            yield epoch
            if self._epoch == epoch:
                if before == (self._epoch, self._batch, self._total):
                    raise DsdError("an epoch went by without a single batch", help="is the loader empty?")
                self._epoch, self._batch = epoch + 1, 0

    def batches(self, loader: Iterable[T]) -> Iterator[T]:
        """Yields the loader's batches, crossing a phase boundary before the batch that needs it; ends with the schedule.

        After a resume in the middle of an epoch, the batches that were already trained on are passed over. A loader that
        draws its order from torch's global generator (`shuffle=True`) gives the same order again.
        """
        iterator = self._resumed(loader) if self._resume_batches else self._fresh(loader)
        while not self.done:
            try:
                batch = next(iterator)
            except StopIteration:
                self._epoch, self._batch = self._epoch + 1, 0
                self._boundary.check_invariants(self._total)
                return
            self._batch += 1
            self.begin_step()
            yield batch

    def _fresh(self, loader: Iterable[T]) -> Iterator[T]:
        self._batch = 0
        self._epoch_rng = torch.get_rng_state()
        return iter(loader)

    def _resumed(self, loader: Iterable[T]) -> Iterator[T]:
        skip, self._resume_batches = self._resume_batches, 0
        now = torch.get_rng_state()
        if self._epoch_rng is not None:
            torch.set_rng_state(self._epoch_rng)
        iterator = iter(loader)
        for _ in range(skip):
            if next(iterator, None) is None:
                raise DsdError(
                    f"the loader ended before batch {skip}, where the saved run stands in its epoch",
                    help="resume with the same data and batch size",
                )
        torch.set_rng_state(now)
        return iterator

    def begin_step(self) -> None:
        """The head of an update: enters the next phase when a boundary is due, and re-selects within a ramp. Idempotent."""
        while self._is_phase_over():
            following = self._following()
            if not following:
                return
            self._cross(following[0])
        if self._boundary.is_selection_due(self._step):
            details = self._boundary.select_again(self._step, self._total)
            self._boundary.settle(self.optimizer)
            self._record("select", details)

    def step(
        self,
        *,
        scaler: torch.amp.GradScaler | None = None,
        clip: float | None = None,
        closure: Callable[[], Tensor] | None = None,
    ) -> bool:
        """The end of an update: masks gradients, clips, steps the optimizer, masks, sets the next rate, advances clocks.

        ``scaler`` is unscaled, stepped and updated here. Returns whether the update was applied: one that the scaler
        skipped for infinite gradients advances nothing. Raises ``ValueError`` when no update is due.
        """
        if self._is_phase_over() or self._boundary.is_selection_due(self._step):
            raise ValueError("step() without begin_step(): call it before the forward pass (batches() does)")
        self._rate_owner.check()
        self._entry = None
        phase = self.stage.phase
        if scaler is not None:
            scaler.unscale_(self.optimizer)
        parameters = [member for group in self.optimizer.param_groups for member in group["params"]]
        if phase.l1 is not None:
            add_l1(parameters, float(exact(phase.l1)))
        self._boundary.mask_gradients()
        clip_gradients(parameters, clip if clip is not None else phase.clip)
        if not self._apply(scaler, closure):
            return False
        self._boundary.after_update(self.optimizer)
        self._step += 1
        self._total += 1
        self._save_offsets()
        if self._step >= self.stage.length:
            self._exit()
        elif self._schedule is not None:
            self._set_rate(self._schedule(self._step))
        return True

    def _apply(self, scaler: torch.amp.GradScaler | None, closure: Callable[[], Tensor] | None) -> bool:
        if scaler is not None:
            scale = scaler.get_scale()
            scaler.step(self.optimizer)
            scaler.update()
            return bool(scaler.get_scale() >= scale)
        if closure is None:
            self.optimizer.step()
            return True

        def masked_closure() -> float:
            loss = closure()
            self._boundary.mask_gradients()
            return float(loss)

        self.optimizer.step(masked_closure)
        return True

    def report(self, metrics: Mapping[str, float]) -> None:
        """Takes metrics such as `{"val.loss": 0.3}`: feeds `until`, `gain`, `drop` and `@label.best`."""
        self._history.report(metrics)
        self._keep_best(metrics)
        phase = self.stage.phase
        if phase.until is None or self._exited:
            return
        if Evaluation(self._history, self._percent_metrics).holds(phase.until):
            self._stopped = True
            self._record("stop", {"step": self._step, "metrics": dict(metrics)})
            self._exit()

    # --- boundaries ---------------------------------------------------------------------------------------------------

    def _is_phase_over(self) -> bool:
        return self._index < 0 or self._stopped or self._step >= self.stage.length

    def _following(self) -> list[Stage]:
        """The stages still to be entered, without the cycles of loops that have ended (or are about to)."""
        ended = self._ended_loops | self._ending_loops()
        return [
            stage
            for stage in self.timeline.stages[self._index + 1 :]
            if not any(cycle.loop in ended for cycle in stage.phase.cycles)
        ]

    def _closing_cycles(self) -> list[Cycle]:
        return [] if self._index < 0 else [cycle for cycle in self.stage.phase.cycles if cycle.is_last_of_cycle]

    def _ending_loops(self) -> set[str]:
        """Loops whose condition holds at the end of the cycle that is just over."""
        ending = set()
        for cycle in self._closing_cycles():
            ends = [*self._history.at_cycle_ends.get(cycle.loop, []), self._history.latest]
            trial = MetricHistory(self._history.latest, self._history.in_phase, {cycle.loop: ends})
            if Evaluation(trial, self._percent_metrics, cycle.loop).holds(cycle.until):
                ending.add(cycle.loop)
        return ending

    def _cross(self, stage: Stage) -> None:
        self._ended_loops |= self._ending_loops()
        for cycle in self._closing_cycles():
            self._history.end_cycle(cycle.loop)
        for cycle in stage.phase.cycles:
            self._history.start_loop(cycle.loop)
        self._history.enter_phase()
        self._index, self._step, self._stopped, self._exited, self._best = stage.index, 0, False, False, None
        self._follow_overrides(stage.phase)
        self._save_moment("start")
        details = self._boundary.enter(stage, self.optimizer, self._total)
        self._follow_clock(stage)
        self._schedule = phase_rate(
            stage, self.timeline, self._last_rates, self._rate_owner.own_rate, self._boundary.clock_reading
        )
        self._set_rate(self._schedule(0))
        self._save_moment("entered")
        self._record("enter", {"lr": self._rate, **details})
        for text in self._boundary.advice(self.optimizer):
            warnings.warn(text, stacklevel=3)
            self._record("warning", {"text": text})
        if stage.length == 0:
            self._finish_phase()

    def _follow_overrides(self, phase: Phase) -> None:
        if phase.opt is not None and type(self.optimizer) is not optimizer_class(phase.opt.name):
            groups = [
                {"params": list(group["params"]), "lr": rate}
                for group, rate in zip(self.optimizer.param_groups, self._rate_owner.rates, strict=True)
            ]
            self.optimizer = build_optimizer(groups, phase.opt, rate=self._rate_owner.own_rate)
            self._rate_owner = RateOwner(self.optimizer)
            self._weight_decay = WeightDecay.of(self.optimizer)
        self._weight_decay.apply(self.optimizer, phase.wd)
        if phase.dropout is not None or self._dropout.own:
            self._dropout.apply(phase.dropout)

    def _follow_clock(self, stage: Stage) -> None:
        if stage.phase.clock.kind == "reference":
            reference = stage.phase.clock.reference
            assert reference is not None
            self._boundary.clock_reading = self._references.load(reference_key(reference)).reading
        else:
            self._boundary.clock_reading = None

    def _exit(self) -> None:
        """Ends the phase; where only phases without updates are left, they are entered at once."""
        self._finish_phase()
        following = self._following()
        while following and all(stage.length == 0 for stage in following):
            self._cross(following[0])
            following = self._following()

    def _finish_phase(self) -> None:
        self._exited = True
        assert self._schedule is not None
        self._last_rates[self.stage.phase.id] = self._schedule(self._step)
        self._boundary.check_invariants(self._total)
        self._save_moment("end")
        self._record("exit", {"step": self._step, "mask_hash": self._boundary.store.hash(), **self._boundary.counts()})

    def _set_rate(self, rate: float) -> None:
        self._rate = rate
        self._rate_owner.set(rate)

    def _record(self, kind: Literal["enter", "select", "exit", "stop", "warning"], details: dict[str, Any]) -> None:
        self.events.append(Event(kind, self._total, self.stage.phase.id, details))

    # --- references ---------------------------------------------------------------------------------------------------

    def reading(self) -> ClockReading:
        """The clocks now."""
        return ClockReading(self._step, self._total, self._data.data_epoch, self._data.data_batch)

    def set_data_position(self, epoch: int, batch: int) -> None:
        """Tells the session where the data stands, so that `clock=@ref` can find the place again."""
        self._data = ClockReading(data_epoch=epoch, data_batch=batch)

    def _save_moment(self, moment: str) -> None:
        for point in self.plan.checkpoints:
            if point.phase == self.stage.phase.id and point.moment == moment:
                self._references.save(reference_key(point), take_snapshot(self.model, self.reading()))

    def _save_offsets(self) -> None:
        for point in self.plan.checkpoints:
            if point.moment != "at" or point.phase != self.stage.phase.id or point.offset is None:
                continue
            if point.offset.length.updates(self.stage.updates_per_epoch) == self._step:
                self._references.save(reference_key(point), take_snapshot(self.model, self.reading()))

    def _keep_best(self, metrics: Mapping[str, float]) -> None:
        value = metrics.get(self._best_metric)
        if value is None or (self._best is not None and not is_better(self._best_metric, value, self._best)):
            return
        self._best = float(value)
        self._save_moment("best")

    # --- state --------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Everything but the model's own weights, as tensors and plain data (nothing that needs pickling)."""
        return {
            "version": 1,
            "prefix": prefix_of(self.plan, self._index),
            "index": self._index,
            "step": self._step,
            "stopped": self._stopped,
            "exited": self._exited,
            "total": self._total,
            "rate": self._rate,
            "last_rates": dict(self._last_rates),
            "epoch": self._epoch,
            "batch": self._batch,
            "epoch_rng": self._epoch_rng,
            "rng": torch.get_rng_state(),
            "cuda_rng": list(torch.cuda.get_rng_state_all()) if torch.cuda.is_initialized() else [],
            "data": asdict(self._data),
            "best": self._best,
            "ended_loops": sorted(self._ended_loops),
            "history": self._history.state_dict(),
            "boundary": self._boundary.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "optimizer_class": type(self.optimizer).__name__,
            "rate_owner": self._rate_owner.state_dict(),
            "weight_decay": list(self._weight_decay.own),
            "dropout": [own for _, _, own in self._dropout.own],
            "references": self._owned_references.state_dict() if self._owned_references is not None else None,
            "events": [asdict(event) for event in self.events],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a saved state; the model's own weights are loaded by the caller, before or after `attach()`.

        The phases already executed must be unchanged in the plan; otherwise a :class:`DsdError` shows the first
        difference. Later phases may differ. Where `attach()` has just pruned weights that were loaded before it, they
        are put back.
        """
        check_prefix(self.plan, state)
        if self._entry is not None:
            self._entry.undo_if_untouched()
            self._entry = None
        self._index, self._step, self._total = int(state["index"]), int(state["step"]), int(state["total"])
        self._stopped, self._exited = bool(state["stopped"]), bool(state["exited"])
        self._last_rates = dict(state["last_rates"])
        self._epoch, self._batch = int(state["epoch"]), int(state["batch"])
        self._resume_batches = self._batch
        self._epoch_rng = state["epoch_rng"]
        self._data = ClockReading(**state["data"])
        self._best = state["best"]
        self._ended_loops = set(state["ended_loops"])
        self._history = MetricHistory.from_state_dict(state["history"])
        self._load_optimizer(state)
        for (module, attribute, _), own in zip(list(self._dropout.own), state["dropout"], strict=True):
            setattr(module, attribute, own)
        self._dropout = DropoutRates.of(self.model)
        if self._owned_references is not None and state["references"] is not None:
            self._owned_references.load_state_dict(state["references"])
        self._boundary.load_state_dict(state["boundary"], self.stage)
        self.events = [Event(**entry) for entry in state["events"]]
        self._restore_rates(float(state["rate"]))
        torch.set_rng_state(state["rng"])
        if state["cuda_rng"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["cuda_rng"])

    def _load_optimizer(self, state: Mapping[str, Any]) -> None:
        name = str(state["optimizer_class"])
        if type(self.optimizer).__name__ != name:
            opt = self.stage.phase.opt
            if opt is None or optimizer_class(opt.name).__name__ != name:
                raise DsdError(
                    f"the saved run used the optimizer `{name}`, this one has `{type(self.optimizer).__name__}`",
                    help=f"resume with `torch.optim.{name}`",
                )
            self.optimizer = build_optimizer(
                [{"params": list(group["params"])} for group in self.optimizer.param_groups], opt, rate=0.1
            )
        self.optimizer.load_state_dict(state["optimizer"])
        self._rate_owner = RateOwner(self.optimizer)
        self._rate_owner.load_state_dict(state["rate_owner"])
        self._weight_decay = WeightDecay(list(state["weight_decay"]))

    def _restore_rates(self, rate: float) -> None:
        if self._index < 0:
            return
        self._follow_clock(self.stage)
        self._schedule = phase_rate(
            self.stage, self.timeline, self._last_rates, self._rate_owner.own_rate, self._boundary.clock_reading
        )
        phase = self.stage.phase
        self._weight_decay.apply(self.optimizer, phase.wd)
        if phase.dropout is not None:
            self._dropout.apply(phase.dropout)
        self._set_rate(rate)
