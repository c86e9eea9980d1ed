"""The direction and unit of the metrics of a session.

The directions of dsd's own metrics are in the registry (`dsd_lang.base.metrics`). The direction of a user's own metric
is never guessed from its name: it must be declared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from dsd_lang.base.errors import DsdError
from dsd_lang.base.metrics import find_metric

Better = Literal["higher", "lower"]


def known_direction(metric: str) -> Better | None:
    """Whether higher or lower is better for one of dsd's own metrics; None for any other."""
    known = find_metric(metric)
    if known is None:
        return None
    return "higher" if known.higher_is_better else "lower"


class MetricTable:
    """Directions and units of the metrics of one session; ``declared`` takes precedence over the registry."""

    def __init__(self, percent: Iterable[str] = (), declared: Mapping[str, Better] | None = None) -> None:
        self.percent = frozenset(percent)
        self._declared: dict[str, Better] = {}
        for name, better in (declared or {}).items():
            self.declare(name, better)

    def declare(self, metric: str, better: Better) -> None:
        """Declares directions; raises :class:`DsdError` for an invalid word or a contradiction."""
        if better not in ("higher", "lower"):
            raise DsdError(f"the metric `{metric}` is declared as {better!r}", help='write "higher" or "lower"')
        if self._declared.setdefault(metric, better) != better:
            raise DsdError(
                f"the metric `{metric}` is declared both ways: higher is better, and lower is better",
                help="declare it once, in `attach(..., metrics={...})` or in `report(...)`",
            )

    def knows(self, metric: str) -> bool:
        """Whether a direction is known or declared."""
        return metric in self._declared or known_direction(metric) is not None

    def higher_is_better(self, metric: str) -> bool:
        """The direction; raises :class:`DsdError` for a metric without a declared one."""
        better = self._declared.get(metric) or known_direction(metric)
        if better is None:
            raise DsdError(
                f"whether a higher `{metric}` is better was not said, and it is not guessed from the name",
                help=f'write `attach(..., metrics={{"{metric}": "higher"}})` (or "lower"), or '
                f'`session.report(..., higher_is_better={{"{metric}"}})`',
            )
        return better == "higher"

    def is_better(self, metric: str, value: float, than: float, *, by: float = 0.0) -> bool:
        """Whether a value improves on another by more than ``by``, in the metric's direction."""
        gain = value - than if self.higher_is_better(metric) else than - value
        return gain > by

    def state_dict(self) -> dict[str, Better]:
        """The declarations, as plain data."""
        return dict(self._declared)

    def load_state_dict(self, state: Mapping[str, Better]) -> None:
        """Restores the declarations of a saved session; newer ones take precedence."""
        self._declared = {**state, **self._declared}
