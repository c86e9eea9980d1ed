"""The figures of a report, one kind a module; :func:`figures_of` chooses those that fit the shape of a program."""

from __future__ import annotations

from collections.abc import Callable

from dsd_lang.base.errors import DsdError, nearest
from dsd_runtime.results.figures.ablation import ablation
from dsd_runtime.results.figures.by_layer import alive_by_layer, entropy_by_layer
from dsd_runtime.results.figures.curves import curves
from dsd_runtime.results.figures.cycles import gain_by_cycle
from dsd_runtime.results.figures.overlap import mask_overlap
from dsd_runtime.results.figures.parts import Figure
from dsd_runtime.results.figures.pruning_rounds import double_descent, early_stop, tickets
from dsd_runtime.results.figures.sweeps import heat_map, sensitivity
from dsd_runtime.results.figures.weights import weight_distributions
from dsd_runtime.results.results import Results

SHAPED: tuple[Callable[[Results], Figure | None], ...] = (
    sensitivity,
    heat_map,
    tickets,
    early_stop,
    double_descent,
    gain_by_cycle,
    ablation,
    weight_distributions,
    alive_by_layer,
    entropy_by_layer,
    mask_overlap,
)

__all__ = ["Figure", "curves", "figure_of", "figures_of"]


def figures_of(results: Results) -> list[Figure]:
    """The figures that the program's shape asks for, each with its data; without the curves."""
    return [found for make in SHAPED if (found := make(results)) is not None]


def figure_of(results: Results, name: str) -> Figure:
    """A figure by its name; raises :class:`DsdError` where the run has none of that name."""
    found = {figure.name: figure for figure in (*figures_of(results), *curves([("", results)]))}
    if name in found:
        return found[name]
    guess = nearest(name, tuple(found))
    known = ", ".join(f"`{one}`" for one in found) or "none"
    raise DsdError(f"this run has no figure `{name}`", help=f"did you mean `{guess}`?" if guess else f"it has: {known}")
