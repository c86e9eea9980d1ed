"""When conditions on reported metrics become true, report by report: `plateau`, `falling`, `gain`, `drop`."""

from __future__ import annotations

import math

import pytest
from engine_loops import begin, network, one_update
from torch import optim

NAN = math.nan


def _cycles(condition: str, values: list[float], metric: str, bound: int = 9) -> int:
    """How many one-update cycles a loop trains when each reports one value."""
    model = network()
    text = f"repeat {bound} until {condition} {{ dense 1it lr=0.1 }}; sparse 50% 1it"
    session = begin(text, model, optim.SGD(model.parameters(), lr=0.1))
    cycles = 0
    for value in values:
        session.begin_step()
        if session.phase.mode == "sparse":
            return cycles
        cycles += 1
        one_update(session, model)
        session.report({metric: value})
    session.begin_step()
    return cycles if session.phase.mode == "sparse" else -1


@pytest.mark.parametrize(
    ("condition", "values", "cycles"),
    [
        ("drop(val.acc) > 0.3", [0.5, 0.9, 0.7, 0.65, 0.55, 0.1], 5),
        ("drop(val.acc) > 0.3", [0.9, 0.65, 0.55], 3),
        ("drop(val.acc) >= 0.25", [0.5, 0.25], 2),
        ("drop(val.loss) > 0.3", [0.5, 0.2, 0.4, 0.45, 0.6], 5),
        ("falling(val.acc)", [0.5, 0.6, 0.55, 0.1], 3),
        ("falling(val.acc, rounds=1)", [0.5, 0.4], 2),
        ("falling(val.acc, rounds=2)", [0.5, 0.4, 0.45, 0.4, 0.3, 0.2], 5),
        ("falling(val.acc, rounds=2)", [0.9, 0.8, 0.7], 3),
        ("falling(val.acc, rounds=3)", [0.9, 0.8, 0.8, 0.7, 0.6, 0.5], 6),
        ("falling(val.loss, rounds=2)", [0.5, 0.6, 0.7, 0.4, 0.3], 5),
        ("falling(entropy.relu, rounds=2)", [0.5, 0.6, 0.55, 0.5], 4),
        ("drop(entropy.relu) > 0.2", [0.9, 0.8, 0.65], 3),
        ("gain(val.acc) < 0.1", [0.1, 0.3, 0.5, 0.55, 0.9], 4),
        ("gain(val.loss) < 0.1", [0.9, 0.7, 0.5, 0.6], 4),
        ("gain(val.loss) < 0", [0.9, 0.85, 0.84, 0.9], 4),
    ],
)
def test_a_loop_ends_after_as_many_cycles(condition: str, values: list[float], cycles: int) -> None:
    metric = condition.partition("(")[2].partition(",")[0].partition(")")[0]
    assert _cycles(condition, values, metric) == cycles


def test_one_value_is_neither_a_gain_nor_a_drop_nor_a_fall() -> None:
    for condition in ("gain(val.acc) < 9", "drop(val.acc) < 9", "falling(val.acc)"):
        assert _cycles(condition, [0.5], "val.acc") == -1


def test_what_was_reported_before_a_loop_is_what_its_first_cycle_is_measured_by() -> None:
    model = network()
    text = "dense 1it lr=0.1; repeat 5 until gain(val.loss) < 0.1 { dense 1it lr=0.1 }; sparse 50% 1it"
    session = begin(text, model, optim.SGD(model.parameters(), lr=0.1))
    phases = []
    for value in (0.5, 0.45, 0.1):
        one_update(session, model)
        phases.append(session.phase.index)
        session.report({"val.loss": value})
    assert phases == [0, 1, 6]


def _reports(until: str, values: list[float], metric: str = "val.loss") -> int:
    """After how many reports a phase of one update a report ends."""
    model = network()
    session = begin(f"dense 20it lr=0.1 until {until}; sparse 50% 1it", model, optim.SGD(model.parameters(), lr=0.1))
    for count, value in enumerate(values, 1):
        one_update(session, model)
        session.report({metric: value})
        if session.is_phase_over:
            return count
    return -1


@pytest.mark.parametrize(
    ("until", "values", "reports"),
    [
        ("plateau(val.loss)", [0.5, 0.5, 0.5, 0.5, 0.1], 4),
        ("plateau(val.loss, patience=1)", [0.5, 0.4, 0.4], 3),
        ("plateau(val.loss, patience=2)", [0.5, 0.6, 0.4, 0.41, 0.39, 0.4, 0.39], 7),
        ("plateau(val.loss, patience=2)", [0.5, 0.7, 0.6], 3),
        ("plateau(val.loss, patience=2, delta=0.1)", [0.5, 0.45, 0.39, 0.35, 0.3], 5),
        ("plateau(val.acc, patience=2)", [0.5, 0.6, 0.55, 0.6], 4),
        ("plateau(val.acc, patience=2, delta=0.2)", [0.5, 0.6, 0.75, 0.8, 0.9], 5),
        ("val.loss < 0.5", [0.5, 0.6, 0.49], 3),
        ("val.loss <= 0.5", [0.6, 0.5], 2),
        ("val.loss > 0.5", [0.5, 0.51], 2),
        ("val.loss >= 0.5", [0.4, 0.5], 2),
        ("val.loss == 0.5", [0.4, 0.5], 2),
        ("val.loss != 0.5", [0.5, 0.4], 2),
        ("not val.loss > 0.5", [0.6, 0.5], 2),
        ("val.loss < 0.5 or plateau(val.loss, patience=1)", [0.9, 0.8, 0.8], 3),
        ("val.loss < 0.5 and plateau(val.loss, patience=1)", [0.9, 0.9, 0.4, 0.4], 4),
        ("val.loss < 1 - 0.5", [0.6, 0.49], 2),
        ("val.loss < 0.25 * 2", [0.6, 0.49], 2),
        ("val.loss / 2 < 0.25", [0.5, 0.49], 2),
        ("val.loss + 1 < 1.5", [0.5, 0.49], 2),
    ],
)
def test_a_phase_ends_at_that_report(until: str, values: list[float], reports: int) -> None:
    assert _reports(until, values, "val.acc" if "val.acc" in until else "val.loss") == reports


def test_a_nan_is_no_improvement_and_no_threshold() -> None:
    assert _reports("plateau(val.loss, patience=2)", [0.5, NAN, NAN]) == 3
    assert _reports("val.loss < 0.5", [NAN, 0.4]) == 2


def test_a_plateau_is_counted_anew_in_every_phase() -> None:
    model = network()
    text = "dense 2it lr=0.1; dense 9it lr=0.1 until plateau(val.loss, patience=2); sparse 50% 1it"
    session = begin(text, model, optim.SGD(model.parameters(), lr=0.1))
    phases = []
    for value in (0.1, 0.1, 0.9, 0.8, 0.85, 0.8, 0.5):
        one_update(session, model)
        phases.append(session.phase.index)
        session.report({"val.loss": value})
    assert phases == [0, 0, 1, 1, 1, 1, 2]
