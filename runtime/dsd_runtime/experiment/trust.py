"""Refuses Python code named in a schedule file unless the user allowed it on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dsd_lang.base.errors import DsdError
from dsd_lang.base.python_names import CODE_SETTINGS, python_target

if TYPE_CHECKING:
    from dsd_lang.plan import Plan
    from dsd_runtime.experiment.request import Request


def require_trusted(request: Request, settings: Mapping[str, object]) -> None:
    """Raises :class:`DsdError` if a schedule's own `set model=` or `set data=` names Python code.

    Names given by the caller, as flags, with `--set` or from Python, are allowed, and those in the schedule with
    `--trust-schedule`. ``settings`` are those of the compiled schedule.
    """
    said = {"model": request.model, "data": request.data}
    for setting in CODE_SETTINGS:
        is_own = request.trusts_schedule or said[setting] is not None or setting in request.settings
        if not is_own:
            refuse_code(setting, str(settings.get(setting) or ""), f"`{request.schedule}`", "--trust-schedule")


def require_trusted_teachers(request: Request, plan: Plan) -> None:
    """Raises :class:`DsdError` if a schedule's own `distill=` names Python code as a teacher's model."""
    for phase in plan.phases:
        target = python_target("model", (phase.distill.model if phase.distill is not None else None) or "")
        if target is not None and not request.trusts_schedule:
            raise DsdError(
                f"`{request.schedule}` names the Python code `{target}` as the model of a teacher, and a schedule may "
                "not run code by itself",
                help="if you trust it, pass `--trust-schedule`",
            )


def refuse_code(setting: str, value: str, where: str, flag: str) -> None:
    """Raises :class:`DsdError` if a value in a file names Python code."""
    target = python_target(setting, value)
    if target is not None:
        raise DsdError(
            f"{where} names the Python code `{target}` as its {setting}, and a schedule may not run code by itself",
            help=f"if you trust it, pass `--{setting} {value}` on the command line, or `{flag}`",
        )
