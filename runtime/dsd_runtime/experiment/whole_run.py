"""Trains a prepared run in its folder, from the first check to the report."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dsd_lang.base.errors import DsdError
from dsd_lang.base.layers_file import layers_as_data
from dsd_runtime.engine.support import require_supported
from dsd_runtime.experiment.earlier import compare_with_earlier, earlier_threads, put_aside
from dsd_runtime.experiment.executors.choose import workers
from dsd_runtime.experiment.folder import RunFolder, default_folder
from dsd_runtime.experiment.head import print_head
from dsd_runtime.experiment.history import NodeResult
from dsd_runtime.experiment.leases import Membership
from dsd_runtime.experiment.longer import Shorter, shorter_forms
from dsd_runtime.experiment.manifest import build_manifest
from dsd_runtime.experiment.metric_files import join_metrics, part_metrics
from dsd_runtime.experiment.noted_failures import forget_failures
from dsd_runtime.experiment.open_run import OpenRun
from dsd_runtime.experiment.predicting import keep_predictions
from dsd_runtime.experiment.preflight import check_tree
from dsd_runtime.experiment.ready import ReadyQueue
from dsd_runtime.experiment.reporting import UpToDate, report_or_say_why
from dsd_runtime.experiment.run_flops import earlier_flops, flops_of_run
from dsd_runtime.experiment.runner import Runner
from dsd_runtime.experiment.setup import Prepared
from dsd_runtime.experiment.stopping import Interrupted, StopRequest
from dsd_runtime.experiment.summary import PhaseRow, estimate_cost, format_rows, phase_rows
from dsd_runtime.experiment.survey import Probe, Survey, survey
from dsd_runtime.experiment.threads import computing_on
from dsd_runtime.results.reading import read_results
from dsd_runtime.results.results import Results
from dsd_runtime.storage.durable import write_json, write_text
from dsd_runtime.tracking.console import ConsoleProgress, LastSaved
from dsd_runtime.tracking.forecast import Forecast
from dsd_runtime.training.loop import Stopped


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished run: its folder, what became of each phase, the files with the last weights, and the answer."""

    folder: RunFolder
    nodes: Sequence[NodeResult]
    weights: Sequence[Path]
    results: Results


def carry_out(prepared: Prepared, probe: Probe, saved: LastSaved, command: Sequence[str]) -> Trained | None:
    """Trains what is not trained yet, and writes the run folder; None for a dry run.

    Raises :class:`DsdError` for what the user can mend, and :class:`Interrupted` after a signal.
    """
    request = prepared.request
    if not prepared.plan.phases:
        help = "write for instance `dense 10ep`; `def`s and `let`s alone are for other schedules, by `use`"
        raise DsdError(f"`{request.schedule}` has no phases", help=help)
    require_supported(prepared.plan)
    folder = RunFolder(request.out or default_folder(request.schedule, prepared.model_name))
    folder.require_ours()
    goes_on = request.mode != "fresh"
    found = survey(prepared, probe, earlier_threads=earlier_threads(folder) if goes_on else None)
    with computing_on(found.threads):
        prepared = replace(prepared, setting=replace(prepared.setting, threads=found.threads.count))
        return _run_on(prepared, folder, found, saved, command)


def _run_on(
    prepared: Prepared, folder: RunFolder, found: Survey, saved: LastSaved, command: Sequence[str]
) -> Trained | None:
    request = prepared.request
    run = OpenRun.of(prepared, folder)
    keys = run.keys
    if request.write_layers is not None:
        write_json(request.write_layers, layers_as_data(found.layers))
    assert found.probe.model is not None
    check_tree(prepared, found.probe.model)
    membership = Membership(folder.leases)
    if request.mode == "fresh" and not request.is_dry:
        _clear(folder, membership)
    shorter = {} if request.mode == "fresh" else shorter_forms(prepared, folder, keys)
    earlier = compare_with_earlier(prepared, folder, keys, shorter)
    rows = phase_rows(prepared, found.layers, folder, keys, shorter)
    counted = None if request.is_dry else _flops(prepared, folder, found)
    cost = estimate_cost(prepared, found, rows)
    if not request.is_quiet:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print_head(prepared, folder, found, [format_rows(rows, width), str(cost), *earlier])
    if request.is_dry:
        if request.as_json:
            table = [dataclasses.asdict(row) for row in rows]
            print(json.dumps({"phases": table, "cost": cost.as_data(), "plan_hash": prepared.plan.hash}))
        return None
    manifest = build_manifest(prepared, keys, command, counted)
    with ExitStack() as stack:
        with membership.alone():
            _claim(run, membership, manifest, shorter)
            stack.enter_context(membership.joined())  # who is a member has claimed the folder
        return _train(run, membership, saved, manifest, cost.forecast(), rows, shorter)


def _clear(folder: RunFolder, membership: Membership) -> None:
    """Deletes what an earlier run has written."""
    with membership.alone():
        if membership.others(watch=True):
            raise DsdError(f"another process is training in `{folder.root}`", help="stop it, or choose another `--out`")
        folder.remove_leftovers()
        for line in folder.clear():
            print(f"note: {line}", file=sys.stderr)


def _claim(
    run: OpenRun,
    membership: Membership,
    manifest: dict[str, Any],
    shorter: Mapping[str, Shorter],
) -> None:
    """Makes the folder one of this run, or joins those who train the same in it now; one process at a time."""
    prepared, folder, keys = run.prepared, run.folder, run.keys
    others = membership.others()
    if others and not _is_same(folder, manifest):
        others = membership.others(watch=True)
        if others:
            raise DsdError(
                f"another process is training something else in `{folder.root}`",
                help="wait for it, or choose another `--out`; with the same command this process joins in",
            )
    if others:
        many = f"{others} other processes train" if others > 1 else "another process trains"
        print(f"note: {many} in `{folder.root}`, and this one joins in", file=sys.stderr)
        forget_failures(folder, keys.values())
        return
    folder.remove_leftovers()
    forget_failures(folder, keys.values())
    part_metrics(folder)
    put_aside(prepared, folder, keys, {form.key: key for key, form in shorter.items()})
    write_json(folder.manifest, manifest)
    write_json(folder.plan, json.loads(prepared.plan.to_json()))
    join_metrics(folder, keys.values())


def _is_same(folder: RunFolder, manifest: Mapping[str, Any]) -> bool:
    """Whether the folder's run trains the same nodes."""
    earlier = folder.read_manifest()
    return earlier is not None and all(earlier.get(name) == manifest[name] for name in ("nodes", "setting"))


def _flops(prepared: Prepared, folder: RunFolder, found: Survey) -> dict[str, Any] | None:
    """The FLOPs of an update, counted unless the folder's last run has done so."""
    assert found.probe.model is not None
    earlier = earlier_flops(prepared, folder.read_manifest())
    return flops_of_run(prepared, found.probe.model, found.layers) if earlier is None else earlier


def _train(
    run: OpenRun,
    membership: Membership,
    saved: LastSaved,
    manifest: dict[str, Any],
    forecast: Forecast,
    rows: Sequence[PhaseRow],
    shorter: Mapping[str, Shorter],
) -> Trained:
    prepared, folder = run.prepared, run.folder
    stop = StopRequest()
    console = ConsoleProgress(prepared.request.progress, forecast, prepared.data.sizes)
    refreshed = UpToDate(folder, run.keys.values())
    place = workers(run, shorter, stop, (saved, console), refreshed)
    lengths = {prepared.plan.phases[row.index].id: row.updates for row in rows}
    ready = ReadyQueue(prepared.plan, None if place.executor.is_here else lengths)
    runner = Runner(run, place.tracker, console, place.executor, ready, should_stop=stop, refresh=refreshed.refresh)
    try:
        with stop.listening():
            results = runner.run()
    except Stopped:
        number = stop.signal or signal.SIGTERM  # which another process may have got
        where = saved.path or folder.checkpoints
        print(f"stopped; the progress is in {where}; run the same command again to continue", file=sys.stderr)
        report_or_say_why(folder)
        raise Interrupted(number) from None
    finally:
        place.close()
        join_metrics(folder, run.keys.values())
    with membership.alone():
        return _finished(run, runner, manifest, results)


def _finished(run: OpenRun, runner: Runner, manifest: Mapping[str, Any], results: list[NodeResult]) -> Trained:
    """Writes the last weights, the results and the report; raises the error of phases that failed after it."""
    prepared, folder = run.prepared, run.folder
    runner.mark_skipped()
    weights = runner.write_line_ends()
    failure = runner.failure()
    if failure is None:
        if prepared.request.keeps_predictions:
            keep_predictions(prepared, folder, run.keys)
        write_json(folder.manifest, {**manifest, "finished": True})
    answer = read_results(folder.root)
    write_text(folder.results, answer.to_json())
    report_or_say_why(folder, answer)
    if failure is not None:
        raise failure
    return Trained(folder, results, weights, answer)
