"""Which way a metric is better: dsd's own by the registry, a user's by what was declared with the data."""

from __future__ import annotations

from collections.abc import Mapping

from dsd_lang.base.metrics import find_metric


def higher_is_better(metric: str, own: Mapping[str, str]) -> bool | None:
    """None where it is not known; ``own`` has "higher" or "lower" for the user's own metrics.

    >>> [higher_is_better(metric, {"val.f1": "higher"}) for metric in ("val.err", "val.f1", "val.auc")]
    [False, True, None]
    """
    row = find_metric(metric)
    if row is not None:
        return row.higher_is_better
    return None if metric not in own else own[metric] == "higher"
