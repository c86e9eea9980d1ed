"""A schedule that asks nothing ends with one sentence on what was measured, by its shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from dsd_lang.plan import Phase
from dsd_runtime.results.reading import read_results
from tests.runtime.results.made_run import made_run

Measure = Callable[[Phase, int], Mapping[str, float]]
UNTESTED = "; nothing is tested: the schedule has no `compare`"
TICKETS = """full: dense 1ep lr=0.1
repeat 3 as n {
  fork seeds=2 { reinit: sparse 50% of=remaining 1ep from=random }
  ticket: sparse 50% of=remaining 1ep from=@full.start
}
"""


def _by_order(phase: Phase, epoch: int) -> Mapping[str, float]:
    """10 points of error after the first phase, one less after each further one."""
    return {"test.err": 10.0 - int(phase.id.removeprefix("p"))}


def _by_value(phase: Phase, epoch: int) -> Mapping[str, float]:
    """The share pruned decides; on the test data in the other direction than on the validation data."""
    share = 100 * float(phase.variables.get("s", "0.4"))
    return {"val.err": share + phase.seed_index, "test.err": 100 - share}


def _by_round(phase: Phase, epoch: int) -> Mapping[str, float]:
    """The ticket is worse than the dense network from the third round on, the control from the first."""
    number = int(phase.variables.get("n", "-1"))
    error = 2.0 if phase.label == "full" else 3.0 if phase.path or number == 2 else 1.5
    return {"test.err": error, "sparsity": 1 - 0.5 ** (number + 1)}


@pytest.mark.parametrize(
    ("text", "measure", "sentence"),
    [
        ("D1: dense 1ep lr=0.1; sparse 50% 1ep; D2: dense 1ep", _by_order,
         "test.err is 10 after `D1` and 8 after `D2`, 2 points lower"),
        ("dense 1ep lr=0.1", _by_order, "test.err is 10 after `p0`"),
        ("dense 1ep lr=0.1; sweep s in 10%, 30%, 50% { sparse s 1ep; dense 1ep }", _by_value,
         "of 3 branches `s=10%` has the best val.err (test.err 90) and `s=50%` the worst (50)"),
        ("dense 1ep lr=0.1; fork seeds=2 { a: sparse 50% 1ep\nb: dense 1ep }", _by_order,
         None),
        (TICKETS, _by_round,
         "no worse than the dense network (test.err 2): `reinit` nowhere, `ticket` down to 25% of the weights"),
    ],
)  # fmt: skip
def test_the_sentence_follows_the_shape_of_the_program(
    tmp_path: Path, text: str, measure: Measure, sentence: str | None
) -> None:
    made_run(tmp_path, text, measure)
    found = read_results(tmp_path)
    assert found.summary == (None if sentence is None else sentence + UNTESTED)
    assert found.verdicts == (() if sentence is None else (sentence + UNTESTED,))


def test_a_schedule_that_asks_is_answered_and_not_summed_up(tmp_path: Path) -> None:
    made_run(tmp_path, "dense 1ep lr=0.1; expect test.err < 20", _by_order)
    assert [verdict[:8] for verdict in read_results(tmp_path).verdicts] == ["expected"]
