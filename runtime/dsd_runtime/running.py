"""`dsd_runtime.run`: what `dsd-run` does, from Python. torch is imported when a run begins."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from dsd_lang.base.bundled import schedule_path
from dsd_lang.base.command_parser import CommandParser
from dsd_lang.base.errors import DsdError, nearest
from dsd_lang.plan import Plan
from dsd_runtime.cli import PROGRAM, build_parser, missing_package, request_of
from dsd_runtime.experiment.request import Given, Request, resolve

if TYPE_CHECKING:
    from dsd_runtime.data.source import DataSource
    from dsd_runtime.results.results import Results

Word = str | os.PathLike[str] | float
"""What stands after a flag on a command line."""

_NOT_OURS = ("help", "version", "list_models", "list_data", "evaluate", "dry_run", "json", "shard", "sync_batchnorm")
"""Flags of `dsd-run` that answer something else than results."""
_TEXT, _PLAN = Path("<text>"), Path("<plan>")
_IS_TEXT = re.compile(r"\n|\s.*(?<!\.dsd)\Z", re.DOTALL)


def run(
    schedule: str | os.PathLike[str] | Plan,
    *,
    model: str | Callable[..., Any] | None = None,
    data: str | DataSource | Any = None,
    model_key: str | None = None,
    **flags: Word | bool | Mapping[str, Word] | None,
) -> Results:
    """Trains by a schedule as `dsd-run` does, and returns the results; a run folder that exists is continued.

    ``schedule`` is the path of a file, the name of a bundled schedule, the text of a schedule, or a plan (which has its
    settings already; the model's preset gives it optimizer, weight decay, clipping and batch where it has none).
    ``model`` and ``data`` are names as for `dsd-run`. Or ``model`` is a function that builds a module from torch's
    generator: its parameters may be `num_classes`, `in_channels` and so on. And ``data`` is a data source, or a tuple
    or dict of Datasets. What a function trains is known by its source, or by ``model_key`` where that cannot be read.

    Every other flag of `dsd-run` is a keyword with `_` for `-`: ``out="runs/x"``, ``seed=3``, ``fresh=True``,
    ``set={"lr": 1e-3}``, ``progress="none"`` (which prints nothing). Raises :class:`DsdError` for every mistake. After
    Ctrl-C the progress is saved, and `KeyboardInterrupt` is raised; the same call continues.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as out:
    ...     results = run("dense 1ep lr=0.1; sparse 50%", model="lenet_300_100", out=out, progress="none")
    >>> [phase.sparsity for phase in results.phases]
    [0.0, 0.5]
    """
    said = {"model": model, "data": data, **flags}
    words = _command_words({name: value for name, value in said.items() if not _is_live(name, value)})
    path, text, plan = _schedule(schedule)
    request = request_of(build_parser(_KeywordParser).parse_args(words), path)
    if request.out is None and (text is not None or path == _PLAN):
        raise DsdError(
            "a schedule that is no file has no name for its run folder", help='give one, such as out="runs/first"'
        )
    if plan is not None and request.settings:
        raise DsdError("a plan has its settings already, so `set=` cannot change them", help="give the schedule's text")
    try:
        return _carried_out(request, Given(text=text, plan=plan), model, data, model_key, [PROGRAM, str(path), *words])
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise missing_package(error) from error


def _carried_out(
    request: Request, given: Given, model: Any, data: Any, model_key: str | None, command: list[str]
) -> Results:
    if _is_live("model", model):
        from dsd_runtime.models.live import live_model

        given = replace(given, model=live_model(model, model_key))
        assert given.model is not None
        request = replace(request, model=given.model.name)
    elif model_key is not None:
        raise DsdError("`model_key=` names what a model factory builds", help="leave it out for a model given by name")
    if _is_live("data", data):
        from dsd_runtime.data.registry import live_source

        given = replace(given, data=live_source(data))
        request = replace(request, data=given.data.name if given.data is not None else None)
    request = replace(request, given=given)
    resolved = resolve(request)  # finds all mistakes that can be found before torch is loaded
    from dsd_runtime.experiment.called import carry_out_request

    return carry_out_request(request, resolved, command=command)


def _is_live(name: str, value: object) -> bool:
    return name in ("model", "data") and not isinstance(value, str | None)


def _schedule(schedule: str | os.PathLike[str] | Plan) -> tuple[Path, str | None, Plan | None]:
    """The file or what stands for it, the text, the plan."""
    if isinstance(schedule, Plan):
        return (Path(schedule.source) if schedule.source else _PLAN), None, schedule
    if isinstance(schedule, str):
        if _IS_TEXT.search(schedule) and not os.path.exists(schedule):
            return _TEXT, schedule, None
        return schedule_path(schedule), None, None
    if isinstance(schedule, os.PathLike):
        return Path(schedule), None, None
    raise DsdError(
        f"the schedule is a `{type(schedule).__name__}`", help="give a path, the text of a schedule, or a plan"
    )


# --- keywords ---------------------------------------------------------------------------------------------------------


class _KeywordParser(CommandParser):
    def error(self, message: str) -> NoReturn:
        raise DsdError(f"run(): {message}", help=f"`{PROGRAM} --help` describes each flag, which is a keyword here")


def _command_words(keywords: Mapping[str, Any]) -> list[str]:
    """The keywords as the command line that means the same."""
    known = _known_flags()
    words: list[str] = []
    for name, value in keywords.items():
        if name not in known:
            guess = nearest(name, tuple(known))
            help = f"did you mean `{guess}=`?" if guess else f"it has {', '.join(known)}"
            raise DsdError(f"run() has no keyword `{name}`", help=help)
        words += _flag_words(known[name], name, value, is_switch=known[name] in _switches())
    return words


def _flag_words(flag: str, name: str, value: Any, *, is_switch: bool) -> list[str]:
    if value is None or (is_switch and value is False):
        return []
    if is_switch:
        if value is not True:
            raise DsdError(f"run(): `{name}=` is True or False, not `{value}`")
        return [flag]
    if name == "set":
        if not isinstance(value, Mapping):
            raise DsdError(f"run(): `set=` is a dict of settings, not `{value}`", help='write set={"lr": 1e-3}')
        return [word for key, text in value.items() for word in (flag, f"{key}={text}")]
    if isinstance(value, bool) or not isinstance(value, str | os.PathLike | int | float):
        raise DsdError(f"run(): `{name}=` is a text or a number, not `{value!r}`")
    text = os.fspath(value) if isinstance(value, os.PathLike) else str(value)
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def _known_flags() -> dict[str, str]:
    """The flags of `dsd-run` by the keyword that means the same."""
    flags = [flag for action in build_parser()._actions for flag in action.option_strings if flag.startswith("--")]
    named = {flag[2:].replace("-", "_"): flag for flag in flags}
    return {name: flag for name, flag in named.items() if name not in _NOT_OURS}


def _switches() -> frozenset[str]:
    """The flags without a value."""
    return frozenset(flag for action in build_parser()._actions if action.nargs == 0 for flag in action.option_strings)
