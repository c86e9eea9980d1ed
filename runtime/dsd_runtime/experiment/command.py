"""The body of `dsd-run`: prepares the run, shows it, trains, and returns the exit code."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from dsd_lang.base.errors import DsdError
from dsd_lang.base.layers_file import layers_as_data
from dsd_runtime.engine.support import require_supported
from dsd_runtime.experiment.densities import DensityFile
from dsd_runtime.experiment.earlier import compare_with_earlier, earlier_threads, put_aside
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.head import hyper_parameters, print_head
from dsd_runtime.experiment.keys import node_keys
from dsd_runtime.experiment.longer import Shorter, shorter_forms
from dsd_runtime.experiment.manifest import build_manifest
from dsd_runtime.experiment.predicting import keep_predictions
from dsd_runtime.experiment.preflight import check_tree
from dsd_runtime.experiment.reporting import ReportFile, report_or_say_why
from dsd_runtime.experiment.request import Request, ResolvedRequest
from dsd_runtime.experiment.results import print_results
from dsd_runtime.experiment.run_flops import earlier_flops, flops_of_run
from dsd_runtime.experiment.runner import Runner
from dsd_runtime.experiment.setup import Prepared, prepare
from dsd_runtime.experiment.summary import estimate_cost, format_rows, phase_rows
from dsd_runtime.experiment.survey import Probe, Survey, build_probe, survey
from dsd_runtime.experiment.threads import computing_on
from dsd_runtime.experiment.weight_records import WeightRecords
from dsd_runtime.results.reading import read_results
from dsd_runtime.storage.durable import write_failure, write_json, write_text
from dsd_runtime.tracking.console import ConsoleProgress, LastSaved
from dsd_runtime.tracking.forecast import Forecast
from dsd_runtime.tracking.jsonl import MetricsFile
from dsd_runtime.tracking.tracker import Tracker
from dsd_runtime.tracking.warned import warnings_told
from dsd_runtime.training.loop import Stopped
from dsd_runtime.user_code import UserCodeError, users_report


class StopRequest:
    """Set by Ctrl-C or SIGTERM; the run ends after the current update. A second Ctrl-C ends it at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self) -> bool:
        return self.signal is not None

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
        os.write(2, b"stopping at the next update ...\n")  # print() may have been interrupted

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handles the two signals inside the block."""
        before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


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
            return _run(prepared, probe, saved, command)
    except KeyboardInterrupt:
        stopped = DsdError("stopped at once", help="run the same command again to continue from the last checkpoint")
        return _say(stopped, 130, saved.path)
    except Exception as error:
        report = users_report(error, model=prepared.model_name, data=prepared.data_spec)
        failure = _failure(error, is_users=report is not None)
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


def _failure(error: Exception, *, is_users: bool) -> DsdError | None:
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


def _run(prepared: Prepared, probe: Probe, saved: LastSaved, command: Sequence[str]) -> int:
    request = prepared.request
    if not prepared.plan.phases:
        raise DsdError(f"`{request.schedule}` has no phases", help="write for instance `dense 10ep`")
    require_supported(prepared.plan)
    folder = RunFolder(request.out or default_folder(prepared))
    folder.require_ours()
    goes_on = request.mode != "fresh"
    found = survey(prepared, probe, earlier_threads=earlier_threads(folder) if goes_on else None)
    with computing_on(found.threads):
        prepared = replace(prepared, setting=replace(prepared.setting, threads=found.threads.count))
        return _run_on(prepared, folder, found, saved, command)


def _run_on(prepared: Prepared, folder: RunFolder, found: Survey, saved: LastSaved, command: Sequence[str]) -> int:
    request = prepared.request
    keys = node_keys(prepared.plan, prepared.setting)
    if request.write_layers is not None:
        write_json(request.write_layers, layers_as_data(found.layers))
    assert found.probe.model is not None
    check_tree(prepared, found.probe.model)
    if request.mode == "fresh" and not request.is_dry:
        with folder.locked():
            folder.remove_leftovers()
            for line in folder.clear():
                print(f"note: {line}", file=sys.stderr)
    shorter = {} if request.mode == "fresh" else shorter_forms(prepared, folder, keys)
    earlier = compare_with_earlier(prepared, folder, keys, shorter)
    rows = phase_rows(prepared, found.layers, folder, keys, shorter)
    counted = None if request.is_dry else _flops(prepared, folder, found)
    cost = estimate_cost(prepared, found, rows)
    if not (request.as_json and request.is_dry):
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print_head(prepared, folder, found, [format_rows(rows, width), str(cost), *earlier])
    if request.is_dry:
        if request.as_json:
            table = [dataclasses.asdict(row) for row in rows]
            print(json.dumps({"phases": table, "cost": cost.as_data(), "plan_hash": prepared.plan.hash}))
        return 0
    with folder.locked():
        folder.remove_leftovers()
        put_aside(prepared, folder, keys, shorter)
        manifest = build_manifest(prepared, keys, command, counted)
        write_json(folder.manifest, manifest)
        write_json(folder.plan, json.loads(prepared.plan.to_json()))
        return _train(prepared, folder, saved, manifest, cost.forecast(), shorter)


def _flops(prepared: Prepared, folder: RunFolder, found: Survey) -> dict[str, Any] | None:
    """The FLOPs of an update, counted unless the folder's last run has done so."""
    assert found.probe.model is not None
    earlier = earlier_flops(prepared, folder.read_manifest())
    return flops_of_run(prepared, found.probe.model, found.layers) if earlier is None else earlier


def _train(
    prepared: Prepared,
    folder: RunFolder,
    saved: LastSaved,
    manifest: dict[str, Any],
    forecast: Forecast,
    shorter: Mapping[str, Shorter],
) -> int:
    from dsd_runtime.tracking.tensorboard import TensorBoard

    stop = StopRequest()
    board = TensorBoard(folder.events, prepared.plan, hyper_parameters(prepared, manifest), prepared.best_metric)
    metrics = MetricsFile(folder.metrics)
    console = ConsoleProgress(prepared.request.progress, forecast, prepared.data.sizes)
    weights_seen = WeightRecords(folder, prepared.plan, manifest["nodes"])
    tracker = Tracker((saved, metrics, board, console, weights_seen, DensityFile(folder), ReportFile(folder)))
    try:
        runner = Runner(prepared, folder, tracker, should_stop=stop, shorter=shorter)
        with stop.listening():
            results = runner.run()
        weights = runner.write_line_ends()
    except Stopped:
        assert stop.signal is not None
        print(f"stopped; the progress is in {saved.path}; run the same command again to continue", file=sys.stderr)
        report_or_say_why(folder)
        return 128 + stop.signal
    finally:
        tracker.close()
    if prepared.request.keeps_predictions:
        keep_predictions(prepared, folder, runner.keys)
    write_json(folder.manifest, {**manifest, "finished": True})
    answer = read_results(folder.root)
    write_text(folder.results, answer.to_json())
    report_or_say_why(folder, answer)
    print_results(prepared, folder, results, weights, answer)
    return 0 if answer.holds else 1


def default_folder(prepared: Prepared) -> Path:
    """`runs/SCHEDULE-MODEL`, with the model's options in a form that is valid in a file name."""
    model = "".join(char if char.isalnum() or char in "._-" else "-" for char in prepared.model_name)
    return Path("runs") / f"{prepared.request.schedule.stem}-{model}"


def _say(error: DsdError, code: int, saved: Path | None = None) -> int:
    print(f"error: {error}", file=sys.stderr)
    _say_saved(saved)
    return code


def _say_saved(saved: Path | None) -> None:
    if saved is not None:
        print(f"  = saved: {saved}; run the same command again to continue", file=sys.stderr)
