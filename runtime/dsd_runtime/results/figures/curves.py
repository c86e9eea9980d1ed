"""The curves: a metric over the epochs of each arm, the seeds as a band of one standard deviation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dsd_lang.base.metrics import MOVED, metric_meaning
from dsd_lang.plan.seeds import arm_of, grouped_by_seed
from dsd_runtime.results.figures.parts import MAIN_LINE, Figure, Row, cell_text, chart, lines_with_band, without_rounds
from dsd_runtime.results.parts import MetricRow, PhaseResult
from dsd_runtime.results.results import Results
from dsd_runtime.results.tables import NamedResults, main_metric, spread

MOST_ARMS, MOST_POINTS = 10, 40
_MEANINGS = {MOVED: "weights that a mask update has dropped, and as many that it has grown"}
MOST_ROWS = 400
"""Rows of a figure: arms of many phases have fewer points in each, so that the report stays small."""


def curves(runs: NamedResults) -> Iterator[Figure]:
    """A figure for each metric that was measured more than once; several runs are drawn into the same ones."""
    for metric in _metrics([results for _, results in runs]):
        found = _curve(runs, metric)
        if found is not None:
            yield found


def _metrics(runs: Sequence[Results]) -> list[str]:
    main = next((name for results in runs if (name := main_metric(results)) is not None), None)
    measure = "" if main is None else main.partition(".")[2]
    wanted = [f"val.{measure}", main, f"train.{measure}", "val.loss", "train.loss", "entropy.relu", MOVED]
    names = {row.name for results in runs for row in results.metrics}
    return [name for name in dict.fromkeys(wanted) if name in names]


def _curve(runs: NamedResults, metric: str) -> Figure | None:
    parts: list[list[Row]] = []
    for name, results in runs:
        parts += _parts(results, metric, f"{name}: " if len(runs) > 1 else "")
    names = list(dict.fromkeys(rows[0]["arm"] for rows in parts))
    if len({row["epoch"] for rows in parts for row in rows}) < 2:
        return None
    drawn = [rows for rows in parts if rows[0]["arm"] in names[:MOST_ARMS]]
    most = min(MOST_POINTS, MOST_ROWS // len(drawn))
    shown = [row for rows in drawn for row in _thinned(rows, most)]
    more = f" The first {MOST_ARMS} of {len(names)} arms are drawn." if len(names) > MOST_ARMS else ""
    meaning = _MEANINGS.get(metric) or metric_meaning(metric) or "a metric of the user's own"
    x = {"field": "epoch", "type": "quantitative", "title": "epochs",
         "axis": {"grid": False, "tickCount": 6, "labelOverlap": True}}  # fmt: skip
    has_seeds = any(row["seeds"] > 1 for row in shown)
    return Figure(
        name=f"curve {metric}",
        title=metric,
        caption=f"{meaning[:1].upper()}{meaning[1:]}.{more}",
        spec=chart(shown, layer=lines_with_band(shown, x, metric, is_band=True, several=len(names) > 1), height=220),
        headers=("arm", "epoch", "mean", "standard deviation", "seeds") if has_seeds else ("arm", "epoch", metric),
        rows=tuple(
            (
                row["arm"],
                cell_text(row["epoch"]),
                cell_text(row["mean"]),
                *((cell_text(row["sd"]), str(row["seeds"])) if has_seeds else ()),
            )
            for row in shown
        ),
    )


def _parts(results: Results, metric: str, prefix: str) -> list[list[Row]]:
    """The rows of one run, for each phase with its seeds; what branches share is drawn once, in the first."""
    starts, series = starting_epochs(results), _series(results, metric)
    nodes = {phase.id: phase.node or phase.id for phase in results.phases}
    trunk = _trunk(results)
    phases = [phase for phase in results.phases if phase.state != "skipped"]
    groups = _distinct(grouped_by_seed(phases, lambda phase: phase.path))
    lasts: dict[str, Row] = {}
    found: list[list[Row]] = []
    for group in groups:
        head, path = group[0], arm_of(group[0].path)
        named = {"arm": prefix + (without_rounds(path) or trunk), "line": prefix + path}
        rows = _averaged(group, series, starts[head.id])
        if not rows:
            continue
        before = lasts.get(nodes.get(head.parent or "", ""))
        if before is not None and before["line"] != named["line"]:
            rows.insert(0, before)
        found.append([{**row, **named} for row in rows])
        lasts.update({nodes[phase.id]: found[-1][-1] for phase in group})
    return found


def _thinned(rows: list[Row], most: int) -> list[Row]:
    """About ``most`` of the rows, evenly; the first and the last stay."""
    every = -(-len(rows) // max(1, most))
    kept = rows[::-1][::every][::-1]
    return kept if kept[0] is rows[0] else [rows[0], *kept]


def _series(results: Results, metric: str) -> dict[str, list[MetricRow]]:
    """The rows of a metric, by node."""
    series: dict[str, list[MetricRow]] = {}
    for row in results.metrics:
        if row.name == metric:
            series.setdefault(row.node, []).append(row)
    return series


def _distinct(groups: Sequence[list[PhaseResult]]) -> list[list[PhaseResult]]:
    """The groups less those that are the training of earlier ones."""
    seen: set[str] = set()
    kept: list[list[PhaseResult]] = []
    for group in groups:
        nodes = {phase.node or phase.id for phase in group}
        if not nodes <= seen:
            kept.append(group)
        seen |= nodes
    return kept


def _trunk(results: Results) -> str:
    """The name of the main line: its label, where it has a single one and branches leave it."""
    labels = {phase.label for phase in results.phases if not phase.path}
    label = labels.pop() if len(labels) == 1 else None
    return label if label is not None and any(phase.path for phase in results.phases) else MAIN_LINE


def _averaged(group: Sequence[PhaseResult], series: dict[str, list[MetricRow]], start: float) -> list[Row]:
    """The mean over the seeds at each epoch."""
    by_epoch: dict[float, dict[str, float | None]] = {}
    for phase in group:
        for row in series.get(phase.node or "", ()):
            by_epoch.setdefault(round(row.epoch, 4), {})[phase.path] = row.value
    found: list[Row] = []
    for epoch, values in sorted(by_epoch.items()):
        spreading = spread(list(values.values()))
        if spreading is None:
            continue
        sd = spreading.deviation
        found.append({
            "epoch": round(start + epoch, 4), "mean": _four(spreading.mean), "sd": _four(sd), "seeds": spreading.seeds,
            "low": None if sd is None else _four(spreading.mean - sd),
            "high": None if sd is None else _four(spreading.mean + sd),
        })  # fmt: skip
    return found


def starting_epochs(results: Results) -> dict[str, float]:
    """The epochs before each phase, along its line."""
    by_id = {phase.id: phase for phase in results.phases}
    starts: dict[str, float] = {}
    for phase in results.phases:
        parent = by_id.get(phase.parent or "")
        starts[phase.id] = 0.0 if parent is None else starts.get(parent.id, 0.0) + (parent.epochs or 0.0)
    return starts


def _four(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")
