"""The budgets of two plans side by side."""

from __future__ import annotations

from fractions import Fraction

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.plan import Plan
from dsd_lang.plan.cost import Densities, budget, in_words


class TotalChange(NamedTuple):
    """A sum of lengths in both plans and the difference, in epochs and updates."""

    name: str
    old: tuple[Fraction, Fraction]
    new: tuple[Fraction, Fraction]

    @property
    def texts(self) -> tuple[str, str, str]:
        """Old, new, and the difference with its sign."""
        change = [new - old for old, new in zip(self.old, self.new, strict=True)]
        words = [
            ("-" if value < 0 else "+")
            + in_words(*((abs(value), Fraction(0)) if unit == 0 else (Fraction(0), abs(value))))
            for unit, value in enumerate(change)
            if value
        ]
        return in_words(*self.old), in_words(*self.new), " ".join(words) or "the same"


def totals(
    old: Plan, new: Plan, densities: tuple[Densities | None, Densities | None] = (None, None)
) -> tuple[TotalChange, TotalChange]:
    """The planned and the density-weighted totals."""
    before, after = (budget(plan, known) for plan, known in zip((old, new), densities, strict=True))
    return (
        TotalChange("total", (before.epochs, before.updates), (after.epochs, after.updates)),
        TotalChange(
            "density-weighted",
            (before.weighted_epochs, before.weighted_updates),
            (after.weighted_epochs, after.weighted_updates),
        ),
    )
