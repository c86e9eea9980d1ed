"""How much the masks of consecutive sparse phases share."""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.plan.seeds import arm_of
from dsd_runtime.results.figures.parts import (
    MAIN_LINE,
    Figure,
    Row,
    cell_text,
    chart,
    lines_with_band,
    quantity,
    without_rounds,
)
from dsd_runtime.results.parts import MaskOverlap, PhaseResult
from dsd_runtime.results.results import Results
from dsd_runtime.results.tables import spread

_UNIT = "shared, %"


def mask_overlap(results: Results) -> Figure | None:
    """The overlap of each sparse phase's mask with that of the sparse phase before it, and what chance would give."""
    rows = [
        _row(arm, number, overlaps)
        for (arm, number), overlaps in sorted(_overlaps(results).items(), key=lambda item: item[0][1])
    ]
    if len(rows) < 2:
        return None
    several = len({row["arm"] for row in rows}) > 1
    x = quantity("number", "sparse phase", axis={"grid": False, "tickMinStep": 1, "format": "d"})
    chance = {
        "mark": {"type": "line", "strokeDash": [3, 3], "opacity": 0.7, "point": {"shape": "cross", "filled": False}},
        "encoding": {"x": x, "y": quantity("chance", _UNIT), "color": {"field": "arm", "type": "nominal", "sort": None},
                     "detail": {"field": "line"}},
    }  # fmt: skip
    return Figure(
        name="mask overlap",
        title="Overlap of masks",
        caption="The weights that the masks of a sparse phase and of the one before it both keep, in percent of those "
        "that either keeps, at the start of each phase; dashed: what random masks of the same sizes would share. A "
        "mask inside the one before it shares what its size allows.",
        spec=chart(rows, layer=[*lines_with_band(rows, x, _UNIT, is_band=False, several=several), chance], height=200),
        headers=("arm", "sparse phase", "shared, %", "by chance, %", "lowest", "highest", "seeds"),
        rows=tuple(
            (row["arm"], str(row["number"]), cell_text(row["mean"]), cell_text(row["chance"]), cell_text(row["low"]),
             cell_text(row["high"]), str(row["seeds"]))
            for row in rows
        ),
    )  # fmt: skip


def _overlaps(results: Results) -> dict[tuple[str, int], list[MaskOverlap]]:
    """By arm and the number of the sparse phase on its line; seeds together."""
    numbers = _numbers(results.phases)
    found: dict[tuple[str, int], list[MaskOverlap]] = {}
    nodes: set[str] = set()
    for phase in results.phases:
        if phase.overlap is not None and phase.node not in nodes:
            nodes |= set() if phase.node is None else {phase.node}
            arm = without_rounds(arm_of(phase.path)) or MAIN_LINE
            found.setdefault((arm, numbers[phase.id]), []).append(phase.overlap)
    return found


def _numbers(phases: Sequence[PhaseResult]) -> dict[str, int]:
    """How many sparse phases a line has, up to each phase; parents come first."""
    counts: dict[str, int] = {}
    for phase in phases:
        counts[phase.id] = counts.get(phase.parent or "", 0) + (phase.mode == "sparse" and phase.state != "skipped")
    return counts


def _row(arm: str, number: int, overlaps: list[MaskOverlap]) -> Row:
    values = [100 * overlap.jaccard for overlap in overlaps]
    chance = spread([100 * overlap.by_chance for overlap in overlaps])
    mean = spread(values)
    assert mean is not None
    assert chance is not None
    low, high = (min(values), max(values)) if len(values) > 1 else (None, None)
    return {"arm": arm, "line": arm, "number": number, "mean": mean.mean, "low": low, "high": high,
            "chance": chance.mean, "seeds": mean.seeds}  # fmt: skip
