"""The notes under a timeline: the meaning of the characters, and what is not drawn to scale."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from dsd_lang.base.units import exact, format_exact
from dsd_lang.views.table import target_text
from dsd_lang.views.timeline.clocks import Clocks
from dsd_lang.views.timeline.columns import LineColumns, Run
from dsd_lang.views.timeline.curves import RateScale
from dsd_lang.views.timeline.glyphs import Glyphs
from dsd_lang.views.timeline.lines import Lane
from dsd_lang.views.timeline.rates import Rates

_MOST_NAMED = 6
UNBROKEN = "\N{NO-BREAK SPACE}"


def notes(
    clocks: Clocks,
    left_out: Iterable[str],
    lines: Sequence[Lane],
    laid_out: Sequence[tuple[Lane, LineColumns]],
    glyphs: Glyphs,
) -> Iterator[str]:
    """One sentence for each note, the legend first."""
    columns = [laid for _, laid in laid_out]
    if any(column is not None for laid in columns for column in laid.columns):
        yield _key(columns, glyphs)
    yield from _narrow(columns, glyphs)
    yield from _scale_of_time(clocks)
    if any(laid.is_crowded for laid in columns):
        num = sum(len(laid.narrow) for laid in columns if laid.is_crowded)
        yield f"{num} phases are narrower than a column: each column shows the mean over the phases in it."
    num_bounded = sum(1 for line in lines for _, phase in line.phases if phase.until is not None or phase.cycles)
    if num_bounded:
        them = "1 phase is" if num_bounded == 1 else f"{num_bounded} phases are"
        yield f"{them} drawn at full length and may end sooner (`until`)."
    for what in left_out:
        yield f"Not drawn: {what}."
    if len(laid_out) < len(lines):
        yield _left_out(lines, laid_out)


def _key(columns: Sequence[LineColumns], glyphs: Glyphs) -> str:
    shown = [column for laid in columns for column in laid.columns if column is not None]
    parts = [f"{glyphs.dense} dense"] if any(column.is_dense for column in shown) else []
    known = {glyphs.fill(column.pruned) for column in shown if not column.is_dense and column.pruned is not None}
    words = ("under 1/3 pruned", "1/3 to 2/3", "2/3 or more")
    parts += [f"{fill} sparse, {word}" for fill, word in zip(glyphs.sparse, words, strict=True) if fill in known]
    if any(not column.is_dense and column.pruned is None for column in shown):
        parts.append(f"{glyphs.unknown_share} sparse, a share that depends on the model (`--model`)")
    return "; ".join(part.replace(" ", UNBROKEN) for part in parts)


def rate_range(scale: RateScale, rates: Rates, has_shares: bool) -> str:
    """The meaning of the heights of the curves."""
    whose = " x the optimizer's own" if rates.are_multiples else ""
    lowest, highest = (format_exact(exact(f"{rate:.4g}")) for rate in (scale.lowest, scale.highest))
    how = ", on a logarithmic scale" if scale.is_logarithmic else ""
    text = f"lr: {highest}{whose}" if lowest == highest else f"lr: {lowest} to {highest}{whose}{how}"
    return f"{text}; pruned: the full height is 100%" if has_shares else text


def _narrow(columns: Sequence[LineColumns], glyphs: Glyphs) -> Iterator[str]:
    runs = [run for laid in columns if not laid.is_crowded for run in laid.narrow]
    if not runs:
        return
    if len(runs) > _MOST_NAMED:
        first = ", ".join(str(run.number) for run in runs[:_MOST_NAMED])
        yield f"{glyphs.mark} {len(runs)} phases too short to draw: {first}, and {len(runs) - _MOST_NAMED} more"
        return
    yield f"{glyphs.mark} too short to draw: {', '.join(_named(run) for run in runs)}"


def _named(run: Run) -> str:
    target = f" {target_text(run.phase.target)}" if run.phase.mode == "sparse" else ""
    return f"{run.number} {run.phase.mode}{target} ({run.phase.duration.length.short})"


def _scale_of_time(clocks: Clocks) -> Iterator[str]:
    if clocks.unit == "phases":
        yield (
            "Lengths are in `ep` and `it`, so all phases are drawn at the same length: "
            "`--steps-per-epoch N` draws them to scale."
        )
    elif clocks.is_mixed:
        yield f"Drawn with {clocks.steps_per_epoch} updates per epoch."


def _left_out(lines: Sequence[Lane], laid_out: Sequence[tuple[Lane, LineColumns]]) -> str:
    shown = {id(line) for line, _ in laid_out}
    missing = [line for line in lines if id(line) not in shown]
    return (
        f"{len(missing)} of {len(lines)} lines are left out, from `{missing[0].title}` to `{missing[-1].title}`: "
        "`--all` draws every one."
    )
