"""The sentence that answers a `compare` or an `expect`."""

from __future__ import annotations

from dsd_lang.base.metrics import is_in_points
from dsd_runtime.results.parts import Interval, ItemTest, SeedTest

ALPHA = 0.05
_TESTS = {"paired": "paired t", "welch": "Welch's t", "student": "Student's t"}
_ITEM_TESTS = {"mcnemar": "McNemar", "cluster": "cluster t", "bootstrap": "bootstrap"}


def number(value: float) -> str:
    """Three significant digits, plain where possible: `0.8`, `12.3`, `0.00123`, `1.5e-07`."""
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def amount(difference: float, metric: str) -> str:
    """A difference without its sign: `2.2 points` of a metric in percent, `1 point`, `0.03` of another."""
    size = number(abs(difference))
    return f"{size} point{'' if size == '1' else 's'}" if is_in_points(metric) else size


def p_text(p: float) -> str:
    """`p = 0.12`, `p = 0.003`, `p < 0.001`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.1 else f"p = {p:.2f}"


def interval_text(interval: Interval) -> str:
    """`95% -1.9 to 0.3`."""
    return f"95% {number(interval.low)} to {number(interval.high)}"


def comparison_verdict(
    left: str, right: str, metric: str, seeds: SeedTest, items: tuple[ItemTest, ...], higher_is_better: bool | None
) -> str:
    """One sentence: the difference, how sure it is, and what that shows."""
    if seeds.difference is None:
        return f"`{left}` and `{right}` cannot be compared on {metric}: {seeds.why_not}"
    subject = _difference(left, right, metric, seeds.difference)
    if seeds.p is not None and seeds.interval is not None:
        n = f"n = {seeds.n_left}" if seeds.n_left == seeds.n_right else f"n = {seeds.n_left} and {seeds.n_right}"
        how = f"{interval_text(seeds.interval)}, {_TESTS[seeds.test]}, {n}, {p_text(seeds.p)}"
        p = seeds.p if seeds.p_holm is None else seeds.p_holm
        if seeds.p_holm is not None and seeds.p_holm != seeds.p:
            how += f", after Holm {p_text(seeds.p_holm)}"
        return f"{subject} ({how}): {_shown(left, right, seeds.difference, p, higher_is_better)}{_needed(seeds, p)}"
    over_items = next((item for item in items if item.p is not None and item.interval is not None), None)
    if over_items is None:
        return f"{subject}; {seeds.why_not}"
    assert over_items.interval is not None
    assert over_items.p is not None
    assert over_items.difference is not None
    how = (
        f"{interval_text(over_items.interval)}, {_ITEM_TESTS[over_items.test]} over the same {over_items.units} test "
        f"{over_items.unit}, {p_text(over_items.p)}"
    )
    shown = _shown(left, right, over_items.difference, over_items.p, higher_is_better)
    return f"{subject} ({how}): for this pair of models {shown}; {seeds.why_not}"


def _difference(left: str, right: str, metric: str, difference: float) -> str:
    if difference == 0:
        return f"`{left}` and `{right}` have the same {metric}"
    side = "below" if difference < 0 else "above"
    return f"`{left}` is {amount(difference, metric)} of {metric} {side} `{right}`"


def _shown(left: str, right: str, difference: float, p: float, higher_is_better: bool | None) -> str:
    if p >= ALPHA:
        return "no difference shown"
    if higher_is_better is None:
        return "they differ (whether higher is better is not known)"
    return f"`{left if (difference > 0) == higher_is_better else right}` is better"


def _needed(seeds: SeedTest, p: float) -> str:
    """How many seeds would do, where these were too few."""
    if p < ALPHA or seeds.seeds_needed is None or seeds.seeds_needed <= min(seeds.n_left, seeds.n_right):
        return ""
    return f"; {seeds.seeds_needed} seeds would show one of this size with 80% power"


def expectation_verdict(text: str, *, holds: bool | None, margin: float | None, why_not: str = "") -> str:
    """`expected a < b: holds, by 0.4`."""
    if holds is None:
        return f"expected {text}: not decided, {why_not}"
    by = "" if margin is None else f", by {number(abs(margin))}"
    return f"expected {text}: {'holds' if holds else 'fails'}{by}"
