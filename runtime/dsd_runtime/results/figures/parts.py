"""What all figures share: the model of a figure, its lines, its intervals."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dsd_lang.base.arms import names_arm, split_index, split_path
from dsd_lang.plan.seeds import arm_of
from dsd_runtime.results.parts import PhaseResult
from dsd_runtime.results.results import Results
from dsd_runtime.results.tables import row_name

VEGA_LITE_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
MAIN_LINE = "main line"
_ROUND = re.compile(r"#\d+")
Row = dict[str, Any]


class Figure(NamedTuple):
    """A figure: its Vega-Lite specification, and the table of what it shows."""

    name: str
    title: str
    caption: str
    spec: dict[str, Any]
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def has_choices(self) -> bool:
        """Whether a reader may choose what is drawn."""
        return any("bind" in parameter for parameter in self.spec.get("params", ()))


class MeanOfSeeds(NamedTuple):
    """A mean over seeds with its 95% t interval; without an interval for one seed."""

    seeds: int
    mean: float
    low: float | None
    high: float | None


def mean_of(values: Sequence[float | None]) -> MeanOfSeeds | None:
    """The mean with its interval; None where there is no value, or one is not finite.

    >>> mean_of([1.0]), [round(x, 3) for x in mean_of([1.0, 2.0, 3.0])]
    (MeanOfSeeds(seeds=1, mean=1.0, low=None, high=None), [3, 2.0, -0.484, 4.484])
    """
    known = [value for value in values if value is not None]
    if not known or not all(map(math.isfinite, known)):
        return None
    mean = statistics.fmean(known)
    if len(known) < 2:
        return MeanOfSeeds(1, mean, None, None)
    from scipy import stats

    half = float(stats.t.ppf(0.975, len(known) - 1)) * statistics.stdev(known) / math.sqrt(len(known))
    return MeanOfSeeds(len(known), mean, mean - half, mean + half)


def line_name(phase: PhaseResult) -> str:
    """The arm that a phase belongs to; rounds of a loop are one arm, and a label names a phase outside of all arms.

    >>> phase = PhaseResult(id="p9", path="reinit#2.seed0", label=None, node=None, mode="sparse", target=None, seed=0,
    ...                     length="1ep", state="trained")
    >>> line_name(phase), line_name(phase.model_copy(update={"path": ""}))
    ('reinit', 'main line')
    """
    return without_rounds(arm_of(phase.path)) or phase.label or MAIN_LINE


def without_rounds(arm: str) -> str:
    """The arm without the number of a loop's round.

    >>> without_rounds("reinit#2")
    'reinit'
    """
    return _ROUND.sub("", arm)


def first_seeds(results: Results, most: int) -> dict[str, list[PhaseResult]]:
    """The phases of each branch's first seed, rounds of a loop together, for the first branches.

    A phase that branches share, because it is the same training, is in the first of them.
    """
    lines: dict[str, list[PhaseResult]] = {}
    nodes: set[str] = set()
    for phase in results.phases:
        if phase.seed == 0 and phase.node not in nodes:
            nodes |= set() if phase.node is None else {phase.node}
            lines.setdefault(without_rounds(arm_of(phase.path)) or MAIN_LINE, []).append(phase)
    return dict(list(lines.items())[:most])


def names_of(phases: Sequence[PhaseResult]) -> dict[str, str]:
    """A name for each phase, by id; phases with the same label have their number with it."""
    labels = [row_name(phase) for phase in phases]
    times = Counter(labels)
    return {
        phase.id: label if times[label] == 1 else f"{label} {phase.id}"
        for phase, label in zip(phases, labels, strict=True)
    }


def layer_name(weight: str) -> str:
    """The layer of a weight.

    >>> layer_name("fc.0.weight"), layer_name("rnn.weight_ih_l0")
    ('fc.0', 'rnn.weight_ih_l0')
    """
    return weight.removesuffix(".weight")


def ends(results: Results) -> dict[str, PhaseResult]:
    """The last trained phase of each path, by path."""
    return {phase.path: phase for phase in results.phases if phase.state == "trained"}


def ends_by_arm(results: Results) -> dict[str, list[PhaseResult]]:
    """The last trained phases of each arm, one a seed; the trunk, which others start from, is none."""
    found: dict[str, list[PhaseResult]] = {}
    for path, phase in ends(results).items():
        if path:
            found.setdefault(arm_of(path), []).append(phase)
    return found


def swept(results: Results) -> tuple[str, ...]:
    """The names of the values that a `sweep` varies, in order; a loop's number is none."""
    values = {(name, text, phase.path) for phase in results.phases for name, text in phase.variables.items()}
    found = {name for name, text, path in values if _is_swept(name, text, path)}
    return tuple(
        name for name in dict.fromkeys(n for phase in results.phases for n in phase.variables) if name in found
    )


def _is_swept(name: str, value: str, path: str) -> bool:
    """Whether an arm on a path is named by the value of a variable: `s=25%`, `grid[s=25%,w=0]` or `grid[25%]`."""
    if re.search(rf"(^|[/.,\[]){re.escape(name)}=", path):
        return True
    labelled = ((part, split_index(part)) for part in split_path(path))
    return any("" in index and names_arm(f"{label}[{name}={value}]", part) for part, (label, index) in labelled)


def rounds(results: Results) -> dict[str, list[PhaseResult]]:
    """The lines that are pruned further round after round: their trained sparse phases, densest first.

    A line belongs to it from three different sparsities on, and where most of its phases are sparse. A line that is a
    part of another one, phase for phase, is left out.
    """
    lines: dict[str, list[PhaseResult]] = {}
    for phase in results.phases:
        if phase.state == "trained" and phase.mode == "sparse" and phase.sparsity is not None:
            lines.setdefault(line_name(phase), []).append(phase)
    found = {
        name: sorted(phases, key=lambda phase: phase.sparsity or 0.0)
        for name, phases in lines.items()
        if len({_rounded(phase.sparsity) for phase in phases}) >= 3 and _is_cumulative(phases)
    }
    return _without_parts(found)


def _is_cumulative(phases: Sequence[PhaseResult]) -> bool:
    """Whether each phase prunes more: of what remains, or as a branch that a loop has in every round."""
    if any(phase.variables and f"{next(iter(phase.variables))}=" in phase.path for phase in phases):
        return False
    in_loop = {phase.path for phase in phases if _ROUND.search(phase.path)}
    return len(in_loop) >= 2 or all(phase.target is None or "remaining" in phase.target for phase in phases)


def _without_parts(lines: Mapping[str, list[PhaseResult]]) -> dict[str, list[PhaseResult]]:
    """The lines less those whose training is all in another: the longest stays, of equals the first."""
    nodes = {name: {phase.node for phase in phases} for name, phases in lines.items()}
    kept: list[str] = []
    for name in sorted(lines, key=lambda name: -len(nodes[name])):
        if None in nodes[name] or not any(nodes[name] <= nodes[other] for other in kept):
            kept.append(name)
    return {name: phases for name, phases in lines.items() if name in kept}


def by_sparsity(phases: Sequence[PhaseResult]) -> dict[float, list[PhaseResult]]:
    """The phases at each sparsity, seeds together."""
    found: dict[float, list[PhaseResult]] = {}
    for phase in phases:
        found.setdefault(_rounded(phase.sparsity), []).append(phase)
    return found


def _rounded(sparsity: float | None) -> float:
    return round(sparsity or 0.0, 5)


def short(phase: PhaseResult) -> str:
    """`dsd/p2`, `base`."""
    arm = arm_of(phase.path)
    return f"{arm}/{row_name(phase)}" if arm else row_name(phase)


def cell_text(value: float | None) -> str:
    """Four significant digits for a table; nothing for None."""
    return "" if value is None else f"{value:.4g}"


def chart(data: Sequence[Mapping[str, Any]], **parts: Any) -> dict[str, Any]:
    """A Vega-Lite specification that is as wide as its container."""
    values = [{key: value for key, value in row.items() if value is not None} for row in data]
    return {"$schema": VEGA_LITE_SCHEMA, "width": "container", "height": 260, "data": {"values": values}, **parts}


def quantity(field: str, title: str, **more: Any) -> dict[str, Any]:
    """The encoding of a number; an axis need not begin at zero."""
    return {"field": field, "type": "quantitative", "title": title, "scale": {"zero": False, "nice": True}, **more}


def colour(title: str = "arm", *, is_shown: bool = True) -> dict[str, Any]:
    """The encoding of the arm."""
    legend = {"orient": "bottom", "symbolType": "stroke", "symbolOpacity": 1}
    return {"field": "arm", "type": "nominal", "title": None if is_shown else title, "sort": None,
            "legend": legend if is_shown else None}  # fmt: skip


def lines_with_band(
    rows: Sequence[Row], x: dict[str, Any], y: str, *, is_band: bool, several: bool
) -> list[dict[str, Any]]:
    """Layers: the interval as a band or as bars, if a row has one, the mean as a line, its points."""
    encoding = {"x": x, "color": colour(is_shown=several)}
    detail = {"detail": {"field": "line"}}
    spread: dict[str, Any] = {
        "mark": {"type": "area", "opacity": 0.18} if is_band else {"type": "rule", "opacity": 0.6},
        "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
        "encoding": {**encoding, **detail, "y": quantity("low", y), "y2": {"field": "high"}},
    }
    mean = {"mark": {"type": "line"}, "encoding": {**encoding, **detail, "y": quantity("mean", y)}}
    told = [
        {"field": "arm", "type": "nominal"},
        {"field": x["field"], "type": "quantitative", "title": x["title"], "format": ".4"},
        {"field": "mean", "type": "quantitative", "title": y, "format": ".4"},
    ]
    points = {
        "mark": {"type": "point", "filled": True, "size": 24, "opacity": 1},
        "encoding": {**encoding, "y": quantity("mean", y), "tooltip": told},
    }
    return [*([spread] if has_interval(rows) else []), mean, points]


def heat_cells(axes: Row, field: str, title: str, values: Sequence[float], *, has_words: bool = True) -> list[Row]:
    """Layers: coloured cells, and the value in each."""
    middle = (min(values) + max(values)) / 2
    cells = {
        "mark": {"type": "rect"},
        "encoding": {**axes, "color": {**quantity(field, title), "scale": {"scheme": "blues", "zero": False}}},
    }
    words = {
        "mark": {"type": "text", "fontSize": 13},
        "encoding": {
            **axes,
            "text": {"field": field, "type": "quantitative", "format": ".4"},
            "color": {"condition": {"test": f"datum.{field} > {middle!r}", "value": "white"}, "value": "#102a43"},
        },
    }
    return [cells, words] if has_words else [cells]


def choice(name: str, options: Sequence[str]) -> Row:
    """A parameter that a reader chooses from a list, if there is a choice; without scripts the table has them all."""
    bind = {"bind": {"input": "select", "options": list(options), "name": name}} if len(options) > 1 else {}
    return {"name": name, "value": options[0], **bind}


def has_interval(rows: Sequence[Row]) -> bool:
    """Whether there is an interval to draw."""
    return any(row["low"] is not None for row in rows)
