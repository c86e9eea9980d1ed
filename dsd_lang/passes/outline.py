"""The program with its loops unrolled: items, groups and forks; the form between the tree and the phases.

Group    items in order; its lengths are not inherited outside of it
Item     a phase with its variables; a copy made by `repeat` refers to its original
ForkItem branches that all start here; the line continues from here afterwards
TailItem a `repeat` without a block, until the pass `expand_repeats` replaces it by copies
Claim    a `compare` or `expect`, with its variables
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.passes.quantities import Names
from dsd_lang.passes.scopes import Whole
from dsd_lang.syntax import nodes


class Round(NamedTuple):
    """One round of a `repeat ... until` loop."""

    loop: str
    number: int
    until: nodes.Until
    names: Names


class OutlineItem:
    """One phase to be."""

    __slots__ = ("names", "node", "original", "override", "repeat_span", "scale", "texts", "whole")

    def __init__(
        self,
        node: nodes.Phase,
        names: Names,
        texts: Mapping[str, str],
        *,
        whole: Whole | None = None,
        original: OutlineItem | None = None,
        override: nodes.Phase | None = None,
        scale: Fraction = Fraction(1),
        repeat_span: Span | None = None,
    ) -> None:
        self.node = node
        self.names = names
        self.texts = texts
        self.whole = whole
        self.original = original
        self.override = override
        self.scale = scale
        self.repeat_span = repeat_span


class TailItem(NamedTuple):
    """A `repeat` without a block that is still to be replaced by copies."""

    node: nodes.RepeatTail
    names: Names
    texts: Mapping[str, str]
    whole: Whole | None = None


class Claim(NamedTuple):
    """A `compare` or `expect` and its position."""

    node: nodes.Compare | nodes.Expect
    names: Names


class Group:
    """Items in order. A block's lengths are not inherited outside of it; a round belongs to a loop with `until`.

    ``label`` names the last phase of the group: that of a call or `within`.
    """

    __slots__ = ("is_block", "items", "label", "round")

    def __init__(
        self, items: list[Element], *, is_block: bool = False, round: Round | None = None, label: str | None = None
    ) -> None:
        self.items = items
        self.is_block = is_block
        self.round = round
        self.label = label


class ForkItem(NamedTuple):
    """Branches that start from the current state, as (name, body); ``seeds`` and ``rng`` are None if not given."""

    node: nodes.Fork | nodes.Sweep
    branches: tuple[tuple[str, Group], ...]
    seeds: int | None
    rng: str | None


Element = OutlineItem | TailItem | Claim | Group | ForkItem


def last_on_line(group: Group) -> OutlineItem | None:
    """The last phase of a group on its own line, ignoring branches."""
    stack: list[Element] = [group]
    while stack:
        element = stack.pop()
        if isinstance(element, OutlineItem):
            return element
        if isinstance(element, Group):
            stack += element.items
    return None
