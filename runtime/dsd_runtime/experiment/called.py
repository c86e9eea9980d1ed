"""Carries out the run of a Python program: exceptions instead of exit codes, and nothing of the process is changed."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from dsd_runtime.engine.generators import generator_states, set_generator_states
from dsd_runtime.experiment.failures import failure_of
from dsd_runtime.experiment.request import Request, ResolvedRequest
from dsd_runtime.experiment.setup import prepare
from dsd_runtime.experiment.stopping import Interrupted
from dsd_runtime.experiment.survey import build_probe
from dsd_runtime.experiment.whole_run import carry_out
from dsd_runtime.results.results import Results
from dsd_runtime.tracking.console import LastSaved
from dsd_runtime.tracking.warned import warnings_told
from dsd_runtime.user_code import users_report


def carry_out_request(request: Request, resolved: ResolvedRequest, *, command: Sequence[str]) -> Results:
    """Trains what is not trained yet; returns the results.

    Raises :class:`DsdError`, exceptions of the user's model or data as they are, and after Ctrl-C `KeyboardInterrupt`.
    """
    try:
        with _as_in_a_new_process(), warnings_told(lambda text: print(text, file=sys.stderr)):
            prepared = prepare(request, resolved)
            trained = carry_out(prepared, build_probe(prepared), LastSaved(), command)
    except Interrupted as stop:
        signal.raise_signal(stop.signal)  # to the program's own handler, which is back in its place
        raise KeyboardInterrupt from None
    except Exception as error:
        is_users = users_report(error, model=resolved.model_name, data=resolved.data_spec) is not None
        failure = failure_of(error, is_users=is_users)
        if failure is None or failure is error:
            raise
        raise failure from error
    assert trained is not None, "a program does not ask for a dry run"
    return trained.results


@contextmanager
def _as_in_a_new_process() -> Iterator[None]:
    """Gives torch the defaults that results depend on, and afterwards the program its own, with its generators."""
    generators, dtype = generator_states(), torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.enable_grad(), torch.autocast("cpu", enabled=False):
            yield
    finally:
        torch.set_default_dtype(dtype)
        set_generator_states(generators)
