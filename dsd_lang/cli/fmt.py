"""`dsd-fmt [PATHS|-]` rewrites schedules in canonical form.

Exit 0 done (with `--check` and `--diff`: nothing would change), 1 a file would change or has syntax errors, 2 usage
errors or failures.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dsd_lang.base.diagnostics import Diagnostic
from dsd_lang.base.errors import DsdError
from dsd_lang.base.streams import say, write_bytes
from dsd_lang.cli.command import Tool, run_tool
from dsd_lang.cli.flags import Flag, Given
from dsd_lang.cli.options import is_coloured, read_source, say_problems, schedule_paths, write_output
from dsd_lang.cli.rewrite import rewrite_file
from dsd_lang.formatting import Formatted, formatted
from dsd_lang.syntax.formatter import UnformattableError, format_text

PROGRAM = "dsd-fmt"
EPILOGUE = """exit status: 0 done, or nothing to do; 1 `--check` or `--diff` found something to do, or a file has syntax
errors; 2 bad usage or a failure of the tool. A file is only written if the new text is proven to have the same plan
hash and all comments, and not to change under a second pass."""
FLAGS = (
    Flag("--check", "write nothing; name the files that would change, and exit with 1 if there are any"),
    Flag("--diff", "write nothing; print what would change, and exit with 1 if anything would"),
    Flag("--force-exclude", "skip what `[tool.dsd] exclude` and .gitignore exclude, even if given as a path"),
    Flag("--stdin-filename", "the name to show for `-`", "NAME"),
    Flag("--color", "auto, always or never (default: auto)", "WHEN", ("auto", "always", "never")),
    Flag("--version", "print the version and exit"),
    Flag("--help", "print this page and exit"),
)
TOOL = Tool(
    PROGRAM,
    f"{PROGRAM} [options] [PATH ...]   (`-` is stdin, written to stdout; without a path, the folder here)",
    "Rewrite .dsd schedules in canonical form.",
    FLAGS,
    EPILOGUE,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The tool; returns its exit status."""
    return run_tool(TOOL, run, arguments)


def run(options: Given) -> int:
    """Runs the tool after the command line is parsed."""
    is_dry = options.has("--check") or options.has("--diff")
    counts = {"changed": 0, "left": 0, "broken": 0}
    paths, problems = schedule_paths(options.words, program=PROGRAM, excludes_all=options.has("--force-exclude"))
    for path in paths:
        try:
            counts[_one(path, options, is_dry=is_dry)] += 1
        except DsdError as problem:
            problems.append(problem)
    if "-" not in options.words and (any(counts.values()) or not problems):
        say(_summary(counts, is_dry=is_dry))
    if say_problems(problems, PROGRAM):
        return 2
    return 1 if counts["broken"] or (is_dry and counts["changed"]) else 0


def _one(path: str, options: Given, *, is_dry: bool) -> str:
    """Formats one file; returns whether it is `changed`, `left` as it is, or `broken`."""
    name = (options.last("--stdin-filename") or "<stdin>") if path == "-" else path
    text, unreadable = read_source(path)
    try:
        if unreadable:
            raise UnformattableError(unreadable)
        is_proven = options.has("--diff") or not options.has("--check")
        source = options.last("--stdin-filename") if path == "-" else path
        result = formatted(text, source=source) if is_proven else _unproven(text)
    except UnformattableError as error:
        _say_broken(name, text, error.diagnostics, options)
        return "broken"
    _hand_out(path, name, text, result, options, is_dry=is_dry)
    return "changed" if result.is_changed else "left"


def _unproven(text: str) -> Formatted:
    """Formats without the proof: enough for `--check`, which writes nothing."""
    result = format_text(text)
    return Formatted(result, is_changed=result != text)


def _hand_out(path: str, name: str, text: str, result: Formatted, options: Given, *, is_dry: bool) -> None:
    if options.has("--diff") and result.is_changed:
        write_output(_diff(name, text, result.text, options), None)
    elif options.has("--check") and result.is_changed:
        write_output(f"would reformat: {name}\n", None)
    if is_dry:
        return
    if path == "-":
        write_bytes(result.text.encode("utf-8"))
    elif result.is_changed:
        rewrite_file(path, result.text)


def _say_broken(name: str, text: str, diagnostics: Sequence[Diagnostic], options: Given) -> None:
    from dsd_lang.base.source import SourceText
    from dsd_lang.report import CheckedFile, render

    in_colour = is_coloured(options.last("--color"), is_terminal=sys.stderr.isatty())
    files = [CheckedFile(name, SourceText(text), tuple(diagnostics))]
    say(render(files, "full", is_coloured=in_colour))


def _diff(name: str, before: str, after: str, options: Given) -> str:
    from dsd_lang.report.difference import unified_diff

    in_colour = is_coloured(options.last("--color"), is_terminal=sys.stdout.isatty())
    return unified_diff(name, before, after, is_coloured=in_colour)


def _summary(counts: dict[str, int], *, is_dry: bool) -> str:
    would = "would be " if is_dry else ""
    parts = [
        (counts["changed"], f"{would}reformatted"),
        (counts["left"], "already in canonical form"),
        (counts["broken"], "with syntax errors, left as they are"),
    ]
    told = [f"{count} {'file' if count == 1 else 'files'} {what}" for count, what in parts if count]
    return f"{', '.join(told) or 'no files'}\n"


if __name__ == "__main__":
    sys.exit(main())
