"""`dsd-lint [PATHS|-]` checks schedules. Exit 0 no problems, 1 diagnostics, 2 bad usage or a failure of the tool."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from dsd_lang.base.diagnostics import DOCS_URL, Diagnostic
from dsd_lang.base.errors import DsdError
from dsd_lang.base.layers import LayerInfo
from dsd_lang.base.source import SourceText
from dsd_lang.base.streams import write_bytes
from dsd_lang.cli.command import Tool, run_tool
from dsd_lang.cli.flags import Flag, Given
from dsd_lang.cli.options import (
    FoundFiles,
    is_coloured,
    read_source,
    read_stdin,
    say_problems,
    schedule_paths,
    write_output,
)
from dsd_lang.lint.checking import check_text
from dsd_lang.lint.codes import CodeChoice, codes_of, selected_codes
from dsd_lang.lint.configuration import Configuration, configuration_in, configuration_of
from dsd_lang.report import FOR_PEOPLE, FORMATS, CheckedFile, fixable, render, summary

PROGRAM = "dsd-lint"
EPILOGUE = """RULES are codes (DSD303), prefixes (DSD3), names (ends-sparse) or ALL, separated by commas.
PATH is a file, a folder, or the name of a bundled schedule (`quickstart`), which no fix changes.
`# dsd: ignore[DSD303]` at the end of a line, or alone on the line above, silences a warning or advice about the
statements there. Errors are always reported: no comment and no selection hides them.
[tool.dsd] (exclude, output-format, model, layers, docs-url) and [tool.dsd.lint] (select, extend-select, ignore,
per-file-ignores) in the closest pyproject.toml configure a project; the command line overrides them.
Exit status: 0 nothing found, 1 something found (with --diff: to fix), 2 bad usage or a failure of the tool."""
_RULES, _FIXES, _OUTPUT, _FILES, _MORE = "rules", "fixes", "output", "files and model", "more"
FLAGS = (
    Flag("--select", "only these rules", "RULES", repeats=True, group=_RULES),
    Flag("--extend-select", "also these rules", "RULES", repeats=True, group=_RULES),
    Flag("--ignore", "all but these rules", "RULES", repeats=True, group=_RULES),
    Flag("--explain", "print the page of a rule (code, name or `all`) and exit", "RULE", group=_RULES),
    Flag("--fix", "apply the fixes that do not change the plan (proven by its hash)", group=_FIXES),
    Flag("--unsafe-fixes", "also apply the fixes that are guesses; read the diff", group=_FIXES),
    Flag("--diff", "write nothing; print what the fixes would change, exit 1 if anything", group=_FIXES),
    Flag("--output-format", f"{', '.join(FORMATS)} (env DSD_OUTPUT_FORMAT)", "FORMAT", group=_OUTPUT),
    Flag("--output-file", "write the diagnostics to FILE", "FILE", group=_OUTPUT),
    Flag("--color", "auto, always or never; auto follows NO_COLOR and FORCE_COLOR", "WHEN",
         ("auto", "always", "never"), group=_OUTPUT),
    Flag("--quiet", "print the diagnostics and no summary", group=_OUTPUT),
    Flag("--exit-zero", "exit with 0 even if problems are found", group=_OUTPUT),
    Flag("--model", "check selectors against the layers of a model, such as `ds2`", "NAME", group=_FILES),
    Flag("--layers", "check selectors against the layers in a JSON file", "FILE", group=_FILES),
    Flag("--stdin-filename", "the path to show for `-`", "NAME", group=_FILES),
    Flag("--force-exclude", "skip excluded files even if they are given as paths", group=_FILES),
    Flag("--version", "print the version and exit", group=_MORE),
    Flag("--help", "print this page and exit", group=_MORE),
)  # fmt: skip
TOOL = Tool(
    PROGRAM,
    f"{PROGRAM} [options] [PATH ...]   (`-` is stdin; without a path, the folder here)",
    "Check .dsd schedules.",
    FLAGS,
    EPILOGUE,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The tool; returns its exit status."""
    return run_tool(TOOL, run, arguments)


def run(options: Given) -> int:
    """Runs the tool after the command line is parsed."""
    explained = options.last("--explain")
    if explained is not None:
        from dsd_lang.cli.explain import explain

        write_output(explain(explained), options.last("--output-file"))
        return 0
    project = _project(options)
    format = _format(options, project)
    jobs, problems = _jobs(options)
    if options.has("--fix") or options.has("--unsafe-fixes") or options.has("--diff"):
        from dsd_lang.cli.repair import repair_all

        status = repair_all(jobs, options, problems, lambda files, num_fixed, is_aside: _report(
            files, options, project, format, num_fixed=num_fixed, is_aside=is_aside
        ))  # fmt: skip
        return say_problems(problems, PROGRAM) or status
    files: list[CheckedFile] = []
    for path, name, selected, layers in jobs:
        try:
            files.append(check(path, name, selected=selected, layers=layers))
        except DsdError as problem:
            problems.append(problem)
    status = _report(files, options, project, format) if files or not problems or format not in FOR_PEOPLE else 2
    return say_problems(problems, PROGRAM) or status


def check(
    path: str, name: str, *, selected: frozenset[str], layers: tuple[LayerInfo, ...] | None = None
) -> CheckedFile:
    """Reads one file and returns its selected diagnostics."""
    text, unreadable = read_source(path)
    return CheckedFile(name, SourceText(text), diagnostics_of(text, unreadable, name, selected=selected, layers=layers))


def diagnostics_of(
    text: str,
    unreadable: Sequence[Diagnostic],
    name: str,
    *,
    selected: frozenset[str],
    layers: tuple[LayerInfo, ...] | None,
) -> tuple[Diagnostic, ...]:
    """The diagnostics of a text and of the bytes it was decoded from, at most one per position."""
    found = check_text(text, selected=selected, layers=layers, source=name)
    if not unreadable:
        return found
    starts = {diagnostic.span.start for diagnostic in unreadable}
    told = (diagnostic for diagnostic in unreadable if diagnostic.code in selected)
    return (*told, *(diagnostic for diagnostic in found if diagnostic.span.start not in starts))


def _jobs(options: Given) -> tuple[list[tuple[str, str, frozenset[str], tuple[LayerInfo, ...] | None]], list[DsdError]]:
    """For each file its path, displayed name, codes and the model's layers; and the paths that are not files."""
    choice = CodeChoice(
        codes_of(options.values["--select"], where="`--select`: ") if options.has("--select") else None,
        codes_of(options.values.get("--extend-select", []), where="`--extend-select`: "),
        codes_of(options.values.get("--ignore", []), where="`--ignore`: "),
    )
    inventories: dict[tuple[str, str], tuple[LayerInfo, ...] | None] = {}
    jobs: list[tuple[str, str, frozenset[str], tuple[LayerInfo, ...] | None]] = []
    found = _paths(options)
    for path in found.paths:
        source_path = options.last("--stdin-filename") or path if path == "-" else path
        source = _layers_named(options, configuration_of(source_path))
        if source not in inventories:
            inventories[source] = _layers(*source)
        shown = "<stdin>" if source_path == "-" else source_path
        jobs.append((path, shown, selected_codes(source_path, choice), inventories[source]))
    return jobs, found.problems


def _paths(options: Given) -> FoundFiles:
    is_forced = options.has("--force-exclude")
    found = schedule_paths(
        options.words, program=PROGRAM, excludes_all=is_forced, knows_bundled=not _writes_fixes(options)
    )
    name = options.last("--stdin-filename")
    if found.paths == ["-"] and is_forced and name is not None:
        from dsd_lang.lint.project import is_excluded

        if is_excluded(name):
            if options.has("--fix") or options.has("--unsafe-fixes"):  # the text of stdin is passed on
                write_bytes(read_stdin())
            return FoundFiles([], [])
    return found


def _writes_fixes(options: Given) -> bool:
    return not options.has("--diff") and (options.has("--fix") or options.has("--unsafe-fixes"))


def _project(options: Given) -> Configuration:
    """The configuration of the first path, for messages about the run as a whole."""
    path = options.words[0] if options.words else "."
    if path == "-":
        path = options.last("--stdin-filename") or path
    return configuration_in(os.path.abspath(path)) if os.path.isdir(path) else configuration_of(path)


def _format(options: Given, project: Configuration) -> str:
    chosen: str = (
        options.last("--output-format") or os.environ.get("DSD_OUTPUT_FORMAT") or project.output_format or "full"
    )
    if chosen not in FORMATS:
        from dsd_lang.base.errors import nearest

        guess = nearest(chosen, FORMATS)
        formats = f"expected one of {', '.join(FORMATS)}"
        raise DsdError(
            f"unknown output format `{chosen}`", help=f"did you mean `{guess}`? {formats}" if guess else formats
        )
    return chosen


def _layers_named(options: Given, said: Configuration) -> tuple[str, str]:
    """The layers file and the model to check against; empty for none.

    The command line takes precedence over the project.
    """
    path, model = options.last("--layers"), options.last("--model")
    if path is not None and model is not None:
        raise DsdError("`--layers` and `--model` cannot be used together: both give the model's layers")
    if path is None and model is None:
        return said.layers, said.model
    return path or "", model or ""


def _layers(path: str, model: str) -> tuple[LayerInfo, ...] | None:
    if path:
        from dsd_lang.base.layers_file import read_layers

        return read_layers(path)
    if not model:
        return None
    from dsd_lang.cli.installed import model_layers

    return model_layers(model)


def _report(
    files: Sequence[CheckedFile],
    options: Given,
    project: Configuration,
    format: str,
    *,
    num_fixed: int = 0,
    is_aside: bool = False,
) -> int:
    """Writes the diagnostics and the summary; returns the exit status.

    ``is_aside``: stdout is used for something else.
    """
    output_file = options.last("--output-file")
    has_diagnostics = any(file.diagnostics for file in files)
    status = 1 if has_diagnostics and not options.has("--exit-zero") else 0
    stream = sys.stderr if is_aside else sys.stdout
    is_terminal = output_file is None and stream.isatty()
    choice = options.last("--color") or ("never" if output_file is not None else "auto")
    text = render(
        files,
        format,
        is_coloured=is_coloured(choice, is_terminal=is_terminal),
        exit_code=status,
        docs_url=project.docs_url or DOCS_URL,
        page_of=_page,
    )
    write_output(text, output_file, is_aside=is_aside)
    if not options.has("--quiet") and (format in FOR_PEOPLE or output_file is not None):
        write_output(summary(files, num_fixed=num_fixed) + fixable(files), None, is_aside=is_aside)
    return status


def _page(code: str) -> str | None:
    from dsd_lang.rules import page

    return page(code)


if __name__ == "__main__":
    sys.exit(main())
