"""Trains the phase tree of a prepared run, each node once: hands out what is ready, and waits for what others train.

A node is ready when everything it needs has a result, which another process, on another machine, may have trained. A
failed node gives up what needs it; the others are trained.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from dsd_lang.base.errors import DsdError
from dsd_lang.base.metrics import RELU_ENTROPY
from dsd_lang.plan import Phase, Plan
from dsd_runtime.experiment.executors.executor import Executor, Outcome
from dsd_runtime.experiment.failures import PhasesFailed, is_of_one_phase
from dsd_runtime.experiment.history import NodeResult
from dsd_runtime.experiment.leases import Lease
from dsd_runtime.experiment.node_checks import NodeChecks
from dsd_runtime.experiment.noted_failures import note_failure, noted_failure
from dsd_runtime.experiment.open_run import OpenRun
from dsd_runtime.experiment.ready import ReadyQueue
from dsd_runtime.experiment.status import read_status
from dsd_runtime.storage.checkpoint import load_checkpoint, save_weights
from dsd_runtime.storage.durable import flush_together, remove
from dsd_runtime.tracking.console import ConsoleProgress, phase_name
from dsd_runtime.tracking.tracker import Tracker
from dsd_runtime.training.loop import Stopped

_LOOK_SECONDS = 0.5

__all__ = ["NodeResult", "Runner"]


class Runner:
    """Trains a plan in one run folder, by an executor; other processes may do the same in the same folder."""

    def __init__(
        self,
        run: OpenRun,
        tracker: Tracker,
        console: ConsoleProgress,
        executor: Executor,
        ready: ReadyQueue,
        *,
        should_stop: Callable[[], bool],
        refresh: Callable[[], None],
    ) -> None:
        self.plan: Plan = run.prepared.plan
        self.failures: dict[str, Exception] = {}
        self._prepared, self._folder, self._keys, self._history = run.prepared, run.folder, run.keys, run.history
        self._tracker, self._console, self._executor, self._ready = tracker, console, executor, ready
        self._should_stop, self._refresh = should_stop, refresh
        self._checks = NodeChecks(run.prepared, run.keys, run.folder)
        self._phases = {phase.id: phase for phase in self.plan.phases}
        self._here: dict[str, str] = {}
        """What this run's executor trains: the phase by its node's key."""
        self._elsewhere: dict[str, Lease] = {}
        """What other runs on the folder train: a lease, by which their end is noticed, by phase."""
        self._same_node: dict[str, list[str]] = {}
        """Phases that wait because another one is training their node, by its key."""
        self._were_trained: set[str] = set()
        self._looked = 0.0
        self._has_news = False

    def run(self) -> list[NodeResult]:
        """Trains what is not trained yet, each node after everything it needs; returns one result per phase, in order.

        Phases that failed, and those that need them, have none: they are in ``failures``. Raises
        :class:`~dsd_runtime.training.loop.Stopped` after saving the progress if a stop is requested, and at once what
        ends the whole run, such as a full disk.
        """
        while True:
            self._hand_out()
            if not self._ready.unfinished:
                break
            if self._has_news:  # while the workers train
                self._has_news = False
                self._refresh()
            outcomes = self._executor.wait(_LOOK_SECONDS) if self._here else []
            for outcome in outcomes:
                self._take(outcome)
            if not (outcomes and self._executor.is_here) and self._should_stop():
                self._stop()
            if not outcomes and not self._here:
                time.sleep(_LOOK_SECONDS / 5)
            self._look_around()
        return [self._history.results[phase.id] for phase in self.plan.phases if phase.id in self._history.results]

    # --- handing out --------------------------------------------------------------------------------------------------

    def _hand_out(self) -> None:
        """Gives work to every worker that can begin; what needs no training has its result at once."""
        for after in list(self._executor.idle):
            while (identifier := self._ready.take(after)) is not None:
                if self._begins(self._phases[identifier], after):
                    break

    def _begins(self, phase: Phase, after: str | None) -> bool:
        """Whether the phase is trained now."""
        key = self._keys[phase.id]
        if self._history.is_skipped(phase):
            self._folder.mark_skipped(key, phase.path, is_skipped=True)
            self._history.add_skipped(phase)
            self._tracker.skipped(phase, key)
            self._ready.done(phase.id)
            return False
        self._folder.mark_skipped(key, phase.path, is_skipped=False)
        if key in self._here or any(self._keys[other] == key for other in self._elsewhere):
            self._same_node.setdefault(key, []).append(phase.id)
            return False
        if self._checks.finished(phase) is not None:
            metrics = self._history.read_metrics(phase)
            if not (self._prepared.measures_entropy and RELU_ENTROPY not in metrics):
                self._reused(phase, metrics)
                return False
            self._were_trained.add(phase.id)
        if (error := noted_failure(self._folder, key)) is not None:
            self._failed(phase, error)
            return False
        self._executor.submit(phase.id, after)
        self._here[key] = phase.id
        return True

    def _reused(self, phase: Phase, metrics: dict[str, float]) -> None:
        self._history.add(phase, "reused", metrics)
        self._tracker.reused(phase, self._keys[phase.id], metrics)
        self._ready.done(phase.id)
        self._release(self._keys[phase.id])

    # --- results ------------------------------------------------------------------------------------------------------

    def _take(self, outcome: Outcome) -> None:
        phase = self._phases[outcome.phase]
        key = self._keys[phase.id]
        del self._here[key]
        if outcome.kind == "stopped":
            self._stop()
        elif outcome.kind == "elsewhere":
            self._elsewhere[phase.id] = Lease(self._folder.lease(key))
        elif outcome.error is not None:
            self._failed(phase, outcome.error)
        elif phase.id in self._were_trained:
            self._reused(phase, outcome.metrics)
        else:
            if not self._executor.is_here:
                self._console.trained_elsewhere(phase, key, outcome.metrics, by=self._executor.name)
                self._has_news = True
            self._trained(phase, outcome.metrics)

    def _trained(self, phase: Phase, metrics: dict[str, float]) -> None:
        self._history.add(phase, "trained", metrics)
        self._ready.done(phase.id)
        self._release(self._keys[phase.id])

    def _release(self, key: str) -> None:
        """The phases that waited for a node can be looked at again."""
        for waiting in self._same_node.pop(key, []):
            self._ready.put_back(waiting)

    def _failed(self, phase: Phase, error: Exception) -> None:
        """Gives up a phase, all phases with the same node, and what needs them; raises what ends the whole run."""
        if not is_of_one_phase(error, model=self._prepared.model_name, data=self._prepared.data_spec):
            raise error
        note_failure(self._prepared, self._folder, self._keys[phase.id], error)
        lost: list[str] = []
        for failed in (phase.id, *self._same_node.pop(self._keys[phase.id], [])):
            self.failures[failed] = error
            lost += self._ready.failed(failed)
        if self._ready.unfinished:
            told = error.message if isinstance(error, DsdError) else f"{type(error).__name__}: {error}"
            needing = f" (and {len(lost)} after it)" if lost else ""
            self._console.say(f"warning: {phase_name(phase)} failed{needing}: {told}; the others go on")

    def _stop(self) -> None:
        """Stops all workers; raises :class:`Stopped` when they have saved their progress."""
        self._executor.cancel()
        while self._here:
            for outcome in self._executor.wait(_LOOK_SECONDS):
                del self._here[self._keys[outcome.phase]]
        raise Stopped

    # --- others -------------------------------------------------------------------------------------------------------

    def _look_around(self) -> None:
        """Takes the results of other processes, and their nodes if they have gone; shows how far all are."""
        now = time.monotonic()
        if now - self._looked < _LOOK_SECONDS:
            return
        self._looked = now
        for identifier, lease in list(self._elsewhere.items()):
            phase = self._phases[identifier]
            if self._checks.finished(phase) is not None:
                del self._elsewhere[identifier]
                metrics = self._history.read_metrics(phase)
                self._console.trained_elsewhere(phase, self._keys[identifier], metrics, by="another process")
                self._trained(phase, metrics)
            elif lease.take():
                lease.give_back()
                del self._elsewhere[identifier]
                self._ready.put_back(identifier)
                self._release(self._keys[identifier])
        working = [*self._here.values(), *self._elsewhere]
        for identifier in working:
            key = self._keys[identifier]
            status = read_status(self._folder, key)
            if status is not None:
                self._console.working_elsewhere(
                    self._phases[identifier], key, update=status.update, length=status.length, at_once=len(working)
                )

    # --- files --------------------------------------------------------------------------------------------------------

    def mark_skipped(self) -> None:
        """Notes again which phases are skipped, as several processes may have noted it at once."""
        for result in self._history.results.values():
            if result.state == "skipped":
                self._folder.mark_skipped(result.key, result.phase.path, is_skipped=True)

    def write_line_ends(self) -> list[Path]:
        """Writes `final.safetensors` and one file per branch with the last weights of each line; deletes others."""
        written = []
        for path, last in {phase.path: phase for phase in self.plan.phases}.items():
            if last.id not in self._history.results:
                continue
            is_skipped = self._history.results[last.id].state == "skipped"
            node = self._history.trained_ancestor(last) if is_skipped else last
            end = self._folder.latest(self._keys[node.id], "end") if node is not None else None
            if end is not None:
                target = self._folder.branch(path) if path else self._folder.final
                save_weights(target, load_checkpoint(end, ["weights"])["weights"], is_flushed=False)
                written.append(target)
        flush_together([*written, *{target.parent for target in written}])
        for stale in sorted({*self._folder.line_ends()} - {*written}):
            remove(stale)
        return written

    def failure(self) -> Exception | None:
        """What to raise for the phases that failed: the error of the only one, or one that names them."""
        errors = list({id(error): error for error in self.failures.values()}.values())
        if len(errors) <= 1:
            return next(iter(errors), None)
        told = "; ".join(
            f"`{phase_name(self._phases[one])}`: {' '.join(str(error).splitlines()[0].split())}"
            for one, error in self.failures.items()
        )
        return PhasesFailed(
            f"{len(self.failures)} of {len(self.plan.phases)} phases failed: {told}",
            help="the other phases are trained; the same command tries these again",
        )
