"""There is no mask to drop or to keep.

What it does
------------
Reports `restore=` on a `dense` phase that does not follow a sparse one, and `sparse held` without a sparse phase
right before it. `sparse held masks=current` needs none, because its masks are the zeros of the weights; it is reported
after a dense phase that trains, whose updates leave no zeros.

Why is this bad
---------------
There is nothing to revive and nothing to keep, so they have no effect.

Example
-------
::

    dense 50ep restore=saved

Use instead
-----------
::

    dense 50ep; sparse 50%; dense restore=saved

Fix safety
----------
Unsafe: `restore=` is removed, which changes the plan's hash. There is no fix for `held`.
"""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.rules.subject import Subject
from dsd_lang.syntax.removal import without_argument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.passes.draft import Draft

CODE = "DSD305"


def check(subject: Subject) -> None:
    """Checks every `restore=` and every `held`."""
    phases = subject.book.phases if subject.book is not None else []
    elsewhere = _elsewhere(phases)
    for draft in phases:
        if draft.parent is not None and draft.parent.mode == "sparse":
            continue
        if draft.mode == "dense" and draft.given.arguments.get("restore") is not None:
            subject.diagnostics.add(
                CODE,
                "`restore=` has nothing to restore: no masks are on before this phase",
                draft.span_of("restore"),
                label="no sparse phase before it",
                help="leave `restore=` out, or write a `sparse` phase before",
                fix=None if id(draft.node) in elsewhere else without_argument(draft.node, "restore"),
            )
        target = draft.target
        if target is not None and target["kind"] == "held":
            subject.diagnostics.add(
                CODE,
                "`held` has nothing to hold: no masks are on before this phase",
                draft.node.span,
                label="no sparse phase before it",
                help="say how much is pruned: `sparse 50%`; the zeros of a pruned network: `sparse held masks=current`",
            )
        if target is not None and target["kind"] == "current" and _has_no_zeros(draft):
            subject.diagnostics.add(
                CODE,
                "`masks=current` finds no zeros: the dense phase before it trains all weights",
                draft.span_of("masks"),
                label="after a dense phase",
                help='write it first, or say where the pruned weights are: `from="pruned.safetensors"`',
            )


def _has_no_zeros(draft: Draft) -> bool:
    """Whether the weights that the phase starts from were trained by a dense phase right before it."""
    parent, length = draft.parent, draft.parent.length if draft.parent is not None else None
    is_trained = parent is not None and parent.mode == "dense" and length is not None and length.value != 0
    return is_trained and draft.given.arguments.get("from") is None


def _elsewhere(phases: Sequence[Draft]) -> set[int]:
    """The phases that some round of a loop reaches with masks: there `restore=` has an effect."""
    return {id(draft.node) for draft in phases if draft.parent is not None and draft.parent.mode == "sparse"}
