"""The characters of a timeline, as blocks and as plain ASCII."""

from __future__ import annotations

from dsd_lang.base.named_tuples import NamedTuple


class Glyphs(NamedTuple):
    """The fills of bars, the mark for phases too short to draw, and the levels of a curve from empty to full."""

    dense: str
    sparse: tuple[str, str, str]
    unknown_share: str
    mark: str
    unknown: str
    steps: str
    ellipsis: str

    def fill(self, pruned: float | None) -> str:
        """The fill of a sparse phase: lighter the more is pruned, in thirds."""
        return self.unknown_share if pruned is None else self.sparse[min(2, int(pruned * 3))]


BLOCKS = Glyphs("█", ("▓", "▒", "░"), "▞", "◆", "·", " ▁▂▃▄▅▆▇█", "…")
ASCII = Glyphs("#", ("=", "-", "."), "/", "*", "?", " .:-=+*%@", "...")


def can_draw_blocks(encoding: str | None) -> bool:
    """Whether an output encoding has the block characters."""
    try:
        "".join((BLOCKS.dense, *BLOCKS.sparse, BLOCKS.unknown_share, BLOCKS.mark, BLOCKS.steps)).encode(
            encoding or "ascii"
        )
    except (UnicodeEncodeError, LookupError):
        return False
    return True
