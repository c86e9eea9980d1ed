"""`dsd-plan FILE` shows what a schedule resolves to. Exit 0, 1 for errors (or differences), 2 for usage errors."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dsd_lang.base.bundled import schedule_path
from dsd_lang.base.errors import DsdError
from dsd_lang.cli.command import Tool, run_tool
from dsd_lang.cli.flags import Flag, Given
from dsd_lang.cli.options import is_coloured, read_source, write_output

if TYPE_CHECKING:
    from dsd_lang.base.diagnostics import Diagnostic
    from dsd_lang.cli.plan_source import Compiled

PROGRAM = "dsd-plan"
GRAPHS = ("mermaid", "dot", "svg")
EPILOGUE = """exit status: 0 fine, 1 the schedule has errors, 2 bad usage or a failure of the tool.
With --diff: 0 the schedules are the same, 1 they differ, 2 trouble, errors in one of them included."""
_OUTPUT, _PAGE, _PLAN, _MORE = "output", "the page", "model and settings", "more"
FLAGS = (
    Flag("--json", "print the plan (or the difference) as JSON", group=_OUTPUT),
    Flag("--graph", f"print the phase graph: {', '.join(GRAPHS)}", "FORMAT", GRAPHS, group=_OUTPUT),
    Flag(
        "--diff",
        "print what changes since OTHER: a schedule, a saved plan, a run folder, or a git revision of FILE",
        "OTHER",
        group=_OUTPUT,
    ),
    Flag("--schema", "print the JSON Schema of plans (needs no FILE)", group=_OUTPUT),
    Flag("--why", "explain every derived value: its rule, and its line in the source", group=_PAGE),
    Flag(
        "--timeline",
        "blocks, ascii or none (default: blocks, if the encoding supports them)",
        "STYLE",
        ("blocks", "ascii", "none"),
        group=_PAGE,
    ),
    Flag("--steps-per-epoch", "updates in an epoch, to draw `ep` and `it` on one axis", "N", group=_PAGE),
    Flag("--all", "show all of a plan with very many phases or branches", group=_PAGE),
    Flag(
        "--width",
        "maximum width in columns (default: the terminal's, else 80 with full-width tables)",
        "N",
        group=_PAGE,
    ),
    Flag("--color", "auto, always or never (default: auto)", "WHEN", ("auto", "always", "never"), group=_PAGE),
    Flag("--model", "check selectors against a model's layers, count its weights, use its preset", "NAME", group=_PLAN),
    Flag("--layers", "check selectors against the layers in a JSON file, and count their weights", "FILE", group=_PLAN),
    Flag("--set", "a setting that overrides `set` in the schedule", "KEY=VALUE", repeats=True, group=_PLAN),
    Flag("--out", "a run folder: show what it has trained; with --diff, what of it stays valid", "RUN", group=_PLAN),
    Flag("--version", "print the version and exit", group=_MORE),
    Flag("--help", "print this page and exit", group=_MORE),
)
TOOL = Tool(PROGRAM, f"{PROGRAM} [options] FILE   (`-` is stdin)", "Show what a schedule resolves to.", FLAGS, EPILOGUE)

_FOR_THE_PAGE = ("--why", "--timeline", "--steps-per-epoch")
_CONFLICTS = {
    "--json": ("--graph", *_FOR_THE_PAGE, "--all", "--width"),
    "--graph": ("--diff", *_FOR_THE_PAGE, "--all", "--width"),
    "--diff": _FOR_THE_PAGE,
    "--schema": ("--json", "--graph", "--diff", "--out", *_FOR_THE_PAGE),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The tool; returns its exit status."""
    return run_tool(TOOL, run, arguments)


def run(given: Given) -> int:
    """Runs the tool after the command line is parsed."""
    _refuse_conflicts(given)
    if given.has("--schema"):
        write_output(schema_text(), None)
        return 0
    if len(given.words) != 1:
        raise DsdError(
            "give one schedule file" if not given.words else "give one schedule file, not several",
            help="`dsd-plan schedules/quickstart.dsd`, or `-` for stdin",
        )
    other, path = given.last("--diff"), str(schedule_path(given.words[0]))
    return _show(path, given) if other is None else _compare(path, other, given)


def _refuse_conflicts(given: Given) -> None:
    for first, others in _CONFLICTS.items():
        for second in others:
            if given.has(first) and given.has(second):
                raise DsdError(f"`{first}` and `{second}` cannot be used together")


def _show(path: str, given: Given) -> int:
    from dsd_lang.cli.plan_source import circumstances_of, compiled

    text, unreadable = read_source(path)
    name = "<stdin>" if path == "-" else path
    result = tuple(unreadable) or compiled(text, name, circumstances_of(given))
    if isinstance(result, tuple):
        write_output(_rendered(text, name, result, given), None)
        return 1
    write_output(plan_text(result, given), None)
    return 0


def _compare(path: str, other: str, given: Given) -> int:
    from dsd_lang.cli.plan_compare import compared, read_other
    from dsd_lang.cli.plan_page import page_of
    from dsd_lang.cli.plan_source import circumstances_of, compiled

    text, unreadable = read_source(path)
    name = "<stdin>" if path == "-" else path
    old_name, old_text, old_unreadable = read_other(path, other)
    circumstances = circumstances_of(given)
    new = tuple(unreadable) or compiled(text, name, circumstances)
    old = tuple(old_unreadable) or compiled(old_text, old_name, circumstances)
    for result, source, title in ((old, old_text, old_name), (new, text, name)):
        if isinstance(result, tuple):
            write_output(_rendered(source, title, result, given), None)
    if isinstance(old, tuple) or isinstance(new, tuple):
        return 2
    page, is_same = compared(old, new, given, page_of(given))
    write_output(page, None)
    return 0 if is_same else 1


def plan_text(compiled: Compiled, given: Given) -> str:
    """The output of the command for a plan."""
    graph = given.last("--graph")
    if graph is not None:
        from dsd_lang.views.graph import PhaseGraph

        picture = PhaseGraph(compiled.plan)
        return {"mermaid": picture.to_mermaid, "dot": picture.to_dot, "svg": picture.to_svg}[graph]()
    if given.has("--json"):
        return compiled.plan.to_json() + "\n"
    from dsd_lang.cli.installed import node_states
    from dsd_lang.cli.plan_page import page_of, page_text

    out = given.last("--out")
    return page_text(compiled, given, page_of(given), {} if out is None else node_states(compiled.plan, Path(out)))


def schema_text() -> str:
    """The JSON Schema of plans."""
    import json

    from dsd_lang.plan import Plan

    return json.dumps(Plan.model_json_schema(), indent=2) + "\n"


def _rendered(text: str, name: str, errors: tuple[Diagnostic, ...], given: Given) -> str:
    from dsd_lang.base.source import SourceText
    from dsd_lang.report import CheckedFile, render, summary

    files = (CheckedFile(name, SourceText(text), errors),)
    colour = is_coloured(given.last("--color"), is_terminal=sys.stdout.isatty())
    return render(files, "full", is_coloured=colour) + summary(files)


if __name__ == "__main__":
    sys.exit(main())
