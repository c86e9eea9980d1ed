"""Messages of DSD201 about what a phase trains: items of `lr=[...]` without a weight, a `freeze=` of everything."""

from __future__ import annotations

from collections.abc import Iterator

from dsd_lang.plan.groups import always_unreached, group_weights, why_nothing_is_trained, why_unreached
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes
from dsd_lang.syntax.named_selectors import selectors_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.passes.draft import Draft

CODE = "DSD201"


def check(subject: Subject) -> None:
    """Checks the groups of learning rates and the frozen layers of every phase."""
    if subject.book is None:
        return
    for draft in subject.book.phases:
        _check_frozen(subject, draft)
        _check_groups(subject, draft)


def _check_frozen(subject: Subject, draft: Draft) -> None:
    frozen = draft.attributes.get("freeze", ())
    why = why_nothing_is_trained(frozen, subject.layers) if isinstance(frozen, tuple) and frozen else None
    if why is not None:
        subject.diagnostics.add(CODE, why[0], draft.span_of("freeze"), label="nothing to train", help=why[1])


def _check_groups(subject: Subject, draft: Draft) -> None:
    """The last item has what is left, so it may have nothing in this model."""
    if not draft.groups:
        return
    items = list(_items(draft))
    selectors = [str(selector.selector) for selector, _ in items]
    unreached = set(always_unreached(selectors))
    if subject.layers is not None:
        unreached.update(group_weights(selectors[:-1], subject.layers).unreached)
    for index in sorted(unreached):
        message, advice = why_unreached(selectors[index])
        subject.diagnostics.add(CODE, message, items[index][1].selector.span, label="has no weight", help=advice)


def _items(draft: Draft) -> Iterator[tuple[nodes.SelectorNode, nodes.SelectorTarget]]:
    """The selectors of the phase's `lr=[...]`, as names stand for them, and the items that they are written in."""
    for written in draft.node.items:
        if isinstance(written, nodes.Argument) and isinstance(written.value, nodes.ListTarget):
            for item in written.value.items:
                yield from ((one, item) for one in selectors_of(item.selector, draft.item.names) or ())
