"""The paper's table and the verdicts as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from dsd_runtime.results.report_tables import TextTable, arm_text, kind_text, result_table
from dsd_runtime.results.tables import NamedResults, paper_table, table_metrics

_CSV_HEAD = ("run", "arm", "phase", "kind", "state", "seeds", "epochs", "sparsity")


def markdown_report(runs: NamedResults) -> str:
    """A heading, the verdicts as a list, and the table; text from outside is escaped."""
    parts = [f"# {_plain(', '.join(name for name, _ in runs))}", ""]
    for name, results in runs:
        if len(runs) > 1 and results.verdicts:
            parts += [f"## {_plain(name)}", ""]
        parts += [f"* {_plain(verdict, keeps_code=True)}" for verdict in results.verdicts]
        parts += [""] if results.verdicts else []
        parts += [line for note in results.notes for line in (f"Note: {_plain(note, keeps_code=True)}", "")]
    table = result_table(runs)
    return "\n".join([*parts, *_table(table), "", _plain(table.caption)]) + "\n"


def csv_report(runs: NamedResults) -> str:
    """The table with numbers unrounded; below it, after an empty line, the verdicts."""
    columns = list(dict.fromkeys(name for _, results in runs for name in table_metrics(results)))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    spread = [f"{name} {what}" for name in columns for what in ("mean", "sd")]
    writer.writerow([*_CSV_HEAD, *spread, "change", "relative change"])
    for name, results in runs:
        for row in paper_table(results):
            values = [row.values.get(metric) for metric in columns]
            numbers = [number for one in values for number in ((one.mean, one.deviation) if one else (None, None))]
            head = (name, arm_text(row), row.phase, kind_text(row), row.state, row.seeds, row.epochs, row.sparsity)
            writer.writerow([*head, *numbers, row.change, row.relative_change])
    writer.writerow([])
    writer.writerow(["run", "question", "holds", "verdict"])
    for name, results in runs:
        writer.writerows([name, one.text, "", one.verdict] for one in results.comparisons)
        writer.writerows([name, one.text, one.holds, one.verdict] for one in results.expectations)
    return out.getvalue()


def _table(table: TextTable) -> Sequence[str]:
    sides = ["---:" if number >= table.numeric else "---" for number in range(len(table.headers))]
    return [f"| {' | '.join(map(_plain, cells))} |" for cells in (table.headers, sides, *table.rows)]


def _plain(text: str, *, keeps_code: bool = False) -> str:
    """Text that Markdown shows as it is."""
    special = "\\*_[]<>|" + ("" if keeps_code else "`")
    marks = str.maketrans({mark: f"\\{mark}" for mark in special})
    if not keeps_code:
        return " ".join(text.split()).translate(marks)
    parts = " ".join(text.split()).split("`")
    return "`".join(part.translate(marks) if number % 2 == 0 else part for number, part in enumerate(parts))
