"""The tables of a report that are no figure's: results by phase, and cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dsd_lang.base.metrics import is_in_points
from dsd_lang.plan.seeds import grouped_by_seed
from dsd_runtime.results.budgets import flops_text
from dsd_runtime.results.figures.parts import MAIN_LINE, cell_text
from dsd_runtime.results.published import published
from dsd_runtime.results.results import Results
from dsd_runtime.results.tables import (
    NamedResults,
    TableRow,
    direction,
    main_metric,
    paper_table,
    table_metrics,
)


class TextTable(NamedTuple):
    """A table of text; the columns from ``numeric`` on are numbers."""

    caption: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: int


def result_table(runs: NamedResults) -> TextTable:
    """The paper's table of one run; of several runs their main metric side by side, matched by path and label."""
    return _one(runs[0][1]) if len(runs) == 1 else _several(runs)


def arm_text(row: TableRow) -> str:
    """The branch, or that it is the main line."""
    return row.arm or MAIN_LINE


def kind_text(row: TableRow) -> str:
    """`dense`, `sparse 50%`."""
    return f"sparse {row.target}" if row.mode == "sparse" and row.target else row.mode


def _one(results: Results) -> TextTable:
    table, columns, main = paper_table(results), table_metrics(results), main_metric(results)
    has_seeds = any(row.seeds > 1 for row in table)
    has_arms = any(row.arm for row in table)
    cited = published(results)
    heads_of_rows = [group[0] for group in grouped_by_seed(results.phases, lambda phase: phase.path)]
    quoted = [f"published: {column.what}" if column.what else "published" for column in cited]
    heads = [*(["arm"] if has_arms else []), "phase", "kind", *(["seeds"] if has_seeds else []), "epochs", "sparsity",
             *columns[:1], "change", "relative", *quoted, *columns[1:]]  # fmt: skip
    rows = [
        (
            *([arm_text(row)] if has_arms else []),
            *_about(row, has_seeds=has_seeds),
            *_cells(row, columns[:1]),
            *_changes(row),
            *(column.values.get(head.id, "") for column in cited),
            *_cells(row, columns[1:]),
        )
        for row, head in zip(table, heads_of_rows, strict=True)
        if row.state != "skipped"
    ]
    way = "" if main is None else direction(main, results)
    caption = _caption(main, has_seeds, way)
    skipped = len(table) - len(rows)
    if skipped:
        caption += f" {skipped} phases that were skipped, because their loop had ended, are left out."
    if cited:
        caption += (
            " Published numbers are quoted from the schedule; they are of another training, mostly on other data."
        )
    return TextTable(caption, tuple(heads), tuple(rows), 3 if has_arms else 2)


def _about(row: TableRow, *, has_seeds: bool) -> Iterator[str]:
    """The phase, what it does, its seeds, its length, its sparsity."""
    yield row.phase
    yield kind_text(row) + ("" if row.state in ("trained", "reused") else f" ({row.state})")
    if has_seeds:
        yield str(row.seeds)
    yield cell_text(row.epochs)
    yield "" if row.sparsity is None else f"{100 * row.sparsity:.4g}%"


def _changes(row: TableRow) -> Iterator[str]:
    yield "" if row.change is None else f"{row.change:+.3g}"
    yield "" if row.relative_change is None else f"{100 * row.relative_change:+.1f}%"


def _cells(row: TableRow, columns: Sequence[str]) -> list[str]:
    return ["" if row.values.get(name) is None else str(row.values[name]) for name in columns]


def _caption(main: str | None, has_seeds: bool, way: str) -> str:
    seeds = " Mean ± standard deviation over the seeds." if has_seeds else ""
    if main is None:
        return f"After each phase; nothing was measured yet.{seeds}"
    unit = "in percentage points; " if is_in_points(main) else ""
    return f"After each phase.{seeds} Changes are those of {main} ({unit}{way}) against the first row."


def _several(runs: NamedResults) -> TextTable:
    tables = [{row.key: row for row in paper_table(results)} for _, results in runs]
    keys = dict.fromkeys(key for table in tables for key in table)
    mains = [main_metric(results) for _, results in runs]
    heads = ["arm", "phase", *(f"{name}: {main or 'no metric'}" for (name, _), main in zip(runs, mains, strict=True))]
    rows = [
        (key[0] or MAIN_LINE, key[1],
         *(_cells(table[key], [main])[0] if main is not None and key in table else ""
           for table, main in zip(tables, mains, strict=True)))
        for key in keys
    ]  # fmt: skip
    caption = "After each phase, matched by path and label. Mean ± standard deviation over the seeds."
    return TextTable(caption, tuple(heads), tuple(rows), 2)


_FLOPS = (
    "FLOPs are those of the products in the updates: as the dense kernels execute them, and (theoretical) those of "
    "each layer times the share of its weights that was not masked."
)


def _flops(flops: int | None) -> str:
    return "" if flops is None else flops_text(flops)


def _counted_on(runs: NamedResults) -> str:
    batches = dict.fromkeys(results.cost.flops_counted_on for _, results in runs if results.cost.flops_counted_on)
    return f" They were counted on one batch: {'; '.join(batches)}." if batches else ""


def flops_table(results: Results) -> TextTable | None:
    """The FLOPs of the run by layer, the most expensive first; None where they were not counted."""
    layers = sorted(results.cost.flops_by_layer.items(), key=lambda item: -item[1].executed)
    if not layers:
        return None
    rows = [
        (name, flops_text(one.executed), _flops(one.theoretical),
         "" if one.theoretical is None or not one.executed else f"{100 * one.theoretical / one.executed:.4g}%")
        for name, one in layers
    ]  # fmt: skip
    heads = ("layer", "FLOPs executed", "theoretical", "share")
    return TextTable("The whole training by layer, the most expensive first.", heads, tuple(rows), 1)


def cost_table(runs: NamedResults) -> TextTable:
    """Epochs, updates, FLOPs and time; each node counts once."""
    heads = ("run", "epochs", "density-weighted", "updates", "FLOPs executed", "theoretical", "seconds", "trained",
             "shared", "skipped", "missing")  # fmt: skip
    rows = tuple(
        (name, cell_text(cost.epochs), cell_text(cost.density_weighted_epochs), str(cost.updates or 0),
         _flops(cost.flops_executed), _flops(cost.flops_theoretical),
         "" if cost.seconds is None else f"{cost.seconds:.1f}", str(cost.trained), str(cost.shared), str(cost.skipped),
         str(cost.missing))
        for name, cost in ((name, results.cost) for name, results in runs)
    )  # fmt: skip
    caption = (
        "Each node counts once; shared phases are one node. Density-weighted: epochs times the share of weights that "
        f"were not masked. {_FLOPS}{_counted_on(runs)}"
    )
    return TextTable(caption, heads, rows, 1)
