"""The timeline: bars, curves, branches, what is not to scale, and what is left out."""

from __future__ import annotations

import re

import pytest

import dsd_lang
from dsd_lang.views.timeline import can_draw_blocks, timeline_text

EXAMPLE = "dense 50ep lr=8e-4; sparse 0.5 layers=fc,birnn 50ep; dense lr=3e-4; repeat sparse 0.25"
DRAWN = """\
epochs  0             50             100           150            200        250
        █ 0 dense ███ ▒ 1 50% ▒▒▒▒▒▒ █ 2 dense ███ ▓ 3 25% ▓▓▓▓▓▓ █ 4 dense ████
pruned                ███████████████              ▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄
        █████████████████████████████▄▄▄▄▄▄▄▄▄▄▄▄▄▄
lr      ███████████████████████████████████████████▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▂▂▂▂▂▂▂▂▂▂▂▂▂▂
█ dense; ▓ sparse, under 1/3 pruned; ▒ sparse, 1/3 to 2/3
lr: 3e-5 to 8e-4, on a logarithmic scale; pruned: the full height is 100%
"""


def drawn(text: str, width: int = 80, **options) -> str:
    return timeline_text(dsd_lang.compile(text), width=width, **options)


def row(picture: str, name: str) -> str:
    """The row of that name, without the margin."""
    return next(line for line in picture.splitlines() if line.strip().split(" ")[0] == name)


def test_the_example_in_80_columns() -> None:
    assert drawn(EXAMPLE) == DRAWN


def test_ascii_has_the_same_shape() -> None:
    picture = drawn(EXAMPLE, is_ascii=True)
    assert picture.isascii()
    assert "# 0 dense ### - 1 50% ------ # 2 dense ### = 3 25% ======" in picture
    assert [len(line) for line in picture.splitlines()[:2]] == [len(line) for line in DRAWN.splitlines()[:2]]


@pytest.mark.parametrize("width", [24, 40, 80, 133])
def test_it_keeps_to_the_width(width: int) -> None:
    for text in (EXAMPLE, "dense 3ep lr=1; fork { a: sparse 0->90% 500it; a_branch_of_a_very_long_name: dense 0ep }"):
        assert max(len(line) for line in drawn(text, width).splitlines()) <= width


def test_colour_changes_nothing_but_colour() -> None:
    picture = drawn(EXAMPLE, is_coloured=True)
    assert re.sub(r"\033\[[\d;]*m", "", picture) == DRAWN
    assert "\033[34m" in picture
    assert "\033[33m" in picture


def test_a_ramp_and_a_decay_are_drawn_from_their_closed_forms() -> None:
    picture = drawn("set lr=0.1 decay=linear clock=global\ndense 50ep\nsparse 0->100%*0.96 ramp=linear 50ep", width=72)
    levels = [" ▁▂▃▄▅▆▇█".index(character) for character in row(picture, "lr")[8:]]
    assert levels == sorted(levels, reverse=True)
    pruned = [" ▁▂▃▄▅▆▇█".index(character) for character in row(picture, "pruned")[8:]]
    assert pruned == sorted(pruned)
    assert pruned[:32] == [0] * 32


def test_a_branch_starts_where_it_forks() -> None:
    picture = drawn("dense 10ep lr=1; fork { a: { sparse 50% 5ep; dense 5ep }  b: dense 10ep }; dense 10ep", width=56)
    assert [line.index("█") if "█" in line else None for line in picture.splitlines()[1:2]] == [8]
    rows = {name: row(picture, name) for name in ("main", "a", "b")}
    assert rows["main"][8:].startswith("█ 0 dense")
    assert rows["a"].index("▒") == rows["b"].index("█") == 32
    assert rows["b"].rstrip().endswith("█")


def test_seeds_that_look_alike_are_one_line() -> None:
    picture = drawn("dense 5ep lr=1; fork seeds=16 { a: sparse 50% 5ep; b: dense 5ep }")
    assert "a x16" in picture
    assert "b x16" in picture
    assert "seed" not in picture


def test_a_phase_of_no_length_is_seen_and_named() -> None:
    picture = drawn("dense 10ep lr=1; sparse 80% 0ep; dense 10ep", width=48)
    assert "pruned:" not in picture
    assert "◆" in picture.splitlines()[1]
    assert "◆ too short to draw: 1 sparse 80% (0ep)" in picture


def test_a_plan_without_any_length() -> None:
    picture = drawn("sparse 50% 0ep lr=1; dense")
    assert "◆ too short to draw: 0 sparse 50% (0ep), 1 dense (0ep)" in picture


def test_epochs_and_updates_are_not_put_on_one_axis_unasked() -> None:
    text = "dense 5ep lr=1 warmup=50it; sparse 50% 500it"
    picture = drawn(text)
    assert "all phases are drawn at the same length" in " ".join(picture.split())
    assert "epochs " not in picture
    assert "0 dense 5ep" in picture
    assert "1 sparse 50% 500it" in picture
    assert "warmup=50it (`--steps-per-epoch N` relates `ep` and `it`)" in " ".join(picture.split())
    to_scale = drawn(text, steps_per_epoch=100)
    assert to_scale.startswith("epochs")
    assert "Drawn with 100 updates per epoch." in to_scale
    bar = to_scale.splitlines()[1]
    assert bar.count("█") + len(" 0 dense ") == pytest.approx(bar.count("▒") + len(" 1 sparse 50% "), abs=2)


def test_a_hundred_phases_are_a_mean() -> None:
    picture = drawn("dense 1ep lr=1; repeat 50 { sparse 50% 1ep; dense 1ep lr=prev }")
    assert "are narrower than a column" in picture
    assert len(picture.splitlines()) < 12


def test_two_hundred_branches_are_cut_with_a_sentence() -> None:
    text = "dense 10ep lr=1; sweep s in " + ", ".join(f"{i / 4}%" for i in range(1, 201)) + " { sparse s 10ep }"
    plan = dsd_lang.compile(text)
    picture = timeline_text(plan, width=80)
    assert len(picture.splitlines()) < 45
    assert "169 of 201 lines are left out, from `s=6.0%` to `s=48.0%`" in picture
    assert "s=50.0%" in picture
    assert "Learning rates are left out beside so many lines" in picture
    assert sum(line.startswith("s=") for line in timeline_text(plan, width=80, is_whole=True).splitlines()) == 200


def test_what_only_the_model_or_the_run_knows_is_said() -> None:
    picture = drawn(
        "a: dense 5ep lr=1 decay=exp(0.9) until val.err < 10%\n"
        "sparse [conv: 20%, fc: 50%] 5ep lr=last/2; dense clock=@a.best"
    )
    assert "1 phase is drawn at full length and may end sooner (`until`)." in picture
    assert "a share that depends on the model (`--model`)" in picture
    assert "a rate that depends on the final rate of a phase that may stop early" in picture
    assert "a rate whose clock is only known in the run" in picture
    assert "·" in row(picture, "lr")


def test_rates_of_the_optimizer_are_multiples() -> None:
    assert "lr: 0.1 to 1 x the optimizer's own" in drawn("dense 5ep; sparse 50%; dense")
    assert "the optimizer's own, beside rates that are numbers" in drawn("dense 5ep; sparse 50% lr=0.1; dense")


def test_the_encoding_decides_about_blocks() -> None:
    assert can_draw_blocks("utf-8")
    assert not can_draw_blocks("ascii")
    assert not can_draw_blocks("latin-1")
    assert not can_draw_blocks(None)
