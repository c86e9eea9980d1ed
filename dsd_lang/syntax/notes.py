"""What was found out about the statements and phases of a text, for the next version of it.

Notes are kept by offset. A part of a text that is not read again keeps its notes, found by the offsets that it had.
A note may say only what follows from the text of the statement itself and from the names that the program gives
values; that of a phase also from the values of the variables that it uses. Nothing is noted about a statement or phase
with a diagnostic, so the only positions in notes are those of nodes, which are moved.
"""

from __future__ import annotations

from typing import Any

from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.syntax.moving import Move


class Kept(NamedTuple):
    """What is the same as in an earlier version: up to ``head_end``, and from ``tail_start`` on, which has moved."""

    head_end: int
    tail_start: int
    move: Move


class Notes:
    """The notes of one version.

    ``phases`` are values by the offset of the keyword and the values of the variables that the phase uses, ``sound``
    the offsets of statements outside of all blocks, and ``names`` what their soundness depends on besides.
    """

    __slots__ = ("_earlier", "_kept", "names", "phases", "sound")

    def __init__(self, earlier: Notes | None = None, kept: Kept | None = None) -> None:
        self.phases: dict[tuple[int, tuple[object, ...]], Any] = {}
        self.sound: set[int] = set()
        self._earlier = ({}, set()) if earlier is None else (earlier.phases, earlier.sound)
        self.names: tuple[object, ...] = () if earlier is None else earlier.names
        self._kept = kept

    def depend_on(self, *names: object) -> None:
        """Forgets what statements were found to be, if the names that the program gives values are others now."""
        if names != self.names:
            self._earlier = (self._earlier[0], set())
            self.names = names

    def phase(self, offset: int, variables: tuple[object, ...]) -> tuple[Any, Move] | None:
        """The earlier note about a phase that was not read again, and how far the phase has moved since."""
        found = self._before(offset)
        if found is None:
            return None
        value = self._earlier[0].get((found[0], variables))
        return None if value is None else (value, found[1])

    def is_sound(self, offset: int) -> bool:
        """Whether the statement at an offset was not read again, and was found to be without mistakes."""
        found = self._before(offset)
        return found is not None and found[0] in self._earlier[1]

    def _before(self, offset: int) -> tuple[int, Move] | None:
        """The offset in the earlier version of what stands at this one now."""
        kept = self._kept
        if kept is None:
            return None
        if offset < kept.head_end:
            return offset, _STAYS
        if offset >= kept.tail_start:
            return offset - kept.move.offsets, kept.move
        return None


_STAYS = Move(0, 0)
