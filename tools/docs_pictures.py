"""Draws the pictures of the pages: phase graphs as `dsd-plan --graph svg` prints them, and timelines."""

from __future__ import annotations

import dsd_lang
from dsd_lang.views.timeline_svg import standalone_timeline

PICTURES: dict[str, str] = {
    "assets/fork.svg": (
        "base: dense 10ep lr=0.1\n"
        "fork { dsd: { sparse 50% 5ep lr=1e-2; dense 5ep lr=1e-3 }\n"
        "       finetune: { dense 5ep lr=1e-2; dense 5ep lr=1e-3 } }\n"
    ),
    "assets/ticket.svg": (
        "full: dense 10ep lr=0.1\n"
        "fork { ticket: sparse 80% from=@full.start\n"
        "       late: sparse 80% from=@full.500it clock=@full.500it\n"
        "       random: sparse 80% from=random }\n"
    ),
}
TIMELINES: dict[str, str] = {
    "assets/idea.svg": "dense 50ep lr=8e-4; sparse 50% layers=fc,birnn; dense lr=3e-4; repeat sparse 25%\n",
    "assets/fair.svg": (
        "base: dense 4ep lr=0.05\n"
        "fork { dsd: { sparse 50% 4ep; dense 2ep }\n"
        "       plain: { dense 4ep; dense 2ep lr=prev/10 } }\n"
    ),
}
DRAWN = (*PICTURES, *TIMELINES)
_WIDTH = 720


def picture(path: str) -> str:
    """The SVG at a path in docs/."""
    if path in TIMELINES:
        return standalone_timeline(dsd_lang.compile(TIMELINES[path]), _WIDTH)
    return dsd_lang.PhaseGraph(dsd_lang.compile(PICTURES[path])).to_svg().rstrip("\n") + "\n"
