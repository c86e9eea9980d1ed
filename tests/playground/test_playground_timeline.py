"""The timeline's picture: bars to scale, filled to what is alive, one lane a branch, nothing unescaped."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import dsd_lang
from dsd_lang.views.timeline_svg import MAX_LANES, Picture, timeline_picture

SVG = "{http://www.w3.org/2000/svg}"
SCHEDULES = sorted((Path(__file__).resolve().parents[2] / "schedules").glob("*.dsd"))


def picture(text: str, width: int = 620) -> Picture:
    return timeline_picture(dsd_lang.compile(text), width)


def bars(svg: str) -> list[ElementTree.Element]:
    return [one for one in ElementTree.fromstring(svg).iter(f"{SVG}g") if "phase" in one.get("class", "")]


def track(bar: ElementTree.Element) -> tuple[float, float]:
    [rect] = [one for one in bar.iter(f"{SVG}rect") if one.get("class") == "track"]
    return float(rect.get("x", "nan")), float(rect.get("width", "nan"))


def heights(bar: ElementTree.Element) -> list[float]:
    [area] = bar.iter(f"{SVG}polygon")
    return [float(point.split(",")[1]) for point in area.get("points", "").split()]


@pytest.mark.parametrize("path", SCHEDULES, ids=lambda path: path.stem)
@pytest.mark.parametrize("width", [280, 900])
def test_every_schedule_is_drawn_within_its_width(path: Path, width: int) -> None:
    drawn = timeline_picture(dsd_lang.compile_file(path), width)
    for bar in bars(drawn.svg):
        x, length = track(bar)
        assert x >= 0
        assert x + length <= width


def test_lengths_are_to_scale() -> None:
    (first, second) = (track(bar) for bar in bars(picture("dense 10ep lr=0.1; dense 30ep").svg))
    assert (second[1] + 1) / (first[1] + 1) == pytest.approx(3, rel=1e-2)
    assert second[0] == pytest.approx(first[0] + first[1] + 1, abs=0.2)


def test_a_bar_is_filled_to_what_is_alive() -> None:
    dense, sparse, _ = bars(picture("dense 10ep lr=0.1; sparse 75%; dense").svg)
    (ceiling, floor) = (min(heights(dense)), max(heights(dense)))
    assert floor - min(heights(sparse)) == pytest.approx((floor - ceiling) / 4, abs=0.1)


def test_a_ramp_is_a_curve_that_falls() -> None:
    _, ramp, _ = bars(picture("dense 10ep lr=0.1; sparse 0->90% 10ep; dense").svg)
    curve = heights(ramp)[1:-1]
    assert curve == sorted(curve)
    assert len(set(curve)) > 20


def test_a_share_that_only_the_model_tells_is_marked() -> None:
    text = "dense 10ep lr=0.1; sparse [fc: 10%, conv: 50%]; dense"
    assert 'class="alive unknown"' in picture(text).svg


def test_branches_have_lanes_and_seeds_share_one() -> None:
    text = "base: dense 10ep lr=0.1\nfork seeds=4 {\n a: dense 5ep\n b: dense 5ep\n}\n"
    drawn = ElementTree.fromstring(picture(text).svg)
    names = [one.text for one in drawn.iter(f"{SVG}text") if one.get("class") == "lane"]
    assert names == ["main", "a x4", "b x4"]


def test_too_many_branches_are_said_to_be_missing() -> None:
    values = ", ".join(f"{number / 1000}" for number in range(1, MAX_LANES + 10))  # beside them is the main line
    drawn = picture(f"base: dense 10ep lr=0.1\nsweep w in {values} {{ dense 5ep wd=w }}\n")
    assert "10 branches in the middle are not drawn" in drawn.notes
    shown = bars(drawn.svg)
    assert [int(one.get("data-row", "")) for one in shown] == [*range(20), *range(30, 50)]
    [gap] = [one for one in ElementTree.fromstring(drawn.svg).iter(f"{SVG}text") if one.get("class") == "gap"]
    assert gap.text == "... 10 more branches ..."
    tops = [float(one.find(f"{SVG}rect").get("y", "")) for one in shown]  # type: ignore[union-attr]
    assert tops[19] < float(gap.get("y", "")) < tops[20]
    assert len(set(tops)) == MAX_LANES


def test_a_picture_of_very_many_branches_stays_small() -> None:
    values = ", ".join(f"{number}e-6" for number in range(1, 2001))
    drawn = picture(f"base: dense 10ep lr=0.1\nsweep w in {values} {{ dense 5ep wd=w }}\n")
    assert "1,961 branches in the middle are not drawn" in drawn.notes
    assert len(drawn.svg) < 30_000


def test_names_are_escaped() -> None:
    drawn = picture('dense 10ep lr=0.1; sparse 50% layers="<script>&"; dense')
    assert "<script>" not in drawn.svg
    assert any("<script>&" in (one.text or "") for one in ElementTree.fromstring(drawn.svg).iter(f"{SVG}title"))


def test_mixed_units_are_said() -> None:
    assert any("at the same length" in note for note in picture("dense 10ep lr=0.1; dense 100it").notes)


def test_rates_of_the_optimizers_own_are_multiples_of_it() -> None:
    drawn = picture("dense 10ep; sparse 50%; dense")
    levels = [one.text for one in ElementTree.fromstring(drawn.svg).iter(f"{SVG}text") if one.get("class") == "level"]
    assert levels == ["1 x own", "1 x own", "0.1 x own"]
    assert "optimizer" in drawn.notes[0]


def test_a_phase_of_no_length_is_drawn_and_has_no_rate_to_divide_by() -> None:
    drawn = picture("dense 0ep lr=0.1")
    assert len(bars(drawn.svg)) == 1
    assert "nan" not in drawn.svg
