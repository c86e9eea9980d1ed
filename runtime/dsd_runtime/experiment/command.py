"""The body of `dsd-run`: prepares the run, carries it out, prints its results, and returns the exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from dsd_lang.base.errors import DsdError
from dsd_runtime.experiment.failures import failure_of
from dsd_runtime.experiment.launched import is_one_of_several
from dsd_runtime.experiment.request import Request, ResolvedRequest
from dsd_runtime.experiment.results import print_results
from dsd_runtime.experiment.setup import Prepared, prepare
from dsd_runtime.experiment.stopping import Interrupted
from dsd_runtime.experiment.survey import Probe, build_probe
from dsd_runtime.experiment.whole_run import carry_out
from dsd_runtime.tracking.console import LastSaved
from dsd_runtime.tracking.warned import warnings_told
from dsd_runtime.user_code import UserCodeError, users_report


def execute(request: Request, resolved: ResolvedRequest, *, command: Sequence[str]) -> int:
    """Runs a request and returns the exit code; user mistakes and failures print one sentence on stderr."""
    if not is_one_of_several():
        return Execution(request, resolved, command).run()
    from dsd_runtime.experiment.in_group import execute_in_group

    return execute_in_group(request, resolved, command)


class Execution:
    """One run of `dsd-run`, with what it says on stderr."""

    def __init__(self, request: Request, resolved: ResolvedRequest, command: Sequence[str]) -> None:
        self._request, self._resolved, self._command = request, resolved, command

    def run(self) -> int:
        """Prepares and carries out the run; returns the exit code."""
        named = {"model": self._resolved.model_name, "data": self._resolved.data_spec}
        try:
            prepared = self.prepared()
            probe = build_probe(prepared)
        except UserCodeError as error:
            return self._say_users(users_report(error, **named) or str(error), None)
        except DsdError as error:
            return self._say(error, 2)
        except KeyboardInterrupt:
            return self._say(DsdError("stopped before anything was trained"), 130)
        except Exception as error:
            report = users_report(error, **named)
            if report is None:
                raise
            return self._say_users(report, None)
        return self._carried_out(prepared, probe, LastSaved())

    def prepared(self) -> Prepared:
        """The request with its data open."""
        return prepare(self._request, self._resolved)

    def warned(self, text: str) -> None:
        """Tells a warning."""
        print(text, file=sys.stderr)

    def work(self, prepared: Prepared, probe: Probe, saved: LastSaved) -> int:
        """Trains, and prints the results; returns the exit code."""
        trained = carry_out(prepared, probe, saved, self._command)
        if trained is None:
            return 0
        print_results(prepared, trained)
        return 0 if trained.results.holds else 1

    def sentence(self, error: Exception, *, is_users: bool) -> DsdError | None:
        """A failure as a sentence; None for a bug."""
        return failure_of(error, is_users=is_users)

    def _carried_out(self, prepared: Prepared, probe: Probe, saved: LastSaved) -> int:
        try:
            with warnings_told(self.warned):
                return self.work(prepared, probe, saved)
        except Interrupted as error:
            return 128 + error.signal
        except KeyboardInterrupt:
            stopped = DsdError(
                "stopped at once", help="run the same command again to continue from the last checkpoint"
            )
            return self._say(stopped, 130, saved.path)
        except Exception as error:
            report = users_report(error, model=prepared.model_name, data=prepared.data_spec)
            failure = self.sentence(error, is_users=report is not None)
            if failure is not None:
                return self._say(failure, 1, saved.path)
            if report is None:
                raise
            return self._say_users(report, saved.path)

    def _say_users(self, report: str, saved: Path | None) -> int:
        """Prints an exception of the user's code."""
        print(report + _saved_line(saved), end="", file=sys.stderr)
        return 1

    def _say(self, error: DsdError, code: int, saved: Path | None = None) -> int:
        print(f"error: {error}\n{_saved_line(saved)}", end="", file=sys.stderr)
        return code


def _saved_line(saved: Path | None) -> str:
    return "" if saved is None else f"  = saved: {saved}; run the same command again to continue\n"
