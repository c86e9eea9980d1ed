"""Rules that were silent: what a loop's rounds, tail repeats and the global clock inherit."""

from __future__ import annotations

import pytest

import dsd_lang


def rows(text: str) -> list[tuple[str, str, str | None]]:
    """Mode, length and start of every phase."""
    phases = dsd_lang.compile(text).phases
    return [(phase.mode, str(phase.duration.length), phase.lr.start) for phase in phases]


def test_the_second_round_of_a_loop_inherits_from_the_last_phase_of_the_first() -> None:
    assert rows("dense 9ep lr=1; repeat 2 { sparse 50% 3ep layers=conv; dense; sparse 20% layers=fc 2ep }") == [
        ("dense", "9ep", "1"),
        ("sparse", "3ep", "1"), ("dense", "3ep", "0.1"), ("sparse", "2ep", "0.1"),
        ("sparse", "3ep", "0.1"), ("dense", "3ep", "0.01"), ("sparse", "2ep", "0.01"),
    ]  # fmt: skip
    plan = dsd_lang.compile("dense 9ep lr=1; for s in 10%, 20% { sparse s; sparse 50% layers=fc }")
    assert [phase.layers for phase in plan.phases[1:]] == [("prunable",), ("fc",), ("fc",), ("fc",)]


def test_a_tail_repeat_copies_the_whole_run_and_overrides_the_first_of_a_mode() -> None:
    plan = dsd_lang.compile(
        "dense 9ep lr=1; sparse 10% 4ep; sparse 20% 3ep; dense 2ep; dense 1ep; repeat sparse 30% then dense 5ep"
    )
    copied = plan.phases[5:]
    assert [phase.target.pruned for phase in copied if phase.target] == ["0.3", "0.2"]
    assert [str(phase.duration.length) for phase in copied] == ["4ep", "3ep", "5ep", "1ep"]


def test_rates_given_to_the_first_of_a_mode_leave_the_others_scaled() -> None:
    text = "dense 9ep lr=1; sparse 10%; sparse 20%; dense; repeat 2 sparse 30% lr=0.5 then dense lr=0.01"
    assert [start for _, _, start in rows(text)[4:]] == ["0.5", "0.1", "0.01", "0.5", "0.01", "0.01"]
    pair = "dense 9ep lr=1; sparse 10%; dense; repeat 900 sparse 30% lr=0.5 then dense lr=0.01"
    assert len(rows(pair)) == 1803  # nothing of the copy is scaled, so no rate leaves the range of numbers


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("set clock=global lr=1 decay=cosine\ndense 9ep; sparse 50%; dense", "1"),
        ("dense 9ep lr=1; sparse 50%; dense clock=global", "1"),
        ("set clock=global lr=1\ndense 9ep; sparse 50%; dense lr=prev/4", "0.25"),
        ("set clock=global lr=1\ndense 9ep; sparse 50%; dense clock=phase", "0.1"),
        ("dense 9ep lr=1; sparse 50%; dense", "0.1"),
    ],
)
def test_a_redense_under_the_global_clock_keeps_the_one_rate(text: str, last: str) -> None:
    phase = dsd_lang.compile(text).phases[-1]
    assert phase.lr.start == last
    assert ("clock=global" in phase.why) == (last == "1")


def test_why_says_so(tmp_path, capsys) -> None:
    from dsd_lang.cli.plan import main

    path = tmp_path / "a.dsd"
    path.write_text("set clock=global lr=1\ndense 9ep; sparse 50%; dense")
    assert main([str(path), "--why"]) == 0
    assert "the one rate of `clock=global`, from phase 1 (1)" in capsys.readouterr().out
