"""Resolves the lengths of phases: given, copied, or inherited from the previous phase in the block."""

from __future__ import annotations

from dsd_lang import rules
from dsd_lang.passes.compilation import Compilation
from dsd_lang.passes.draft import Draft
from dsd_lang.passes.quantities import Quantity
from dsd_lang.passes.values import FAILED


def resolve_lengths(compilation: Compilation) -> None:
    """Fills in ``length`` of every draft; a first phase without one is DSD301."""
    for draft in compilation.book.phases:
        draft.length = None
        own = draft.given.length
        if draft.original is not None and not _is_overridden(draft):
            draft.length = draft.original.length
            if draft.length is None:
                continue  # reported, or the rest of a `within`
            draft.derived.append("duration")
        elif isinstance(own, Quantity):
            draft.length = own
        elif own is FAILED or draft.item.whole is not None:
            pass  # already reported, or the rest of a `within`
        elif draft.length_from is None:
            compilation.diagnostics.report(rules.missing_first_length.no_length(draft.node))
        else:
            draft.length = draft.length_from.length
            draft.derived.append("duration")
            draft.reasons["length"] = "length inherited"


def _is_overridden(draft: Draft) -> bool:
    """Whether a copy has a length of its own."""
    return draft.original is not None and draft.given.length is not draft.original.given.length
