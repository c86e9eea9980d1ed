"""The body of `dsd-run`: prepares the run, carries it out, prints its results, and returns the exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from dsd_lang.base.errors import DsdError
from dsd_runtime.experiment.failures import failure_of
from dsd_runtime.experiment.request import Request, ResolvedRequest
from dsd_runtime.experiment.results import print_results
from dsd_runtime.experiment.setup import prepare
from dsd_runtime.experiment.stopping import Interrupted
from dsd_runtime.experiment.survey import build_probe
from dsd_runtime.experiment.whole_run import carry_out
from dsd_runtime.tracking.console import LastSaved
from dsd_runtime.tracking.warned import warnings_told
from dsd_runtime.user_code import UserCodeError, users_report


def execute(request: Request, resolved: ResolvedRequest, *, command: Sequence[str]) -> int:
    """Runs a request and returns the exit code; user mistakes and failures print one sentence on stderr."""
    named = {"model": resolved.model_name, "data": resolved.data_spec}
    try:
        prepared = prepare(request, resolved)
        probe = build_probe(prepared)
    except UserCodeError as error:
        return _say_users(users_report(error, **named) or str(error), None)
    except DsdError as error:
        return _say(error, 2)
    except KeyboardInterrupt:
        return _say(DsdError("stopped before anything was trained"), 130)
    except Exception as error:
        report = users_report(error, **named)
        if report is None:
            raise
        return _say_users(report, None)
    saved = LastSaved()
    try:
        with warnings_told(lambda text: print(text, file=sys.stderr)):
            trained = carry_out(prepared, probe, saved, command)
        if trained is None:
            return 0
        print_results(prepared, trained)
        return 0 if trained.results.holds else 1
    except Interrupted as error:
        return 128 + error.signal
    except KeyboardInterrupt:
        stopped = DsdError("stopped at once", help="run the same command again to continue from the last checkpoint")
        return _say(stopped, 130, saved.path)
    except Exception as error:
        report = users_report(error, model=prepared.model_name, data=prepared.data_spec)
        failure = failure_of(error, is_users=report is not None)
        if failure is not None:
            return _say(failure, 1, saved.path)
        if report is None:
            raise
        return _say_users(report, saved.path)


def _say_users(report: str, saved: Path | None) -> int:
    """Prints an exception of the user's code."""
    print(report, end="", file=sys.stderr)
    _say_saved(saved)
    return 1


def _say(error: DsdError, code: int, saved: Path | None = None) -> int:
    print(f"error: {error}", file=sys.stderr)
    _say_saved(saved)
    return code


def _say_saved(saved: Path | None) -> None:
    if saved is not None:
        print(f"  = saved: {saved}; run the same command again to continue", file=sys.stderr)
