"""`python tools/learning_curve.py RUN METRIC OUT.svg`: a metric of a run's main line over its epochs, phases shaded.

For the pictures of the pages; needs matplotlib (`pip install matplotlib`), which nothing else does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

from dsd_lang.base.metrics import is_in_points, metric_meaning
from dsd_lang.plan import Plan
from dsd_lang.views.table import target_text

_SPARSE, _DENSE = "#c06014", "#2f6fb3"


def main(arguments: Sequence[str]) -> int:
    """Draws one curve; returns the exit status."""
    if len(arguments) != 3:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    run, metric, out = Path(arguments[0]), arguments[1], Path(arguments[2])
    plan = Plan.from_json((run / "plan.json").read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    nodes = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["nodes"]
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "dsd", "font.size": 10})
    figure, axes = plt.subplots(figsize=(7.2, 2.8), layout="constrained")
    _draw(axes, list(_pieces(plan, nodes, rows, metric)))
    axes.set_xlabel("epochs")
    axes.set_ylabel(f"{metric}{' in %' if is_in_points(metric) else ''}")
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, metadata={"Date": None, "Title": f"{metric}: {metric_meaning(metric) or 'a metric'}"})
    return 0


def _pieces(
    plan: Plan, nodes: dict[str, str], rows: list[dict[str, Any]], metric: str
) -> Iterator[tuple[str, str, float, list[tuple[float, float]]]]:
    """Each phase of the main line: its mode, its words, the epoch it begins at, and its values from there on."""
    begin = 0.0
    for phase in plan.branch("").phases if plan.branches else plan.phases:
        mine = [row for row in rows if row["node"] == nodes[phase.id] and row["name"] == metric]
        values = [(begin + row["epoch"], row["value"]) for row in mine if row["value"] is not None]
        words = f"sparse {target_text(phase.target)}" if phase.mode == "sparse" else "dense"
        yield phase.mode, words, begin, values
        begin = max([begin, *(epoch for epoch, _ in values)])


def _draw(axes: Any, pieces: list[tuple[str, str, float, list[tuple[float, float]]]]) -> None:
    ends = [values[-1][0] if values else begin for _, _, begin, values in pieces]
    top = max(value for _, _, _, values in pieces for _, value in values)
    for (mode, words, begin, values), end in zip(pieces, ends, strict=True):
        colour = _SPARSE if mode == "sparse" else _DENSE
        axes.axvspan(begin, end, color=colour, alpha=0.10, linewidth=0)
        axes.plot(*zip(*values, strict=True), color=colour, linewidth=2)
        axes.text((begin + end) / 2, top, words, color=colour, ha="center", va="top", weight="bold")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
