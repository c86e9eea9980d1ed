"""`dsd-run` trains a model by a schedule and writes a run folder.

Exit codes: 0 done, 1 the schedule or the run failed, 2 usage error, 130 and 143 stopped by Ctrl-C and SIGTERM.
"""

from __future__ import annotations

import argparse
import atexit
import gc
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from dsd_lang import ScheduleError
from dsd_lang.base.bundled import schedule_path
from dsd_lang.base.command_parser import CommandParser
from dsd_lang.base.errors import DsdError
from dsd_lang.base.streams import guarded
from dsd_runtime.experiment.executors.starting import can_fork, forked
from dsd_runtime.experiment.folder import RunFolder, default_folder
from dsd_runtime.experiment.launched import is_one_of_several, is_silent, require_launched
from dsd_runtime.experiment.quiet_threads import quiet_threads
from dsd_runtime.experiment.request import Request, ResolvedRequest, resolve

PROGRAM = "dsd-run"
_RUN_EXTRA = "pip install 'dsd-lang[run]'"
_EPILOGUE = """exit status: 0 done, 1 the schedule or the run failed, 2 wrong usage, 130 or 143 interrupted, terminated.
For every setting, the command line overrides the schedule's `set`, which overrides the model's preset."""


def build_parser(kind: type[CommandParser] = CommandParser) -> CommandParser:
    """The command line, which `dsd_runtime.run` takes as keyword arguments; a test freezes its flags."""
    parser = kind(
        prog=PROGRAM,
        description="Train a model by a schedule.",
        epilog=_EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "schedule", metavar="SCHEDULE", nargs="?", help="the .dsd file, or a bundled one by name: quickstart"
    )
    _add_what(parser)
    _add_how(parser)
    _add_who(parser)
    _add_together(parser)
    _add_where(parser)
    parser.add_argument("--version", action="version", version=_version(), help="print the version and exit")
    return parser


def _add_what(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model and data")
    group.add_argument(
        "--model",
        metavar="NAME",
        help="ds2, resnet20:width=8, torchvision:NAME, package.module:factory; --list-models lists them",
    )
    group.add_argument(
        "--data",
        metavar="NAME[:PATH]",
        help="digits, spoken, manifest:PATH, package.module:factory, ...; --list-data lists them",
    )
    group.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="settings",
                       help="a setting such as lr=1e-3, batch=32; overrides `set`; may be repeated")  # fmt: skip
    group.add_argument("--seed", type=int, metavar="N", help="seed of all random numbers (default 0)")
    group.add_argument("--scale", default="1", metavar="X", help="multiply every length, for smoke runs")
    group.add_argument("--list-models", action="store_true", help="print the models with their options, and exit")
    group.add_argument("--list-data", action="store_true", help="print the data sets with their options, and exit")


def _add_how(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("device and precision")
    group.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="auto: CUDA if there is a GPU")
    group.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="CPU threads; default: 1 or all, chosen by the work of an update and printed",
    )
    group.add_argument("--precision", choices=("fp32", "bf16", "fp16"), help="default fp32; the others use autocast")
    group.add_argument("--compile", action="store_true", dest="is_compiled", help="torch.compile the model")
    group.add_argument("--workers", type=int, default=0, metavar="N", help="processes that load data ahead (default 0)")


def _add_who(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("several phases at once").add_mutually_exclusive_group()
    group.add_argument("--jobs", type=int, default=1, metavar="N", help="processes of this machine (default 1)")
    group.add_argument("--ray", metavar="ADDRESS", help="a Ray cluster, or `local`; needs the extra `ray`")
    group.add_argument(
        "--slurm",
        metavar="OPTIONS",
        help="a Slurm cluster, with options such as partition=gpu,time=60, or `local`; needs the extra `slurm`",
    )


def _add_together(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("several processes on each phase (torchrun --nproc-per-node N -m dsd_runtime)")
    group.add_argument("--shard", action="store_true", dest="is_sharded",
                       help="each process keeps a share of the weights (FSDP2); default: all (DDP)")  # fmt: skip
    group.add_argument(
        "--sync-batchnorm",
        action="store_true",
        dest="syncs_batch_norm",
        help="batch norm over the samples of all processes; default: over those of each",
    )


def _add_where(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("run folder and output")
    group.add_argument("--out", type=Path, metavar="FOLDER", help="the run folder (default runs/SCHEDULE-MODEL)")
    mode = group.add_mutually_exclusive_group()
    mode.add_argument("--resume", action="store_const", const="resume", dest="mode", default="auto",
                      help="continue the earlier run, or fail if trained phases have changed")  # fmt: skip
    mode.add_argument(
        "--fresh", action="store_const", const="fresh", dest="mode", help="delete what the folder contains"
    )
    group.add_argument("--save-every", type=float, default=60.0, metavar="SECONDS",
                       help="seconds between two checkpoints within a phase (default 60)")  # fmt: skip
    group.add_argument("--evaluate", type=Path, metavar="FOLDER",
                       help="instead of training, evaluate the trained model of that run folder")  # fmt: skip
    group.add_argument("--dry-run", action="store_true", dest="is_dry", help="show what would be trained, and stop")
    group.add_argument("--progress", default="auto", choices=("auto", "plain", "none"),
                       help="auto: a live line on a terminal, otherwise a plain line now and then")  # fmt: skip
    group.add_argument(
        "--write-layers", type=Path, metavar="FILE", help="write the model's layers for dsd-lint --layers"
    )
    group.add_argument(
        "--trust-schedule", action="store_true", dest="trusts_schedule", help="run Python code that the schedule names"
    )
    group.add_argument(
        "--no-predictions", action="store_false", dest="keeps_predictions",
        help="do not keep what compared models predict on the test data",
    )  # fmt: skip
    group.add_argument("--json", action="store_true", dest="as_json", help="print the result as JSON")


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"dsd-run {version('dsd-lang')}"
    except PackageNotFoundError:
        return "dsd-run (not installed)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    return guarded(PROGRAM, lambda: _main(arguments))


def _main(arguments: Sequence[str] | None) -> int:
    parser = build_parser()
    parsed = parser.parse_args(arguments)
    if is_one_of_several():
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # before torch is loaded; DDP warns in every process
    if is_silent() and (parsed.list_models or parsed.list_data or parsed.evaluate is not None):
        return 0
    if parsed.list_models or parsed.list_data:
        return _print_lists(models=parsed.list_models, data=parsed.list_data)
    if parsed.evaluate is not None:
        return _evaluate(parsed)
    if parsed.schedule is None:
        parser.error("the following arguments are required: SCHEDULE")
    try:
        request = request_of(parsed, schedule_path(parsed.schedule))
        require_launched(request)
        resolved = resolve(request)  # finds all mistakes that can be found before torch is loaded
    except ScheduleError as error:
        return _fail(error, 1)
    except DsdError as error:
        return _fail(error, 2)
    if arguments is None:
        atexit.register(gc.freeze)  # not to look for cycles at the end, which takes longer than a small report
    count = _first_workers(request, resolved) if can_fork() else 0
    if "torch" not in sys.modules:
        os.environ.update(quiet_threads(os.environ, is_alone=not request.is_shared))
    try:
        from dsd_runtime.experiment.command import execute
    except ModuleNotFoundError as error:
        return _fail(missing_package(error), 2)
    with forked(count) if count else nullcontext():
        return execute(request, resolved, command=sys.argv if arguments is None else ["dsd-run", *arguments])


def _first_workers(request: Request, resolved: ResolvedRequest) -> int:
    """The workers that are certainly needed: none where all phases seem to be trained."""
    if request.jobs < 2 or request.is_dry:
        return 0
    folder = RunFolder(request.out or default_folder(request.schedule, resolved.model_name))
    try:
        manifest = folder.read_manifest()
    except DsdError:  # it is told when the folder is used
        manifest = None
    return 0 if manifest is not None and manifest.get("finished") and request.mode != "fresh" else request.jobs


def request_of(parsed: argparse.Namespace, schedule: Path) -> Request:
    """The request of a parsed command line; raises :class:`DsdError` for a setting that is none."""
    settings: dict[str, str] = {}
    for item in parsed.settings:
        name, equals, value = item.partition("=")
        if not equals or not name.strip():
            raise DsdError(f"`--set {item}` is not KEY=VALUE", help="write for instance `--set lr=1e-3`")
        settings[name.strip()] = value.strip()
    return Request(
        schedule=schedule,
        model=parsed.model,
        data=parsed.data,
        out=parsed.out,
        device=parsed.device,
        precision=parsed.precision,
        is_compiled=parsed.is_compiled,
        seed=parsed.seed,
        settings=settings,
        scale=parsed.scale,
        mode=parsed.mode,
        is_dry=parsed.is_dry,
        workers=parsed.workers,
        progress=parsed.progress,
        as_json=parsed.as_json,
        save_every_seconds=parsed.save_every,
        write_layers=parsed.write_layers,
        trusts_schedule=parsed.trusts_schedule,
        keeps_predictions=parsed.keeps_predictions,
        threads=parsed.threads,
        jobs=parsed.jobs,
        ray=parsed.ray,
        slurm=parsed.slurm,
        is_sharded=parsed.is_sharded,
        syncs_batch_norm=parsed.syncs_batch_norm,
    )


def _print_lists(*, models: bool, data: bool) -> int:
    from dsd_runtime.experiment.lists import data_text, models_text

    if models:
        print(models_text(), end="")
    if models and data:
        print()
    if data:
        try:
            print(data_text(), end="")
        except ModuleNotFoundError as error:
            return _fail(missing_package(error), 2)
    return 0


def missing_package(error: ModuleNotFoundError) -> DsdError:
    """A package of the extra `run` is not installed."""
    return DsdError(f"`dsd-run` needs `{error.name}`, which is not installed", help=f"run: {_RUN_EXTRA}")


def _evaluate(parsed: argparse.Namespace) -> int:
    if parsed.schedule is not None:
        return _fail(DsdError("`--evaluate FOLDER` takes no schedule", help="leave the schedule out"), 2)
    try:
        from dsd_runtime.experiment.evaluation import EvaluationRequest, execute_evaluation
    except ModuleNotFoundError as error:
        return _fail(missing_package(error), 2)
    return execute_evaluation(
        EvaluationRequest(
            folder=parsed.evaluate,
            model=parsed.model,
            data=parsed.data,
            device=parsed.device,
            precision=parsed.precision,
            workers=parsed.workers,
            as_json=parsed.as_json,
            trusts_folder=parsed.trusts_schedule,
        )
    )


def _fail(error: DsdError, code: int) -> int:
    if not is_silent():
        print(f"error: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
