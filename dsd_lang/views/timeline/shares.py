"""The pruned share of each phase as a function of the elapsed fraction of the phase."""

from __future__ import annotations

from fractions import Fraction

from dsd_lang.base.units import exact
from dsd_lang.plan import Phase, Plan, Target
from dsd_lang.plan.cost import Densities, density_by_phase
from dsd_lang.plan.ramps import ramp_value

_FINEST = 10_000  # points of a curve, more than any terminal has columns


class PrunedShares:
    """The share pruned during each phase; None if only the model determines it."""

    def __init__(self, plan: Plan, densities: Densities | None = None) -> None:
        self._densities = density_by_phase(plan) if densities is None else densities

    def at(self, phase: Phase, share: float) -> float | None:
        """The pruned share of the selected weights at the fraction ``share`` of the phase."""
        if phase.target is not None and phase.target.kind == "ramp":
            return ramp_share(phase.target, share)
        mean = self._densities[phase.id][0]
        return None if mean is None else float(1 - mean)


def ramp_share(target: Target, share: float) -> float:
    """A ramp's pruned share, as if it were continuous."""
    start, end = (exact(text or "0") for text in (target.start, target.end))
    x = Fraction(min(1.0, max(0.0, share))).limit_denominator(_FINEST)
    return float(ramp_value(start, end, target.shape or "cubic", x))
