"""Resolved phases in, one sentence for each out: which of its values were given and where the others came from."""

from __future__ import annotations

from dsd_lang.passes.draft import Draft

_ORDER = ("copy", "length", "lr", "layers")


def reason(draft: Draft) -> str:
    """The plan's `why`: `given`, `length inherited, lr given`, `` `repeat` copies 1 with its lr x 0.1 ``."""
    return ", ".join(draft.reasons[key] for key in _ORDER if key in draft.reasons) or "given"
