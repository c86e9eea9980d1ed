"""A request in, an exit code out: prepare, show, train, say how it ended."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn

from dsd_lang import ScheduleError
from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Plan, meaning
from dsd_lang.views.table import aligned
from dsd_runtime.engine.layers import inventory
from dsd_runtime.engine.support import require_supported, unsupported
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.keys import Setting, node_keys
from dsd_runtime.experiment.manifest import build_manifest
from dsd_runtime.experiment.runner import NodeResult, Runner
from dsd_runtime.experiment.setup import Prepared, Request, prepare
from dsd_runtime.experiment.summary import estimate_cost, format_rows, phase_rows
from dsd_runtime.storage.durable import remove, remove_leftovers, write_failure, write_json
from dsd_runtime.tracking.console import ConsoleProgress, LastSaved, phase_name, shown_metrics
from dsd_runtime.tracking.jsonl import MetricsFile, finite_or_none
from dsd_runtime.tracking.tracker import Tracker
from dsd_runtime.training.loop import Stopped


class StopRequest:
    """Set by Ctrl-C or SIGTERM; the run ends at the next update. A second Ctrl-C ends it at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def __call__(self) -> bool:
        return self.signal is not None

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
        os.write(2, b"stopping at the next update ...\n")  # print() may have been interrupted in the middle of itself

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handles the two signals while the block runs."""
        before = {number: signal.signal(number, self._receive) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def execute(request: Request, *, command: Sequence[str]) -> int:
    """Runs a request to its end and returns the exit code; user mistakes and failures are one sentence on stderr."""
    try:
        prepared = prepare(request)
        model = prepared.build()
    except ScheduleError as error:
        return _say(error, 1)
    except DsdError as error:
        return _say(error, 2)
    except KeyboardInterrupt:
        return _say(DsdError("stopped before anything was trained"), 130)
    saved = LastSaved()
    try:
        return _run(prepared, model, saved, command)
    except KeyboardInterrupt:
        stopped = DsdError("stopped at once", help="the same command goes on from the last checkpoint")
        return _say(stopped, 130, saved.path)
    except (DsdError, OSError, MemoryError, RuntimeError) as error:
        failure = _failure(error)
        if failure is None:
            raise
        return _say(failure, 1, saved.path)


def _failure(error: Exception) -> DsdError | None:
    """A failure of the machine as a sentence; None for a bug, which is better told by its traceback."""
    if isinstance(error, DsdError):
        return error
    if isinstance(error, torch.OutOfMemoryError):
        return DsdError("the device is out of memory", help="use a smaller `--set batch=...` or `--precision bf16`")
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return DsdError("the machine is out of memory", help="use a smaller `--set batch=...`")
    if isinstance(error, OSError):
        place = Path(error.filename or "a file of the run")
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return write_failure(place, error)
        return DsdError(f"`{place}` cannot be used: {error.strerror or error}")
    return None


def _run(prepared: Prepared, model: nn.Module, saved: LastSaved, command: Sequence[str]) -> int:
    request = prepared.request
    if not prepared.plan.phases:
        raise DsdError(f"`{request.schedule}` has no phase", help="write for instance `dense 10ep`")
    require_supported(prepared.plan)
    folder = RunFolder(request.out or default_folder(prepared))
    keys = node_keys(prepared.plan, prepared.setting)
    if request.write_layers is not None:
        _write_layers(request.write_layers, model)
    if request.mode == "fresh" and not request.is_dry:
        with folder.locked():
            remove_leftovers(folder.root)
            _clear(folder)
    earlier = _compare_with_earlier(prepared, folder, keys)
    rows = phase_rows(prepared, model, folder, keys)
    cost = estimate_cost(prepared, model, rows)
    if not (request.as_json and request.is_dry):
        _print_head(prepared, folder, model, [format_rows(rows), str(cost), *earlier])
    if request.is_dry:
        if request.as_json:
            table = [dataclasses.asdict(row) for row in rows]
            print(json.dumps({"phases": table, "cost": dataclasses.asdict(cost), "plan_hash": prepared.plan.hash}))
        return 0
    with folder.locked():
        remove_leftovers(folder.root)
        manifest = build_manifest(prepared, keys, command)
        write_json(folder.manifest, manifest)
        write_json(folder.plan, json.loads(prepared.plan.to_json()))
        return _train(prepared, folder, saved, manifest, cost.updates_left)


def _train(prepared: Prepared, folder: RunFolder, saved: LastSaved, manifest: dict[str, Any], updates: int) -> int:
    from dsd_runtime.tracking.tensorboard import TensorBoard

    stop = StopRequest()
    hyper_parameters = {name: str(manifest[name]) for name in ("model", "data", "seed", "scale", "plan_hash")}
    board = TensorBoard(folder.events, prepared.plan, hyper_parameters)
    metrics = MetricsFile(folder.metrics)
    tracker = Tracker((saved, metrics, board, ConsoleProgress(prepared.request.progress, updates)))
    try:
        runner = Runner(prepared, folder, tracker, should_stop=stop)
        with stop.listening():
            results = runner.run()
        weights = runner.write_line_ends()
    except Stopped:
        assert stop.signal is not None
        print(f"stopped; the progress is in {saved.path}; the same command goes on", file=sys.stderr)
        return 128 + stop.signal
    finally:
        tracker.close()
    write_json(folder.manifest, {**manifest, "finished": True})
    _print_results(prepared, folder, results, weights)
    return 0


def default_folder(prepared: Prepared) -> Path:
    """`runs/SCHEDULE-MODEL`, with the model's options made fit for a file name."""
    model = "".join(char if char.isalnum() or char in "._-" else "-" for char in prepared.model_name)
    return Path("runs") / f"{prepared.request.schedule.stem}-{model}"


def _clear(folder: RunFolder) -> None:
    """Deletes what a run writes, and nothing else that lies in the folder."""
    written = (folder.checkpoints, folder.events, folder.plan, folder.manifest, folder.metrics, *folder.line_ends())
    for path in written:
        remove(path)


def _compare_with_earlier(prepared: Prepared, folder: RunFolder, keys: dict[str, str]) -> list[str]:
    """What changed since the folder's last run, in lines; an error with `--resume` when trained phases changed."""
    manifest = folder.read_manifest()
    is_resume = prepared.request.mode == "resume"
    if manifest is None or not folder.plan.is_file():
        if is_resume:
            raise DsdError(f"there is no run to resume in `{folder.root}`", help="leave `--resume` out to start one")
        return []
    earlier = dict.fromkeys(manifest.get("nodes", {}).values())
    lost = [key for key in earlier if folder.state(key) != "to train" and key not in keys.values()]
    if not lost:
        return []
    text = _first_difference(prepared, folder, manifest)
    if is_resume:
        raise DsdError(text, help="undo the change, or leave `--resume` out: only what it touches is trained again")
    return [f"{text}; {len(lost)} trained phases of the earlier run stay in the folder, unused"]


def _first_difference(prepared: Prepared, folder: RunFolder, manifest: dict[str, Any]) -> str:
    earlier = dataclasses.asdict(Setting.of_manifest(manifest))
    for name, value in dataclasses.asdict(prepared.setting).items():
        if earlier[name] != value:
            return f"`{name}` was {earlier[name]} in this folder's run and is {value} now"
    before, now = Plan.from_json(folder.plan.read_text(encoding="utf-8")), prepared.plan
    places = [{phase.id: index for index, phase in enumerate(plan.phases)} for plan in (before, now)]
    for old, new in zip(before.phases, now.phases, strict=False):
        then, today = meaning(old, places[0]), meaning(new, places[1])
        for key in sorted(set(then) | set(today)):
            if then.get(key) != today.get(key):
                return f"phase `{phase_name(new)}` had `{key}` = {then.get(key)} and now has {today.get(key)}"
    if len(before.phases) != len(now.phases):
        return f"the schedule had {len(before.phases)} phases and now has {len(now.phases)}"
    return "what the schedule refers to (a file, another phase) has changed"


def _print_head(prepared: Prepared, folder: RunFolder, model: nn.Module, lines: list[str]) -> None:
    num_parameters = sum(value.numel() for value in model.parameters())
    sizes = ", ".join(f"{count} {split}" for split, count in prepared.data.sizes.items())
    stream = sys.stderr if prepared.request.as_json else sys.stdout
    print(f"model   {prepared.model_name}, {num_parameters:,} parameters", file=stream)
    print(f"data    {prepared.data_spec} ({sizes})", file=stream)
    print(
        f"run     {folder.root}, {prepared.precision.device.type}, {prepared.precision.name}, seed {prepared.seed}"
        + (f", every length x {prepared.request.scale}" if prepared.request.scale != "1" else ""),
        file=stream,
    )
    print("", *lines, "", sep="\n", file=stream)
    for item in unsupported(prepared.plan):
        print(f"note: {item}; the phases are trained, this is left out", file=sys.stderr)


def _print_results(prepared: Prepared, folder: RunFolder, results: list[NodeResult], weights: Sequence[Path]) -> None:
    if prepared.request.as_json:
        phases = [
            {"id": result.phase.id, "path": result.phase.path, "label": result.phase.label, "node": result.key,
             "state": result.state, "metrics": finite_or_none(result.metrics)}
            for result in results
        ]  # fmt: skip
        print(json.dumps({"run": str(folder.root), "plan_hash": prepared.plan.hash, "phases": phases}))
        return
    scale = prepared.request.scale
    print("\nat the end of each phase" + (f" (every length x {scale})" if scale != "1" else ""))
    names = list(dict.fromkeys(name for result in results for name in shown_metrics(result.metrics)))
    rows = [
        [phase_name(result.phase), result.state, *(_cell(result.metrics.get(name)) for name in names)]
        for result in results
    ]
    print(aligned(["phase", "state", *names], rows), end="")
    print("\nweights: " + ", ".join(str(path) for path in weights))


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _write_layers(path: Path, model: nn.Module) -> None:
    layers = [dataclasses.asdict(layer) for layer in inventory(model)]
    write_json(path, {"layers": layers})


def _say(error: DsdError, code: int, saved: Path | None = None) -> int:
    print(f"error: {error}", file=sys.stderr)
    if saved is not None:
        print(f"  = saved: {saved}; the same command goes on from there", file=sys.stderr)
    return code
