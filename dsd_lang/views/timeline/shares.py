"""A plan in, the pruned share of each phase out, as a function of the share of the phase that is over."""

from __future__ import annotations

import math

from dsd_lang.base.units import exact
from dsd_lang.plan import Phase, Plan, Target
from dsd_lang.plan.cost import Densities, density_by_phase


class PrunedShares:
    """How much is pruned in the course of each phase; None where only the model knows."""

    def __init__(self, plan: Plan, densities: Densities | None = None) -> None:
        self._densities = density_by_phase(plan) if densities is None else densities

    def at(self, phase: Phase, share: float) -> float | None:
        """The pruned share of the selected weights when ``share`` of the phase is over."""
        if phase.target is not None and phase.target.kind == "ramp":
            return ramp_share(phase.target, share)
        mean = self._densities[phase.id][0]
        return None if mean is None else float(1 - mean)


def ramp_share(target: Target, share: float) -> float:
    """A ramp's pruned share, re-selection taken as continuous (language reference, section 3)."""
    start, end = (float(exact(text or "0")) for text in (target.start, target.end))
    if target.shape == "linear":
        return start + (end - start) * share
    if target.shape == "cosine":
        return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
    if target.shape == "exp":
        return 1 - math.pow(1 - start, 1 - share) * math.pow(1 - end, share)
    return end + (start - end) * math.pow(1 - share, 3)
