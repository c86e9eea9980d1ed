"""Schedules in, the pictures of their phase graphs out: what `dsd-plan --graph svg` prints."""

from __future__ import annotations

import dsd_lang

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


def picture(path: str) -> str:
    """The SVG at a path below docs/."""
    return dsd_lang.PhaseGraph(dsd_lang.compile(PICTURES[path])).to_svg().rstrip("\n") + "\n"
