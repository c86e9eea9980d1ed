"""Where a session stands: its phase, position, masks and events, for reading; nothing here changes anything."""

from __future__ import annotations

from torch import Tensor, nn
from torch.optim import Optimizer

from dsd_runtime.engine.boundary import Boundary
from dsd_runtime.engine.distillation import Teacher
from dsd_runtime.engine.events import Event
from dsd_runtime.engine.phase_view import PhaseView
from dsd_runtime.engine.progression import Progression
from dsd_runtime.engine.shown import session_html, session_text
from dsd_runtime.engine.stages import Stage, Timeline


class Standing:
    """What a session shows of its line of phases."""

    def __init__(self, line: Progression) -> None:
        self.plan, self.model, self.seed = line.plan, line.model, line.seed
        self._line, self._ranks, self._guard = line, line.ranks, line.guard

    def __repr__(self) -> str:
        """One line: the phase, how far it is, the rate, what is pruned."""
        return session_text(self)

    def _repr_html_(self) -> str:
        """The plan with how far each phase is, for notebooks."""
        return session_html(self)

    @property
    def optimizer(self) -> Optimizer:
        """The current optimizer: the one given to `attach()`, unless the phase's `opt=` names another class."""
        return self._line.optimizer

    @property
    def timeline(self) -> Timeline:
        """The stages of the plan, with their lengths in updates."""
        return self._line.timeline

    @property
    def events(self) -> list[Event]:
        """What has happened so far: phases entered and left, selections, warnings."""
        return self._line.events

    @property
    def stage(self) -> Stage:
        """The stage the session is in (or has just finished)."""
        return self._line.stage

    @property
    def phase(self) -> PhaseView:
        """The current phase."""
        return PhaseView.of(self.stage, self._line.position.step, self._line.position.rate)

    @property
    def total_updates(self) -> int:
        """Updates applied so far over the whole line."""
        return self._line.position.total

    @property
    def progress(self) -> float:
        """The fraction of the planned updates that is done, 0 to 1; phases ended or skipped early count as complete."""
        if self.is_over:
            return 1.0
        return (self.stage.start + self._line.position.step) / max(1, self.timeline.total_updates)

    @property
    def done(self) -> bool:
        """True after the last update of the schedule.

        Raises :class:`DsdError` if `optimizer.step()` was called instead of `session.step()`, because the end would
        never come.
        """
        if not self.is_over:
            self._guard.check()
        return self.is_over

    @property
    def is_over(self) -> bool:
        """The same as `done`, without raising."""
        return self._line.is_over

    @property
    def is_phase_over(self) -> bool:
        """True between the last update of a phase and the first of the next, also if `until` has ended it."""
        return self._line.is_phase_over

    @property
    def masks(self) -> dict[str, Tensor]:
        """The current masks by parameter name, bool tensors of the parameters' shapes; empty in a dense phase.

        Of a sharded parameter it is the mask of this process's rows: of the shape of `parameter.to_local()`.
        """
        return self.boundary.store.masks

    def dense_weights(self) -> dict[str, Tensor]:
        """Copies of the masked weights with the values that pruned ones keep, by parameter name.

        They differ from the model's in a phase with `by=movement` or an `enforce=` other than `hard`. Of a sharded
        parameter these are this process's rows. Raises ``ValueError`` between the halves of an update.
        """
        acting = self.boundary.acting
        if acting.hidden.is_open:
            raise ValueError("dense_weights() between before_update() and after_update(): end the update first")
        return {name: acting.hidden.dense(name) for name in self.masks}

    @property
    def is_sharded(self) -> bool:
        """Whether this process has only some rows of the weights (FSDP2)."""
        return self._ranks.is_sharded

    @property
    def frozen(self) -> tuple[str, ...]:
        """The names of the parameters that the phase's `freeze=` keeps from being trained now."""
        return self._line.frozen.names

    @property
    def kept_norms(self) -> tuple[nn.Module, ...]:
        """The batch norms that it freezes, whose running statistics stay."""
        return self._line.frozen.norms

    def sparsity(self) -> dict[str, float]:
        """The exact pruned fraction of each selected weight by name, and of all together under `total`."""
        return self.boundary.sparsity()

    @property
    def data_position(self) -> tuple[int, int]:
        """The pass over the data and its batch that are drawn next (both from 0)."""
        return self._line.data.epoch, self._line.data.batch

    @property
    def boundary(self) -> Boundary:
        """The object that holds masks and selections (for logging)."""
        return self._line.boundary

    @property
    def teacher(self) -> Teacher | None:
        """The teacher of the current phase (`distill=`): its model, `alpha` and `temperature`; None without one."""
        return self._line.teacher

    @property
    def where(self) -> str:
        """The current position for the end of a sentence: `at update 3, in phase ...`."""
        return self._line.where
