"""`dsd-lint [PATHS|-]`: schedules in, findings out. Exit 0 clean, 1 findings, 2 bad usage or a failure of the tool."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

from dsd_lang.cli.command import Tool, run_tool
from dsd_lang.cli.flags import Flag, Given
from dsd_lang.cli.options import read_source, selected_codes, write_output
from dsd_lang.diagnostics import Diagnostic
from dsd_lang.errors import DsdError
from dsd_lang.layers import LayerInfo
from dsd_lang.report import FORMATS, CheckedFile, render, summary
from dsd_lang.source import Source

PROGRAM = "dsd-lint"
EPILOGUE = """exit status: 0 nothing found, 1 something found, 2 bad usage or a failure of the tool.
A finding is silenced by `# dsd: ignore[DSD303]` at the end of its line or alone on the line above."""
FLAGS = (
    Flag("--output-format", f"one of {', '.join(FORMATS)} (default: full; env DSD_OUTPUT_FORMAT)", "FORMAT"),
    Flag("--output-file", "write the findings to FILE", "FILE"),
    Flag("--color", "auto, always or never (default: auto)", "WHEN", ("auto", "always", "never")),
    Flag("--exit-zero", "exit with 0 whatever is found"),
    Flag("--model", "check selectors against the layers of a model, such as `ds2`", "NAME"),
    Flag("--layers", "check selectors against the layers in a JSON file", "FILE"),
    Flag("--stdin-filename", "the name to show for `-`", "NAME"),
    Flag("--select", "only these rules: codes, beginnings of codes, names, or ALL", "RULES", repeats=True),
    Flag("--extend-select", "these rules as well", "RULES", repeats=True),
    Flag("--ignore", "not these rules", "RULES", repeats=True),
    Flag("--version", "print the version and exit"),
    Flag("--help", "print this page and exit"),
)
TOOL = Tool(
    PROGRAM,
    f"{PROGRAM} [options] [PATH ...]   (`-` is stdin; without a path, the folder here)",
    "Check .dsd schedules.",
    FLAGS,
    EPILOGUE,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The tool; returns its exit status."""
    gc.disable()  # a short run makes no garbage worth collecting, and a large schedule is many small tuples
    return run_tool(TOOL, run, arguments)


def run(options: Given) -> int:
    """Everything after the command line is read."""
    selected = selected_codes(
        options.values.get("--select"), options.values.get("--ignore", []), options.values.get("--extend-select", [])
    )
    layers = _layers(options)
    format = _format(options)
    files = [
        check(path, _shown_name(path, options), selected=selected, layers=layers) for path in _paths(options.words)
    ]
    output_file = options.last("--output-file")
    is_terminal = output_file is None and sys.stdout.isatty()
    text = render(files, format, is_coloured=_wants_colour(options, is_terminal=is_terminal))
    write_output(text, output_file)
    if format != "json":
        write_output(summary(files), None)
    has_findings = any(file.diagnostics for file in files)
    return 1 if has_findings and not options.has("--exit-zero") else 0


def check(
    path: str, name: str, *, selected: frozenset[str], layers: tuple[LayerInfo, ...] | None = None
) -> CheckedFile:
    """One file read and all its findings, those left out that nobody asked for."""
    text, found = read_source(path)
    findings = [*found, *check_text(text, selected=selected, layers=layers)]
    places = {finding.span.start for finding in found}
    kept = [finding for finding in findings if finding in found or finding.span.start not in places]
    return CheckedFile(name, Source(text), tuple(kept))


def check_text(
    text: str, *, selected: frozenset[str], layers: tuple[LayerInfo, ...] | None = None
) -> tuple[Diagnostic, ...]:
    """The selected findings of a text, suppressions applied, in source order."""
    from dsd_lang.analysis import analyse

    analysis = analyse(text, layers=layers)
    kept = [finding for finding in analysis.diagnostics if finding.code in selected]
    if "dsd:" in text:
        from dsd_lang.suppressions import apply_suppressions

        return apply_suppressions(Source(text), analysis.program.comments, kept, selected=selected)
    return tuple(kept)


def _paths(paths: Sequence[str]) -> list[str]:
    from dsd_lang.project import find_schedules

    if "-" in paths:
        if len(paths) > 1:
            raise DsdError("`-` (stdin) cannot be mixed with other paths")
        return ["-"]
    found = find_schedules(paths or ["."])
    if not found:
        sys.stderr.write(f"{PROGRAM}: no `*.dsd` files under {', '.join(f'`{path}`' for path in paths or ['.'])}\n")
    return found


def _shown_name(path: str, options: Given) -> str:
    return options.last("--stdin-filename") or "<stdin>" if path == "-" else path


def _format(options: Given) -> str:
    chosen: str = options.last("--output-format") or os.environ.get("DSD_OUTPUT_FORMAT") or "full"
    if chosen not in FORMATS:
        raise DsdError(f"there is no output format `{chosen}`", help=f"the formats are {', '.join(FORMATS)}")
    return chosen


def _wants_colour(options: Given, *, is_terminal: bool) -> bool:
    from dsd_lang.report.colour import wants_colour

    return wants_colour(options.last("--color") or "auto", os.environ, is_terminal=is_terminal)


def _layers(options: Given) -> tuple[LayerInfo, ...] | None:
    path, model = options.last("--layers"), options.last("--model")
    if path is not None and model is not None:
        raise DsdError("`--layers` and `--model` both say what the model's layers are: give one of them")
    if path is not None:
        from dsd_lang.layers_file import read_layers

        return read_layers(path)
    if model is None:
        return None
    from dsd_lang.cli.installed import model_layers

    return model_layers(model)


if __name__ == "__main__":
    sys.exit(main())
