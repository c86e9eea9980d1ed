"""Rates at the corners, worked out by hand: warm-up, floor, milestones, shapes on other clocks."""

from __future__ import annotations

import math

import pytest
from engine_loops import begin, network, one_update
from torch import optim


def _rates(text: str, *, steps: int = 4, own: float = 0.4) -> list[list[float]]:
    """The rates of the updates, by phase."""
    model = network()
    session = begin(text, model, optim.SGD(model.parameters(), lr=own), steps=steps)
    rates: list[list[float]] = [[] for _ in session.plan.phases]
    while not session.done:
        session.begin_step()
        rates[session.phase.index].append(session.optimizer.param_groups[0]["lr"])
        one_update(session, model)
    return rates


@pytest.mark.parametrize(
    ("said", "rates"),
    [
        ("4it lr=0.8 warmup=1it", [0.8, 0.8, 0.8, 0.8]),
        ("4it lr=0.8 warmup=2it", [0.4, 0.8, 0.8, 0.8]),
        ("4it lr=0.8 warmup=4it", [0.2, 0.4, 0.6, 0.8]),
        ("2it lr=0.8 warmup=4it", [0.2, 0.4]),
        ("4it lr=0.8 warmup=1ep", [0.2, 0.4, 0.6, 0.8]),
        ("4it lr=0.8 warmup=2it decay=linear", [0.4, 0.6, 0.4, 0.2]),
        ("4it lr=0.8 decay=linear floor=0.4", [0.8, 0.7, 0.6, 0.5]),
        ("4it lr=0.8 decay=linear floor=0.4 warmup=2it", [0.4, 0.7, 0.6, 0.5]),
        ("2it lr=0.8 decay=cosine floor=0.2", [0.8, 0.5]),
        ("1it lr=0.8 decay=cosine", [0.8]),
        ("4it lr=0.8 decay=step(50%,by=0.5)", [0.8, 0.8, 0.4, 0.4]),
        ("4it lr=0.8 decay=step(1it,2it,3it,by=0.5) floor=0.2", [0.8, 0.4, 0.2, 0.2]),
        ("4it lr=0.8 decay=step(1it,2it,by=0.5) floor=0.3", [0.8, 0.4, 0.3, 0.3]),
        ("4it lr=0.8 decay=step(1it,by=0.5) warmup=2it", [0.4, 0.4, 0.4, 0.4]),
        ("9it lr=0.8 decay=exp(0.5)", [0.8] * 4 + [0.4] * 4 + [0.2]),
        ("9it lr=0.8 decay=exp(0.5) floor=0.3", [0.8] * 4 + [0.4] * 4 + [0.3]),
        ("5it lr=0.8 decay=exp(0.5) warmup=8it", [0.1, 0.2, 0.3, 0.4, 0.25]),
    ],
)
def test_the_rates_of_one_phase(said: str, rates: list[float]) -> None:
    assert _rates(f"dense {said}") == [pytest.approx(rates, rel=1e-12)]


def test_a_warm_up_begins_again_in_every_phase_and_in_none_that_does_not_ask() -> None:
    text = "dense 2it lr=0.8 warmup=2it; sparse 50% 2it lr=0.8; dense 3it lr=0.6 warmup=3it"
    assert _rates(text) == [[0.4, 0.8], [0.8, 0.8], pytest.approx([0.2, 0.4, 0.6])]


def test_a_warm_up_goes_by_the_phase_whatever_clock_the_shape_has() -> None:
    """The shape stands at 4 of 8 when the second phase begins; the warm-up is at its first update there."""
    text = "set clock=global decay=linear lr=0.8; dense 4it; sparse 50% 4it lr=0.8 warmup=2it"
    first, second = _rates(text)
    assert first == pytest.approx([0.8, 0.7, 0.6, 0.5])
    assert second == pytest.approx([0.4 / 2, 0.3, 0.2, 0.1])


def test_what_the_next_phase_takes_over_is_the_end_of_the_shape_and_not_the_last_update() -> None:
    """A linear decay to 0.2 over 4 updates ends at 0.2 after them; the last update itself used 0.35."""
    first, second = _rates("dense 4it lr=0.8 decay=linear floor=0.2 until val.loss < 0; dense 1it lr=last")
    assert first[-1] == pytest.approx(0.35)
    assert second == pytest.approx([0.2])


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        ("decay=linear", lambda share: 0.8 * (1 - share)),
        ("decay=cosine", lambda share: 0.4 * (1 + math.cos(math.pi * share))),
        ("decay=step(50%,by=0.5)", lambda share: 0.8 if share < 0.5 else 0.4),
    ],
)
def test_a_reference_clock_has_the_offset_and_the_length_of_the_phase_it_names(shape, value) -> None:  # type: ignore[no-untyped-def]
    """`clock=@a.3it` stands at 3 of a's 8 updates, whatever came before and between, however long its phase is."""
    text = f"dense 2it lr=0.3; a: dense 8it lr=0.8; dense 5it lr=0.1; sparse 50% 4it lr=0.8 {shape} clock=@a.3it"
    assert _rates(text)[3] == pytest.approx([value((3 + update) / 8) for update in range(4)])


def test_a_reference_clock_past_the_end_stays_at_the_end() -> None:
    text = "a: dense 4it lr=0.8; sparse 50% 4it lr=0.8 decay=linear floor=0.1 clock=@a.2it"
    assert _rates(text)[1] == pytest.approx([0.45, 0.275, 0.1, 0.1])


def test_the_rate_a_session_tells_is_that_of_the_update_to_come() -> None:
    model = network()
    session = begin("dense 4it lr=0.8 decay=linear", model, optim.SGD(model.parameters(), lr=1.0))
    told = []
    for _ in range(4):
        session.begin_step()
        told.append(session.phase.lr)
        one_update(session, model)
    assert told == pytest.approx([0.8, 0.6, 0.4, 0.2])
