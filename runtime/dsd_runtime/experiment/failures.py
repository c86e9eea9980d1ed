"""Failures of a run: of the machine, of the user's code, and of some of its phases while others went on."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dsd_lang.base.errors import DsdError
from dsd_runtime.storage.durable import CannotWrite, DiskFull, write_failure
from dsd_runtime.user_code import ReportedUserError, UserCodeError, users_report

_KINDS = {kind.__name__: kind for kind in (CannotWrite, DiskFull)}
"""What ends the whole run, also if another process tells it."""


class PhasesFailed(DsdError):
    """Some phases of a run failed; the others are trained."""


class FailedElsewhere(Exception):
    """A bug of dsd in another process; the text is its traceback."""


def failure_of(error: Exception, *, is_users: bool) -> DsdError | None:
    """A failure of the machine as a sentence; None for a bug, which is reported with its traceback."""
    if isinstance(error, DsdError) and not isinstance(error, UserCodeError):
        return error
    if isinstance(error, torch.OutOfMemoryError):
        return DsdError("the device is out of memory", help="use a smaller `--set batch=...` or `--precision bf16`")
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return DsdError("the machine is out of memory", help="use a smaller `--set batch=...`")
    if isinstance(error, OSError):
        file = Path(error.filename or "a file of the run")
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return write_failure(file, error)
        if is_users:
            return None
        return DsdError(f"cannot use `{file}`: {error.strerror or error}")
    return None


def is_of_one_phase(error: Exception, *, model: str, data: str) -> bool:
    """Whether phases that do not need the failed one can still be trained: not without a disk, or after a bug."""
    is_users = users_report(error, model=model, data=data) is not None
    return is_users or (failure_of(error, is_users=False) is not None and not isinstance(error, CannotWrite | OSError))


def failure_as_data(error: Exception, *, model: str, data: str) -> dict[str, Any]:
    """A failure as plain data, for the process that asked for the work."""
    report = users_report(error, model=model, data=data)
    if report is not None:
        return {"report": report, "message": str(error)}
    failure = failure_of(error, is_users=False)
    if failure is None:
        return {"bug": "".join(traceback.format_exception(error))}
    return {"message": failure.message, "help": failure.help, "kind": type(failure).__name__}


def failure_from_data(data: Mapping[str, Any]) -> Exception:
    """The exception to raise for a failure in another process."""
    if "bug" in data:
        return FailedElsewhere(data["bug"])
    if "report" in data:
        return ReportedUserError(data["message"], data["report"])
    return _KINDS.get(data["kind"], DsdError)(data["message"], help=data["help"])
