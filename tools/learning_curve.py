"""`python tools/learning_curve.py RUN METRIC OUT.svg` draws a metric of a run over its epochs, a curve for each branch.

For the pictures of the pages; needs matplotlib (`pip install matplotlib`), which nothing else does.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

from dsd_lang.base.metrics import is_in_points, metric_meaning
from dsd_lang.plan import Plan

_COLOURS = ("#2f6fb3", "#c06014", "#2e7d32", "#a347ba")


def main(arguments: Sequence[str]) -> int:
    """Draws one picture; returns the exit status."""
    if len(arguments) != 3:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    run, metric, out = Path(arguments[0]), arguments[1], Path(arguments[2])
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "dsd", "font.size": 10})
    figure, axes = plt.subplots(figsize=(7.2, 3.0), layout="constrained")
    for colour, line in zip(_COLOURS, _lines(run, metric), strict=False):
        _draw(axes, line, colour)
    axes.set_xlabel("epochs")
    axes.set_ylabel(f"{metric}{' in %' if is_in_points(metric) else ''}")
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(out, metadata={"Date": None, "Title": f"{metric}: {metric_meaning(metric) or 'a metric'}"})
    return 0


class _Segment(NamedTuple):
    """A phase: its mode, and (epoch, value) pairs, beginning with the last one of the phase before it."""

    is_sparse: bool
    values: list[tuple[float, float]]


class _Line(NamedTuple):
    """A branch with the phases before it."""

    name: str
    segments: list[_Segment]


def _lines(run: Path, metric: str) -> list[_Line]:
    plan = Plan.from_json((run / "plan.json").read_text(encoding="utf-8"))
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    nodes = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["nodes"]
    measured: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row["name"] == metric and row["value"] is not None:
            measured.setdefault(row["node"], []).append((row["epoch"], row["value"]))
    lines = []
    for path in plan.branches or ("",):
        last = next(phase for phase in reversed(plan.phases) if phase.path == path)
        begin, segments, before = 0.0, [], []
        for phase in plan.line(last.id):
            values = [(begin + epoch, value) for epoch, value in measured.get(nodes[phase.id], ())]
            segments.append(_Segment(phase.mode == "sparse", before + values))
            begin, before = max([begin, *(epoch for epoch, _ in values)]), values[-1:]
        lines.append(_Line(path or "the run", segments))
    return lines


def _draw(axes: Any, line: _Line, colour: str) -> None:
    """Sparse phases are dotted."""
    for number, segment in enumerate(line.segments):
        style = {"linestyle": ":" if segment.is_sparse else "-", "label": None if number else line.name}
        axes.plot(*zip(*segment.values, strict=True), color=colour, linewidth=2, **style)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
