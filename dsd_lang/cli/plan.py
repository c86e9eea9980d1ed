"""`dsd-plan FILE`: a schedule in, what it resolves to out. Exit 0, 1 the schedule has errors, 2 bad usage."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dsd_lang.cli.command import Tool, run_tool
from dsd_lang.cli.flags import Flag, Given
from dsd_lang.cli.installed import model_layers, model_preset, run_states
from dsd_lang.cli.options import read_source, write_output
from dsd_lang.errors import DsdError

if TYPE_CHECKING:
    from dsd_lang.diagnostics import Diagnostic
    from dsd_lang.layers import LayerInfo
    from dsd_lang.plan import Plan

PROGRAM = "dsd-plan"
GRAPHS = ("mermaid", "dot", "svg")
EPILOGUE = """exit status: 0 fine, 1 the schedule has errors, 2 bad usage or a failure of the tool."""
FLAGS = (
    Flag("--json", "print the plan as JSON"),
    Flag("--schema", "print the JSON Schema of plans (needs no FILE)"),
    Flag("--graph", f"print the phase graph: {', '.join(GRAPHS)}", "FORMAT", GRAPHS),
    Flag("--model", "check selectors against a model's layers, and take its preset", "NAME"),
    Flag("--set", "a setting that wins over `set` in the schedule", "KEY=VALUE", repeats=True),
    Flag("--out", "show what a run folder has trained already", "RUN"),
    Flag("--color", "auto, always or never (default: auto)", "WHEN", ("auto", "always", "never")),
    Flag("--version", "print the version and exit"),
    Flag("--help", "print this page and exit"),
)
TOOL = Tool(PROGRAM, f"{PROGRAM} [options] FILE   (`-` is stdin)", "Show what a schedule resolves to.", FLAGS, EPILOGUE)


def main(arguments: Sequence[str] | None = None) -> int:
    """The tool; returns its exit status."""
    return run_tool(TOOL, run, arguments)


def run(given: Given) -> int:
    """Everything after the command line is read."""
    if given.has("--schema"):
        write_output(schema_text(), None)
        return 0
    if len(given.words) != 1:
        raise DsdError(
            "give one schedule file" if not given.words else "give one schedule file, not several",
            help="`dsd-plan schedules/quickstart.dsd`, or `-` for stdin",
        )
    if sum(given.has(name) for name in ("--json", "--graph")) > 1:
        raise DsdError("`--json` and `--graph` both say what to print: give one of them")
    path = given.words[0]
    text, unreadable = read_source(path)
    name = "<stdin>" if path == "-" else path
    plan, errors = compiled(text, name, given, tuple(unreadable))
    if plan is None:
        write_output(_rendered(text, name, errors, given), None)
        return 1
    out = given.last("--out")
    states = {} if out is None else run_states(plan, Path(out))
    write_output(shown(plan, given, states), None)
    return 0


def compiled(
    text: str, name: str, given: Given, unreadable: tuple[Diagnostic, ...] = ()
) -> tuple[Plan | None, tuple[Diagnostic, ...]]:
    """The plan, or the errors that stand in its way."""
    from dsd_lang.analysis import analyse
    from dsd_lang.compiler import plan_of

    flags = overrides_of(given.values.get("--set", []))
    model, out = given.last("--model"), given.last("--out")
    preset: Mapping[str, str] | None = None
    if out is not None:
        kept_flags, preset = settings_of_run(Path(out))
        flags = {**kept_flags, **flags}
    layers = None
    if model is not None:
        flags["model"] = model
        preset = preset if preset is not None else model_preset(model)
        layers = known_layers(model)
    analysis = analyse(text, layers=layers, overrides=flags, defaults=preset)
    if preset is None and analysis.resolved is not None and "model" in analysis.resolved.settings:
        preset = model_preset(analysis.resolved.settings["model"].shown)
        analysis = analyse(text, overrides=flags, defaults=preset)
    errors = (*unreadable, *analysis.errors)
    if errors or analysis.resolved is None:
        return None, errors
    return plan_of(analysis.resolved, source=name), ()


def known_layers(model: str) -> tuple[LayerInfo, ...] | None:
    """A model's layers; None (and a note on stderr) for one whose layers are known only when it is built."""
    try:
        return model_layers(model)
    except DsdError as error:
        sys.stderr.write(f"{PROGRAM}: note: {error.message}; the selectors are not checked\n")
        return None


def overrides_of(items: Sequence[str]) -> dict[str, str]:
    """`--set lr=0.1` as a mapping; the last one of a key wins."""
    found: dict[str, str] = {}
    for item in items:
        key, equals, value = item.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise DsdError(f"`--set {item}` is not KEY=VALUE", help="write it as `--set lr=0.1`")
        found[key.strip()] = value
    return found


def settings_of_run(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """The flags and the preset that the plan of a run folder was compiled with."""
    from dsd_lang.plan import Plan
    from dsd_lang.setting_text import setting_text

    try:
        saved = Plan.from_json((folder / "plan.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DsdError(
            f"`{folder}` is no run folder: it has no plan.json", help="give the folder of a dsd-run"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DsdError(f"`{folder / 'plan.json'}` cannot be read: {error}") from error
    texts = {name: setting_text(value) for name, value in saved.settings.items()}
    flags = {name: text for name, text in texts.items() if saved.settings_from.get(name) == "flag"}
    preset = {name: text for name, text in texts.items() if saved.settings_from.get(name) == "preset"}
    return flags, preset


def shown(plan: Plan, given: Given, states: Mapping[str, str]) -> str:
    """What the command prints for a plan."""
    graph = given.last("--graph")
    if graph is not None:
        from dsd_lang.graph import PhaseGraph

        picture = PhaseGraph(plan)
        return {"mermaid": picture.to_mermaid, "dot": picture.to_dot, "svg": picture.to_svg}[graph]()
    return plan.to_json() + "\n" if given.has("--json") else table_text(plan, states)


def table_text(plan: Plan, states: Mapping[str, str]) -> str:
    """The resolved table, the totals, the settings with who won, and what is trained already."""
    from dsd_lang.cost import arms, budget, in_words
    from dsd_lang.plan_table import MARK, aligned, table_rows
    from dsd_lang.setting_text import setting_text

    total = budget(plan)
    lines = [aligned(*table_rows(plan, states=states)).rstrip("\n"), ""]
    if any(phase.derived for phase in plan.phases):
        lines.append(f"{MARK} derived, not written: `why` says from what")
    weighted = in_words(total.weighted_epochs, total.weighted_updates)
    note = "" if total.is_complete else " (list targets counted as dense)"
    lines.append(f"total: {in_words(total.epochs, total.updates)}; density-weighted: {weighted}{note}")
    for arm in arms(plan):
        lines.append(f"{arm.name}: {in_words(arm.epochs, arm.updates)}, {float(arm.multiple):.3g} x {arm.baseline}")
    origins = {"set": "set", "flag": "--set", "preset": "preset"}
    settings = [
        f"{name}={setting_text(value)} ({origins[plan.settings_from[name]]})" for name, value in plan.settings.items()
    ]
    lines += [f"settings: {', '.join(settings)}"] if settings else []
    lines += [f"compares: {item.left} vs {item.right} on {item.on} ({item.test})" for item in plan.comparisons]
    lines += [f"expects: {item.text}" for item in plan.expectations]
    if states:
        num_trained, num_skipped = (list(states.values()).count(word) for word in ("trained", "skipped"))
        left = len(plan.phases) - num_trained - num_skipped
        skipped = f", {num_skipped} skipped" if num_skipped else ""
        lines.append(f"trained: {num_trained} of {len(plan.phases)} phases{skipped}; left: {left}")
    lines.append(f"hash: {plan.hash}")
    return "\n".join(lines) + "\n"


def schema_text() -> str:
    """The JSON Schema of plans."""
    import json

    from dsd_lang.plan import Plan

    return json.dumps(Plan.model_json_schema(), indent=2) + "\n"


def _rendered(text: str, name: str, errors: tuple[Diagnostic, ...], given: Given) -> str:
    from dsd_lang.report import CheckedFile, render, summary
    from dsd_lang.report.colour import wants_colour
    from dsd_lang.source import Source

    files = (CheckedFile(name, Source(text), errors),)
    is_coloured = wants_colour(given.last("--color") or "auto", os.environ, is_terminal=sys.stdout.isatty())
    return render(files, "full", is_coloured=is_coloured) + summary(files)


if __name__ == "__main__":
    sys.exit(main())
