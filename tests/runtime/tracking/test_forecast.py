"""The time left: right from the start where the guesses are right, and soon right where they are not."""

from __future__ import annotations

import pytest

from dsd_runtime.tracking.forecast import Forecast, NodeWork


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time

    def passes(self, seconds: float) -> None:
        self.time += seconds


def _forecast(clock: Clock, *, update: float = 1.0, sample: float = 0.1, nodes: int = 1) -> Forecast:
    work = {f"n{index}": NodeWork(20, 10, per_pass=50, at_end=30) for index in range(nodes)}
    forecast = Forecast.of(work, seconds_per_update=update, seconds_per_sample=sample)
    forecast.now = clock
    return forecast


def _train(forecast: Forecast, clock: Clock, key: str, *, update: float, sample: float, passes: int = 2) -> None:
    forecast.begin(key, 0)
    for number in range(1, passes + 1):
        for step in range(10):
            clock.passes(update)
            forecast.advance(key, 10 * (number - 1) + step + 1)
        clock.passes(50 * sample)
        forecast.evaluated(50)


def test_evaluations_count_before_anything_is_measured() -> None:
    forecast = _forecast(Clock(), nodes=2)
    assert forecast.seconds_left() == pytest.approx(2 * (20 * 1.0 + (2 * 50 + 30) * 0.1))
    assert forecast.updates_left == 40


def test_it_counts_down_between_two_updates() -> None:
    clock = Clock()
    forecast = _forecast(clock)
    forecast.begin("n0", 0)
    before = forecast.seconds_left()
    clock.passes(3)
    assert forecast.seconds_left() == pytest.approx(before - 3)
    clock.passes(1000)
    assert forecast.seconds_left() == 0


@pytest.mark.parametrize("factor", [0.2, 1.0, 8.0])
def test_a_wrong_guess_is_soon_mended(factor: float) -> None:
    clock = Clock()
    forecast = _forecast(clock, nodes=3)
    guessed, truth = 20 * 1.0 + 130 * 0.1, 20 * factor + 130 * 0.1 * factor
    for left, share in ((2, 0.3), (1, 0.15)):
        _train(forecast, clock, f"n{left}", update=factor, sample=0.1 * factor)
        forecast.end(f"n{left}")
        assert abs(forecast.seconds_left() - left * truth) <= share * abs(left * (guessed - truth)) + 0.01


def test_a_machine_that_gets_slower_is_noticed() -> None:
    clock = Clock()
    forecast = Forecast.of({"a": NodeWork(10_000, 100, 0, 0)}, seconds_per_update=1.0, seconds_per_sample=0.0)
    forecast.now = clock
    forecast.begin("a", 0)
    for step in range(1, 1001):
        clock.passes(1.0 if step <= 500 else 3.0)
        forecast.advance("a", step)
    assert forecast.seconds_left() == pytest.approx(9000 * 3.0, rel=0.02)


def test_what_is_neither_counts_by_its_share() -> None:
    clock = Clock()
    forecast = Forecast.of({"a": NodeWork(100, 100, 0, 0)}, seconds_per_update=1.0, seconds_per_sample=0.0)
    forecast.now = clock
    forecast.begin("a", 0)
    for step in range(1, 51):
        clock.passes(1.0)
        forecast.advance("a", step)
    assert forecast.seconds_left() == pytest.approx(50)
    clock.passes(25.0)  # a checkpoint
    forecast.resume_clock()
    assert forecast.seconds_left() == pytest.approx(75)


def test_what_ends_early_or_needs_no_training_is_gone() -> None:
    clock = Clock()
    forecast = _forecast(clock, nodes=3)
    forecast.end("n2")
    _train(forecast, clock, "n0", update=1.0, sample=0.1, passes=1)
    forecast.end("n0")
    assert forecast.updates_left == 20
    assert forecast.seconds_left() == pytest.approx(33, rel=0.01)


def test_a_node_gone_on_with_counts_from_where_it_stands() -> None:
    clock = Clock()
    forecast = Forecast.of({"a": NodeWork(13, 10, 50, 30)}, seconds_per_update=1.0, seconds_per_sample=0.1)
    forecast.now = clock
    forecast.begin("a", 7)
    clock.passes(1.0)
    forecast.advance("a", 8)
    assert forecast.updates_left == 12
    assert forecast.seconds_left() == pytest.approx(12 + 13)
