"""Distinguishes exceptions of the user's model or data from our own, and prints the user's traceback.

The user's code is every module that is not part of dsd, Python or an installed package, and, even if installed, the
package that `--model` or `--data` names. Exceptions in the forward pass of a model, or caused by its outputs, are the
user's too.
"""

from __future__ import annotations

import sys
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

from dsd_lang.base.errors import DsdError
from dsd_lang.base.python_names import CODE_SETTINGS, python_target

_OURS = ("dsd_runtime", "dsd_lang")
_TASKS = "dsd_runtime.training.tasks"
_INSTALLED = tuple({sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")})


class UserCodeError(DsdError):
    """A user's module or factory failed; the original exception is the cause."""


class ReportedUserError(UserCodeError):
    """An exception of the user's code in another process, with what is to be printed about it."""

    def __init__(self, message: str, report: str) -> None:
        super().__init__(message)
        self.report = report


def users_report(error: BaseException, *, model: str | None, data: str | None) -> str | None:
    """The traceback and a sentence for an exception from the user's code; None for one of our own.

    ``model`` and ``data`` are as named for the run. If neither names a factory, no code is the user's.
    """
    if isinstance(error, ReportedUserError):
        return error.report
    names = zip(CODE_SETTINGS, (model, data), strict=True)
    targets = [target for setting, name in names if name and (target := python_target(setting, name))]
    is_told = isinstance(error, UserCodeError)
    trace = _users_traceback((error.__cause__ or error) if is_told else error, targets)
    if trace is None and not is_told:
        return None
    told = " ".join(str(error).split())
    said = error if is_told else f"your code raised {type(error).__name__}{f': {told}' if told else ''}"
    return f"{trace or ''}error: {said}\n"


def _users_traceback(error: BaseException, targets: Iterable[str]) -> str | None:
    """The traceback from the first frame of the user's code."""
    packages = {target.partition(":")[0].partition(".")[0] for target in targets}
    if not packages:
        return None
    frames = _frames(error.__traceback__)
    start = next((i for i, frame in enumerate(frames) if _is_users(frame, packages)), None)
    if start is None:
        start = _begin_of_model_call(frames)
    if start is None:
        return None
    return "".join(traceback.TracebackException(type(error), error, frames[start]).format())


def _frames(trace: TracebackType | None) -> list[TracebackType]:
    found = []
    while trace is not None:
        found.append(trace)
        trace = trace.tb_next
    return found


def _module(trace: TracebackType) -> str:
    return str(trace.tb_frame.f_globals.get("__name__", ""))


def _is_users(trace: TracebackType, packages: set[str]) -> bool:
    root = _module(trace).partition(".")[0]
    if root in packages:
        return True
    if root in _OURS or root in sys.stdlib_module_names:
        return False
    file = trace.tb_frame.f_code.co_filename
    return not file.startswith("<") and not any(Path(file).is_relative_to(folder) for folder in _INSTALLED)


def _begin_of_model_call(frames: list[TracebackType]) -> int | None:
    """The frame where a task calls the model, or a loss with its output; None if the task itself fails."""
    if not frames or _module(frames[-1]).partition(".")[0] in _OURS:
        return None
    return next((i for i, frame in enumerate(frames) if _module(frame).startswith(_TASKS)), None)
