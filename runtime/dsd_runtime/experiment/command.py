"""A request in, an exit code out: prepare, show, train, say how it ended."""

from __future__ import annotations

import dataclasses
import json
import shutil
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
from dsd_lang.errors import DsdError
from dsd_lang.plan import Plan, meaning
from dsd_lang.plan_table import aligned
from dsd_runtime.checkpoint import remove_leftovers, write_json
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.keys import Setting, node_keys
from dsd_runtime.experiment.manifest import build_manifest
from dsd_runtime.experiment.runner import NodeResult, Runner
from dsd_runtime.experiment.setup import Prepared, Request, prepare
from dsd_runtime.experiment.summary import estimate_cost, format_rows, phase_rows
from dsd_runtime.layers import inventory
from dsd_runtime.support import require_supported, unsupported
from dsd_runtime.tracking.console import ConsoleProgress, LastSaved, phase_name, shown_metrics
from dsd_runtime.tracking.jsonl import MetricsFile
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
        print("stopping at the next update ...", file=sys.stderr, flush=True)

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
    saved = LastSaved()
    try:
        return _run(prepared, model, saved, command)
    except DsdError as error:
        return _say(error, 1, saved.path)
    except torch.OutOfMemoryError:
        text = "the device is out of memory"
        return _say(DsdError(text, help="use a smaller `--set batch=...` or `--precision bf16`"), 1, saved.path)
    except MemoryError:
        return _say(DsdError("the machine is out of memory", help="use a smaller `--set batch=...`"), 1, saved.path)
    except KeyboardInterrupt:
        return _say(
            DsdError("stopped at once", help="the same command goes on from the last checkpoint"), 130, saved.path
        )


def _run(prepared: Prepared, model: nn.Module, saved: LastSaved, command: Sequence[str]) -> int:
    request = prepared.request
    require_supported(prepared.plan)
    folder = RunFolder(request.out or default_folder(prepared))
    keys = node_keys(prepared.plan, prepared.setting)
    if request.write_layers is not None:
        _write_layers(request.write_layers, model)
    if request.mode == "fresh" and not request.is_dry:
        with folder.locked():
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
        manifest = build_manifest(prepared, command)
        write_json(folder.manifest, manifest)
        write_json(folder.plan, json.loads(prepared.plan.to_json()))
        return _train(prepared, folder, saved, manifest, cost.updates_left)


def _train(prepared: Prepared, folder: RunFolder, saved: LastSaved, manifest: dict[str, Any], updates: int) -> int:
    from dsd_runtime.tracking.tensorboard import TensorBoard

    stop = StopRequest()
    console = ConsoleProgress(prepared.request.progress, updates)
    hyper_parameters = {name: str(manifest[name]) for name in ("model", "data", "seed", "scale", "plan_hash")}
    board = TensorBoard(folder.events, prepared.plan, hyper_parameters)
    tracker = Tracker((saved, MetricsFile(folder.metrics), board, console))
    try:
        with stop.listening():
            results = Runner(prepared, folder, tracker, should_stop=stop).run()
    except Stopped:
        assert stop.signal is not None
        print(f"stopped; the progress is in {saved.path}; the same command goes on", file=sys.stderr)
        return 128 + stop.signal
    finally:
        tracker.close()
    write_json(folder.manifest, {**manifest, "finished": True})
    _print_results(prepared, folder, results)
    return 0


def default_folder(prepared: Prepared) -> Path:
    """`runs/SCHEDULE-MODEL`, with the model's options made fit for a file name."""
    model = "".join(char if char.isalnum() or char in "._-" else "-" for char in prepared.model_name)
    return Path("runs") / f"{prepared.request.schedule.stem}-{model}"


def _clear(folder: RunFolder) -> None:
    """Deletes what a run writes, and nothing else that lies in the folder."""
    for path in (folder.checkpoints, folder.events, folder.root / "branches"):
        shutil.rmtree(path, ignore_errors=True)
    for path in (folder.plan, folder.manifest, folder.metrics, folder.final):
        path.unlink(missing_ok=True)


def _compare_with_earlier(prepared: Prepared, folder: RunFolder, keys: dict[str, str]) -> list[str]:
    """What changed since the folder's last run, in lines; an error with `--resume` when trained phases changed."""
    manifest = folder.read_manifest()
    is_resume = prepared.request.mode == "resume"
    if manifest is None or not folder.plan.is_file():
        if is_resume:
            raise DsdError(f"there is no run to resume in `{folder.root}`", help="leave `--resume` out to start one")
        return []
    before = Plan.from_json(folder.plan.read_text(encoding="utf-8"))
    old_keys = node_keys(before, Setting(**manifest["setting"]))
    lost = [
        phase
        for phase in before.phases
        if folder.state(old_keys[phase.id]) != "to train" and old_keys[phase.id] not in keys.values()
    ]
    if not lost:
        return []
    text = _first_difference(prepared, before, manifest)
    if is_resume:
        raise DsdError(text, help="undo the change, or leave `--resume` out: only what it touches is trained again")
    return [f"{text}; {len(lost)} trained phases of the earlier run stay in the folder, unused"]


def _first_difference(prepared: Prepared, before: Plan, manifest: dict[str, Any]) -> str:
    setting = dataclasses.asdict(prepared.setting)
    for name, value in setting.items():
        if manifest["setting"].get(name) != value:
            return f"`{name}` was {manifest['setting'].get(name)} in this folder's run and is {value} now"
    now = prepared.plan
    places = [{phase.id: index for index, phase in enumerate(plan.phases)} for plan in (before, now)]
    for old, new in zip(before.phases, now.phases, strict=False):
        then, today = meaning(old, places[0]), meaning(new, places[1])
        for key in sorted(set(then) | set(today)):
            if then.get(key) != today.get(key):
                return f"phase `{phase_name(new)}` had `{key}` = {then.get(key)} and now has {today.get(key)}"
    return f"the schedule had {len(before.phases)} phases and now has {len(now.phases)}"


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


def _print_results(prepared: Prepared, folder: RunFolder, results: list[NodeResult]) -> None:
    if prepared.request.as_json:
        phases = [
            {"id": result.phase.id, "path": result.phase.path, "label": result.phase.label, "node": result.key,
             "state": result.state, "metrics": result.metrics}
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
    weights = [
        path for path in (folder.final, *sorted((folder.root / "branches").glob("*.safetensors"))) if path.is_file()
    ]
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
