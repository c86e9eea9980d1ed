"""`torchrun -m dsd_runtime`: the first process carries out the run, the others follow; one of them tells an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dsd_lang.base.errors import DsdError
from dsd_runtime.experiment.command import Execution
from dsd_runtime.experiment.following import follow
from dsd_runtime.experiment.request import Request, ResolvedRequest
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.experiment.survey import Probe
from dsd_runtime.experiment.torchrun import Group, Lost, is_lost, lost
from dsd_runtime.tracking.console import LastSaved


def execute_in_group(request: Request, resolved: ResolvedRequest, command: Sequence[str]) -> int:
    """Runs a request in the processes that `torchrun` has started; returns this one's exit code."""
    group = Group(is_sharded=request.is_sharded, syncs_batch_norm=request.syncs_batch_norm)
    group.meet(request.device)
    code = 1
    try:
        code = ExecutionInGroup(request, resolved, command, group).run()
    except Exception:
        group.is_first_to_fail()  # a bug is told by its traceback, and by no other process
        raise
    finally:
        group.goes_home(code)
        group.end()
    return code


class ExecutionInGroup(Execution):
    """A run that several processes carry out."""

    def __init__(self, request: Request, resolved: ResolvedRequest, command: Sequence[str], group: Group) -> None:
        super().__init__(request, resolved, command)
        self._group = group

    def prepared(self) -> Prepared:
        """Opens the data in the first process, then in the others, which find its caches."""
        prepared: Prepared = self._group.one_after_another(super().prepared)
        return replace(prepared, group=self._group)

    def work(self, prepared: Prepared, probe: Probe, saved: LastSaved) -> int:
        """The first process carries out the run."""
        if self._group.is_first:
            return super().work(prepared, probe, saved)
        probe.used_up()
        return follow(prepared, self._group)

    def _say(self, error: DsdError, code: int, saved: Path | None = None) -> int:
        """One process tells an error: the first that has one."""
        code = 1 if isinstance(error, Lost) else code
        return super()._say(error, code, saved) if self._group.is_first_to_fail() else code

    def _say_users(self, report: str, saved: Path | None) -> int:
        return super()._say_users(report, saved) if self._group.is_first_to_fail() else 1

    def warned(self, text: str) -> None:
        """The first process tells warnings."""
        if self._group.is_first:
            super().warned(text)

    def sentence(self, error: Exception, *, is_users: bool) -> DsdError | None:
        """As for one process; if another one has gone, that."""
        return lost() if is_lost(error) else super().sentence(error, is_users=is_users)
