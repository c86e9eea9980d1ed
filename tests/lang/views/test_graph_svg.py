"""The SVG of a phase graph: well-formed, nothing on top of anything else, lines along the shorter way."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations

import pytest

import dsd_lang
from dsd_lang.views.graph import PhaseGraph

SCHEDULES = [
    "dense 5ep",
    "dense 5ep lr=1; sparse 50%; dense; repeat 3",
    "a: dense 5ep lr=1; sparse 50%; dense restore=@a.end; sparse 60% from=@a.start",
    "dense 5ep lr=1; fork seeds=4 { a: { sparse 50% layers=\"l<1>&*\"; dense }  b: dense }; dense",
]  # fmt: skip
SVG = "{http://www.w3.org/2000/svg}"


def boxes(text: str) -> list[tuple[int, int, int, int]]:
    """Left, top, right, bottom of every phase's box."""
    root = ElementTree.fromstring(text)
    found = [[int(box.get(name, "")) for name in ("x", "y", "width", "height")] for box in root.iter(f"{SVG}rect")]
    return [(x, y, x + width, y + height) for x, y, width, height in found]


@pytest.mark.parametrize("text", SCHEDULES)
def test_boxes_stand_apart_and_inside(text: str) -> None:
    plan = dsd_lang.compile(text)
    picture = PhaseGraph(plan).to_svg()
    places = boxes(picture)
    assert len(places) == len(plan.phases)
    size = re.search(r'width="(\d+)" height="(\d+)"', picture)
    assert size is not None
    for left, top, right, bottom in places:
        assert 0 <= left < right <= int(size[1])
        assert 0 <= top < bottom <= int(size[2])
    for one, other in combinations(places, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def test_many_branches_are_rows_and_long_lines_columns() -> None:
    wide = PhaseGraph(dsd_lang.compile("dense 5ep lr=1; sweep s in 1%, 2%, 3%, 4%, 5%, 6%, 7%, 8% { sparse s }"))
    long = PhaseGraph(dsd_lang.compile("dense 5ep lr=1; sparse 50%; dense; repeat 3"))
    assert (wide.runs_across, long.runs_across) == (True, False)
    assert (wide.to_mermaid().splitlines()[0], long.to_mermaid().splitlines()[0]) == ("flowchart LR", "flowchart TD")
    assert "rankdir=LR" in wide.to_dot()
    for graph in (wide, long):
        places = boxes(graph.to_svg())
        assert max(right for _, _, right, _ in places) < max(bottom for _, _, _, bottom in places)


def test_a_checkpoint_that_is_used_is_named_and_drawn_where_few_use_it() -> None:
    few = PhaseGraph(dsd_lang.compile("a: dense 5ep lr=1; sparse 50%; dense restore=@a.end")).to_svg()
    assert "restore: phase 0" in few
    assert "stroke-dasharray" in few
    many = PhaseGraph(
        dsd_lang.compile("a: dense 5ep lr=1; dense; sweep s in 1%, 2%, 3%, 4%, 5%, 6% { sparse s from=@a.start }")
    ).to_svg()
    assert many.count("from: phase 0") == 6 * 2  # in the box and in its tooltip
    assert "stroke-dasharray" not in many
