"""`within`: lengths as shares of a whole, and one rate through all phases of the block."""

from __future__ import annotations

from fractions import Fraction

import pytest

import dsd_lang
from dsd_lang.analysis import analyse
from dsd_lang.base.units import exact


def lengths(text: str) -> list[str]:
    return [str(phase.duration.length) for phase in dsd_lang.compile(text).phases]


def test_shares_and_the_rest() -> None:
    assert lengths("within 100ep { dense 10% lr=0.1; sparse 0->90% 70%; sparse held }") == ["10ep", "70ep", "20ep"]
    assert lengths("let n = 8ep\nwithin n*2 { dense lr=0.1; sparse 50% 4ep; dense 25% }") == ["8ep", "4ep", "4ep"]
    assert lengths("within 12ep { repeat 2 { dense 25% lr=0.1; sparse 50% } }") == ["3ep", "3ep", "3ep", "3ep"]
    assert lengths("within 10ep { dense 40% lr=0.1; sparse 50% 10%; dense 10%; repeat }")[3:] == ["1ep", "1ep"]


def test_updates_are_whole_and_end_where_the_shares_do() -> None:
    found = lengths("within 100it { dense 33.5% lr=0.1; sparse 50% 33.5%; dense }")
    assert found == ["34it", "33it", "33it"]


def test_one_rate_runs_through_unless_a_phase_has_its_own() -> None:
    text = "within 100ep { dense 10% lr=0.1 decay=cosine; sparse 50% 60%; dense 10% lr=1e-3; dense }"
    phases = dsd_lang.compile(text).phases
    assert [phase.lr.start for phase in phases] == ["0.1", "0.1", "1e-3", "0.1"]
    assert [phase.lr.decay.kind for phase in phases] == ["cosine", "cosine", "constant", "cosine"]
    clocks = [(phase.clock.kind, phase.clock.start and str(phase.clock.start.length)) for phase in phases]
    assert clocks == [("block", "0ep"), ("block", "10ep"), ("phase", None), ("block", "80ep")]
    assert phases[1].why == "lr the one rate of the `within`"


def test_the_same_rates_as_one_phase_with_a_mask_in_the_middle() -> None:
    """The shape is that of the whole: a block of three phases has the curve of one phase."""
    block = dsd_lang.compile("within 9ep { dense 3ep lr=1 decay=cosine; sparse 50% 3ep; dense }")
    for index, phase in enumerate(block.phases):
        assert phase.clock.start is not None
        assert phase.clock.length is not None
        assert exact(phase.clock.start.value) == Fraction(3 * index)
        assert phase.clock.length.value == "9"


@pytest.mark.parametrize(
    ("text", "warmups"),
    [
        ("dense 100ep lr=0.1 warmup=3%", ["3ep"]),
        ("dense 50it lr=0.1 warmup=5%; dense 70it warmup=5%", ["2it", "4it"]),
        ("set warmup=10%\ndense 20ep lr=0.1; sparse 50% 5ep; dense", ["2ep", "0.5ep", "0.5ep"]),
        ("set warmup=10%\ndense 20ep lr=0.1 warmup=none", [None]),
        ("set warmup=2%\nwithin 100ep { dense 10% lr=0.1; sparse 50% 50%; dense lr=0.01 }", ["2ep", None, "0.8ep"]),
        ("for w in 1%, 2% { dense 100ep lr=0.1 warmup=w }", ["1ep", "2ep"]),
    ],
)
def test_a_warm_up_is_a_share_of_what_its_rate_runs_over(text: str, warmups: list[str | None]) -> None:
    phases = dsd_lang.compile(text).phases
    assert [phase.lr.warmup and str(phase.lr.warmup.length) for phase in phases] == warmups


def test_a_share_and_the_length_that_it_means_are_one_schedule() -> None:
    assert dsd_lang.compile("dense 40ep lr=1 warmup=5%").hash == dsd_lang.compile("dense 40ep lr=1 warmup=2ep").hash
    codes = [found.code for found in analyse("dense 40ep lr=1 warmup=101%").diagnostics]
    assert codes == ["DSD410"]
    assert [found.code for found in analyse("dense 40ep lr=1 warmup=-1%").diagnostics] == ["DSD402"]
    assert [found.code for found in analyse("dense 40ep lr=1 calibrate=3%").diagnostics] == ["DSD402"]


def test_what_follows_a_block_does_not_inherit_its_lengths() -> None:
    assert lengths("dense 7ep lr=0.1\nwithin 10ep { sparse 50% 50%; dense }\ndense") == ["7ep", "5ep", "5ep", "7ep"]


def test_the_label_of_a_block_is_its_last_phase() -> None:
    plan = dsd_lang.compile("whole: within 10ep { dense 50% lr=0.1; sparse 50% }\ndense 1ep from=@whole.end")
    assert [(one.phase, one.moment) for one in plan.checkpoints] == [("p1", "end")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("within 100ep { dense 40% lr=1; sparse 50% 80% }", "the phases take 120ep, the block around them 100ep"),
        ("within 100ep { dense 50% lr=1; sparse 50% 50%; dense }",
         "nothing is left of 100ep for the phase without a length"),
        ("within 9ep { dense lr=1; sparse 50% }",
         "one phase of a `within` may leave its length out and takes the rest: this is a second one"),
        ("within 9ep { dense 5it lr=1; sparse 50% }", None),
        ("within 50% { dense lr=1 }", "`within` takes a length above 0, found `50%`"),
        ("within 9ep { dense 10% lr=1; fork { a: dense 5% } }",
         "a `fork` cannot stand in a `within`: its branches have no common whole"),
        ("within 9ep { dense 10% lr=1; within 3ep { dense } }", "a `within` cannot stand in another one"),
    ],
)  # fmt: skip
def test_mistakes(text: str, message: str | None) -> None:
    found = [(item.code, item.message) for item in analyse(text).errors]
    assert ("DSD408", message) in found if message is not None else [one for one in found if one[0] == "DSD408"], found


def test_outside_of_a_block_a_share_is_no_length() -> None:
    assert [item.code for item in analyse("dense 10% lr=1").errors][:1] == ["DSD101"]
    assert [item.code for item in analyse("dense 1ep lr=1\nsparse 50% 20%").errors] == ["DSD101"]
