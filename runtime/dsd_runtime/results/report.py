"""The report of one or several runs as one HTML file without network: verdicts, table, timeline, charts, provenance.

Everything from outside (labels, file names, the schedule's text) is escaped by the template; the data of charts is JSON
in which `<` is escaped.
"""

from __future__ import annotations

import gzip
import json
import shlex
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from dsd_lang import __version__
from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Plan
from dsd_lang.views.timeline_svg import TIMELINE_RULES, timeline_picture
from dsd_runtime.experiment.folder import RunFolder
from dsd_runtime.experiment.leases import is_in_use
from dsd_runtime.results.figures import Figure, curves, figures_of
from dsd_runtime.results.figures.colours import with_same_colours
from dsd_runtime.results.figures.parts import short
from dsd_runtime.results.head_comment import head_paragraphs
from dsd_runtime.results.parts import ExpectationResult
from dsd_runtime.results.progress import progress_text
from dsd_runtime.results.reading import read_results
from dsd_runtime.results.report_tables import cost_table, flops_table, result_table
from dsd_runtime.results.results import Results
from dsd_runtime.storage.durable import write_text

_TIMELINE_WIDTH = 880
_MOST_BYTES, _MARKUP = 560_000, 26
_MOST_ROWS = 600
"""What charts and their tables may take beside the 900 kB of the script that draws them; the markup of a cell."""
_MOST_ALONE = _MOST_BYTES + 800_000
"""What they may take where the script is another file."""
_COMPACT = (",", ":")


class ReportedRun(NamedTuple):
    """A run of a report: its name there, its results, its plan, and whether it is in training now."""

    name: str
    results: Results
    plan: Plan | None
    is_running: bool = False


def read_runs(folders: Sequence[Path]) -> list[ReportedRun]:
    """The runs of some folders, with names that tell them apart; raises :class:`DsdError` for no run folder."""
    for number, folder in enumerate(folders):
        if folder.resolve() in {other.resolve() for other in folders[:number]}:
            raise DsdError(f"`{folder}` is given twice", help="give each run once")
    found = [(folder, read_results(folder)) for folder in folders]
    names = [results.run for _, results in found]
    return [
        ReportedRun(
            results.run if names.count(results.run) == 1 else str(folder),
            results,
            RunFolder(folder).read_plan(),
            is_in_use(RunFolder(folder).leases),
        )
        for folder, results in found
    ]


def write_report(folder: Path, results: Results | None = None, *, is_running: bool = False) -> None:
    """Writes `report.html` of a run folder, complete or not at all; raises :class:`DsdError`.

    ``results`` are those of the folder, if they have been read already.
    """
    results = read_results(folder) if results is None else results
    run = ReportedRun(results.run, results, RunFolder(folder).read_plan(), is_running)
    write_text(RunFolder(folder).report, report_html([run]))


def report_html(runs: Sequence[ReportedRun], *, charts_at: str | None = None) -> str:
    """The page. ``charts_at`` is the address of :func:`charts_bundle`, for pages that share it; else it is inside."""
    drawn = list(curves([(run.name, run.results) for run in runs]))
    timelines = list(_timelines(runs))
    table = result_table([(run.name, run.results) for run in runs])
    table = table._replace(rows=tuple(_shortened(table.rows)))
    room = (_MOST_BYTES if charts_at is None else _MOST_ALONE) - sum(len(timeline["svg"]) for timeline in timelines)
    shaped = [figure for run in runs for figure in _named(run, len(runs) > 1)]
    room -= _cells_bytes(table.rows)
    fitting, left_out = _fitting([*shaped, *drawn], room)  # what fits the program comes first
    shaped, drawn = ([figure for figure in figures if figure in fitting] for figures in (shaped, drawn))
    coloured = with_same_colours([*drawn, *shaped])
    text: str = _template().render(
        title=", ".join(run.name for run in runs),
        state="; ".join(_state(run, len(runs) > 1) for run in runs),
        css=_markup(TIMELINE_RULES + _asset("report.css")),
        runs=[_described(run) for run in runs],
        table=table,
        timelines=timelines,
        left_out=left_out,
        curves=coloured[: len(drawn)],
        shaped=coloured[len(drawn) :],
        unrecorded=[run.name for run in runs if _is_unrecorded(run.results)],
        cost=cost_table([(run.name, run.results) for run in runs]),
        version=__version__,
        has_charts=bool(drawn or shaped),
        charts_at=charts_at,
        bundle=_markup("" if charts_at is not None else charts_bundle()),
        script=_markup(_asset("report.js")),
    )
    return text


def _fitting(figures: Sequence[Figure], room: int) -> tuple[list[Figure], list[str]]:
    """The figures that there is room for, and the titles of the others."""
    kept: list[Figure] = []
    for figure in figures:
        cost = _bytes(figure)
        if cost <= room:
            kept.append(figure)
            room -= cost
    return kept, [figure.title for figure in figures if figure not in kept]


def _shortened(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The rows; of very many the first and the last, with one between them that counts the others."""
    if len(rows) <= _MOST_ROWS:
        return list(rows)
    half = _MOST_ROWS // 2
    gap = (f"... {len(rows) - 2 * half} more rows are in results.json ...", *("" for _ in rows[0][1:]))
    return [*rows[:half], gap, *rows[-half:]]


def _bytes(figure: Figure) -> int:
    """About what a figure and its table take in the page."""
    return _cells_bytes(figure.rows) + len(json.dumps(figure.spec, separators=_COMPACT))


def _cells_bytes(rows: Sequence[Sequence[str]]) -> int:
    return sum(len(cell) + _MARKUP for row in rows for cell in row)


def _is_unrecorded(results: Results) -> bool:
    """Whether there are pruned weights, and no record of them: an earlier version trained them."""
    pruned = [phase for phase in results.phases if phase.mode == "sparse" and phase.state == "trained"]
    return bool(pruned) and not any(phase.layers for phase in pruned)


def _named(run: ReportedRun, several: bool) -> Iterator[Figure]:
    for figure in figures_of(run.results):
        yield figure._replace(title=f"{run.name}: {figure.title}") if several else figure


def _state(run: ReportedRun, several: bool) -> str:
    results = run.results
    progress = progress_text(results, is_running=run.is_running)
    parts = (("model", results.provenance.model), ("data", results.provenance.data))
    named = [f"{name} {value}" for name, value in parts if value]
    return (f"{run.name}: " if several else "") + ", ".join([*named, progress])


def _described(run: ReportedRun) -> dict[str, Any]:
    head = head_paragraphs(run.results.provenance.schedule_text or "")
    nodes = list(_nodes(run.results))
    return {
        "name": run.name,
        "results": run.results,
        "flops": flops_table(run.results),
        "about": [part.text for part in head if part.kind == ""],
        "cited": [part.text for part in head if part.kind in ("Source", "Claim")],
        "flags": list(_flags(run.results)),
        "provenance": list(_provenance(run.results)),
        "num_nodes": len(nodes),
        "nodes": _shortened(nodes),
    }


def _nodes(results: Results) -> Iterator[tuple[str, str, str]]:
    """The phases with their node keys; of phases that are the same training the first."""
    nodes: set[str] = set()
    for phase in results.phases:
        if phase.node not in nodes or phase.node is None:
            yield f"{phase.id} {short(phase)}", phase.node or "", phase.state
        nodes.add(phase.node or "")


def _flags(results: Results) -> Iterator[str]:
    if results.provenance.scale != "1":
        yield f"Scaled: every length is multiplied by {results.provenance.scale}."
    if results.provenance.noise is not None:
        yield f"Noise: training labels have noise ({results.provenance.noise})."
    if results.phases and len({phase.seed for phase in results.phases}) == 1:
        yield "One seed: the numbers say nothing about how much other seeds would differ."
    yield from (f"{note[:1].upper()}{note[1:]}." for note in results.notes)


def _provenance(results: Results) -> Iterator[tuple[str, str]]:
    it = results.provenance
    setting = {
        name: value for name, value in it.setting.items() if name not in ("model", "data", "seed") and value is not None
    }
    command = list(it.command)
    if command and command[0].endswith(("cli.py", "__main__.py")):
        command[0] = "dsd-run"
    if command:
        command[0] = Path(command[0]).name
    yield from (
        (name, value)
        for name, value in (
            ("schedule", it.schedule),
            ("command", shlex.join(command)),
            ("plan hash", it.plan_hash),
            ("model", it.model),
            ("data", it.data),
            ("data fingerprint", it.data_fingerprint),
            ("seed", None if it.seed is None else str(it.seed)),
            ("scale", it.scale),
            ("versions", ", ".join(f"{name} {version}" for name, version in it.versions.items() if version)),
            ("git", it.git),
            ("setting", ", ".join(f"{name} {value}" for name, value in setting.items())),
        )
        if value
    )  # fmt: skip


def _timelines(runs: Sequence[ReportedRun]) -> Iterator[dict[str, Any]]:
    hashes: set[str] = set()
    for run in runs:
        if run.plan is None or not run.plan.phases or run.plan.hash in hashes:
            continue
        hashes.add(run.plan.hash)
        picture = timeline_picture(run.plan, _TIMELINE_WIDTH)
        rates = ", and the learning rate below" if picture.has_rates else ""
        caption = f"Each bar is a phase, filled to the share of weights that are not pruned{rates}"
        notes = f" ({'; '.join(picture.notes)})" if picture.notes else ""
        yield {"name": run.name, "caption": f"{caption}{notes}.", "svg": _markup(picture.svg)}


# --- parts of the page ------------------------------------------------------------------------------------------------


@cache
def _template() -> Any:
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise DsdError("a report needs jinja2", help="run `pip install 'dsd-lang[run]'`") from None
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.policies["json.dumps_kwargs"] = {"separators": _COMPACT, "sort_keys": True}
    environment.filters["marked"] = _marked
    environment.filters["told"] = _told
    return environment.from_string(_asset("report.html.j2"))


def _markup(text: str) -> Any:
    """Text of our own that is HTML already."""
    from markupsafe import Markup

    return Markup(text)


def _told(item: ExpectationResult) -> Any:
    """An expectation's verdict with what it claims as code, and whether it holds as the word that stands out."""
    from markupsafe import Markup

    answer = item.verdict.removeprefix(f"expected {item.text}: ")
    word = next((word for word in ("holds", "fails", "not decided") if answer.startswith(word)), "")
    shown = 'Expected <code>{}</code>: <span class="word">{}</span>{}'
    return Markup(shown).format(item.text, word, _marked(answer.removeprefix(word)))


def _marked(text: str) -> Any:
    """A sentence, escaped, with what stands between backticks as code."""
    from markupsafe import Markup, escape

    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part) for number, part in enumerate(parts)
    )


@cache
def _asset(name: str) -> str:
    return files("dsd_runtime.results").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def charts_bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    packed = files("dsd_runtime.results").joinpath("templates", "charts.js.gz").read_bytes()
    return gzip.decompress(packed).decode("utf-8")


__all__ = ["ReportedRun", "charts_bundle", "read_runs", "report_html", "write_report"]
