"""`dsd-run`: a schedule, a model and data in; a run folder with a trained model out.

Exit codes: 0 done, 1 the schedule or the run failed, 2 wrong usage, 130 and 143 stopped by Ctrl-C and SIGTERM.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dsd_lang.base.errors import DsdError, internal_error_text
from dsd_lang.base.streams import drop_streams, flush_output, is_lost_output, lost_output, open_streams, say, say_error

_RUN_EXTRA = "pip install 'dsd-lang[run]'"
_EPILOGUE = "exit status: 0 done, 1 the schedule or the run failed, 2 wrong usage, 130 or 143 interrupted, terminated."


def build_parser() -> argparse.ArgumentParser:
    """The command line; a frozen test holds its flags."""
    parser = argparse.ArgumentParser(prog="dsd-run", description="Train a model by a schedule.", epilog=_EPILOGUE)
    parser.add_argument("schedule", type=Path, metavar="SCHEDULE", help="the .dsd file")
    parser.add_argument(
        "--model", metavar="NAME", help="ds2, resnet20:width=8, torchvision:NAME, package.module:factory"
    )
    parser.add_argument(
        "--data", metavar="NAME[:PATH]", help="digits, spoken, scenes, manifest:PATH, cifar10:PATH, ..."
    )
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="the run folder (default runs/SCHEDULE-MODEL)")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--precision", choices=("fp32", "bf16", "fp16"))
    parser.add_argument("--compile", action="store_true", dest="is_compiled", help="torch.compile the model")
    parser.add_argument("--seed", type=int, metavar="N")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="settings", help="wins over `set`"
    )
    parser.add_argument("--scale", default="1", metavar="X", help="multiply every length, for smoke runs")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--resume", action="store_const", const="resume", dest="mode", default="auto")
    mode.add_argument("--fresh", action="store_const", const="fresh", dest="mode", help="delete what the folder holds")
    parser.add_argument("--dry-run", action="store_true", dest="is_dry", help="show what would be trained, and stop")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes that load data ahead")
    parser.add_argument("--progress", default="auto", choices=("auto", "plain", "none"))
    parser.add_argument(
        "--save-every", type=float, default=60.0, metavar="SECONDS", help="between progress checkpoints"
    )
    parser.add_argument(
        "--write-layers", type=Path, metavar="FILE", help="write the model's layers for dsd-lint --layers"
    )
    parser.add_argument(
        "--trust-schedule", action="store_true", dest="trusts_schedule", help="run Python code that the schedule names"
    )
    parser.add_argument("--json", action="store_true", dest="as_json", help="print the result as JSON")
    parser.add_argument("--version", action="version", version=_version())
    return parser


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"dsd-run {version('dsd-lang')}"
    except PackageNotFoundError:
        return "dsd-run (not installed)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    open_streams()
    try:
        try:
            return _main(arguments)
        finally:
            flush_output()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        drop_streams()
        return 1
    except Exception as error:  # noqa: BLE001  (what is no DsdError is a bug, of ours or of the user's model)
        return _failed(error)


def _failed(error: Exception) -> int:
    if isinstance(error, OSError) and is_lost_output(error):
        error = lost_output(error, "stdout")
    if isinstance(error, DsdError):
        say_error(error, "dsd-run")
    else:
        say(internal_error_text("dsd-run", error))
    return 2


def _main(arguments: Sequence[str] | None) -> int:
    parsed = build_parser().parse_args(arguments)
    settings: dict[str, str] = {}
    for item in parsed.settings:
        name, equals, value = item.partition("=")
        if not equals or not name.strip():
            return _fail(DsdError(f"`--set {item}` is not KEY=VALUE", help="write for instance `--set lr=1e-3`"), 2)
        settings[name.strip()] = value.strip()
    try:
        from dsd_runtime.experiment.command import execute
        from dsd_runtime.experiment.setup import Request
    except ModuleNotFoundError as error:
        missing = DsdError(f"dsd-run needs `{error.name}`, which is not installed", help=f"run: {_RUN_EXTRA}")
        return _fail(missing, 2)
    request = Request(
        schedule=parsed.schedule,
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
    )
    return execute(request, command=sys.argv if arguments is None else ["dsd-run", *arguments])


def _fail(error: DsdError, code: int) -> int:
    print(f"error: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
