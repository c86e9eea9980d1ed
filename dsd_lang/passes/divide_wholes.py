"""Divides the length of each `within` among its phases, and lets one learning rate run through them.

A phase without a length takes the rest; in a loop, its rounds share it. A phase with an `lr=` of its own, other than
the first, has a clock of its own, too.
"""

from __future__ import annotations

from fractions import Fraction

from dsd_lang import rules
from dsd_lang.base.units import round_half_even
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.compilation import Compilation
from dsd_lang.passes.draft import Block, Draft
from dsd_lang.passes.quantities import Quantity
from dsd_lang.passes.scopes import Whole
from dsd_lang.passes.values import FAILED


def divide_wholes(compilation: Compilation) -> None:
    """Fills in ``length`` of the phases that take the rest of a `within`, and ``block`` of every draft."""
    blocks: dict[tuple[int, str], list[Draft]] = {}
    for draft in compilation.book.phases:
        draft.block = None
        if draft.item.whole is not None:
            blocks.setdefault((id(draft.item.whole), draft.path), []).append(draft)
    for drafts in blocks.values():
        whole = drafts[0].item.whole
        assert whole is not None, "only phases with a whole are collected"
        if _divide(drafts, whole, compilation.diagnostics):
            _run_through(drafts, whole)


def _divide(drafts: list[Draft], whole: Whole, diagnostics: Diagnostics) -> bool:
    """Whether the phases have their lengths; otherwise it is reported why not."""
    rests = [draft for draft in drafts if draft.length is None and draft.given.length is not FAILED]
    if any(draft.length is None for draft in drafts if draft not in rests):
        return False
    second = next((draft for draft in rests if draft.item.node is not rests[0].item.node), None)
    if second is not None:
        diagnostics.report(rules.shares_past_whole.second_rest(second.node.mode_span))
        return False
    taken = Fraction(0)
    for draft in drafts:
        if draft.length is not None and draft.length.unit != whole.length.unit:
            diagnostics.report(
                rules.shares_past_whole.other_unit(draft.node.span, str(draft.length), str(whole.length))
            )
            return False
        taken += draft.length.value if draft.length is not None else 0
    left = whole.length.value - taken
    if left < 0:
        given = str(whole.length._replace(value=taken))
        diagnostics.report(rules.shares_past_whole.too_much(drafts[-1].node.span, given, str(whole.length)))
        return False
    if rests and not left:
        diagnostics.report(rules.shares_past_whole.nothing_left(rests[0].node.mode_span, str(whole.length)))
        return False
    for draft in rests:
        draft.length = whole.length._replace(value=left / len(rests))
        draft.derived.append("duration")
        draft.reasons["length"] = "length the rest of the `within`"
    if whole.length.unit == "it":
        _round_updates(drafts)
    return True


def _round_updates(drafts: list[Draft]) -> None:
    """Whole updates, so that the phases end where their shares do."""
    before = Fraction(0)
    for draft in drafts:
        assert draft.length is not None, "the block has been divided"
        start, end = round_half_even(before), round_half_even(before + draft.length.value)
        before += draft.length.value
        draft.length = draft.length._replace(value=Fraction(end - start))


def _run_through(drafts: list[Draft], whole: Whole) -> None:
    """Gives each phase on the clock of the block the position where it begins."""
    before = Fraction(0)
    for draft in drafts:
        assert draft.length is not None, "the block has been divided"
        own = draft is not drafts[0] and "lr" in draft.given.arguments
        if not own and "clock" not in draft.given.arguments and len(drafts) > 1:
            draft.block = Block(drafts[0], Quantity(before, whole.length.unit), whole.length)
        before += draft.length.value
