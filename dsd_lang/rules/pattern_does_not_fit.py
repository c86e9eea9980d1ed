"""An `N:M` pattern does not fit the layers it applies to.

What it does
------------
Reports, with a model given (`--model`, `--layers`), an `N:M` target on a weight whose number of inputs is not a
multiple of M, or that has no input dimension (a bias, a norm). The inputs are the second dimension of a weight [out,
in, ...]; for a convolution, its input channels.

Why is this bad
---------------
Of every M consecutive inputs N are kept, so a last group of fewer than M is not defined. The run would stop at that
phase, after everything before it has been trained.

Example
-------
::

    dense 5ep lr=0.1
    sparse 1:16 5ep   # with --model lenet_300_100: its last layers have 300 and 100 inputs
    dense

Use instead
-----------
::

    dense 5ep lr=0.1
    sparse 1:4 5ep
    dense

Fix safety
----------
Unsafe: the layers that do not fit are excluded with `except=`, and stay dense.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dsd_lang.base.diagnostics import Edit, Fix, Span
from dsd_lang.base.layers import LayerInfo
from dsd_lang.plan.division import Share, divide
from dsd_lang.plan.fitting import Misfit, misfitting, owner_of, pattern_misfit
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.passes.draft import Draft

CODE = "DSD409"
_MOST_LEFT_OUT = 8


def check(subject: Subject) -> None:
    """Checks every pattern of every sparse phase on the weights it applies to."""
    if subject.layers is None or subject.book is None:
        return
    for draft in subject.book.phases:
        for pattern, part in _patterns(draft, subject.layers):
            misfit = pattern_misfit(*pattern, part.weights)
            if misfit is not None:
                _report(subject, draft, pattern[1], part, misfit)


def _patterns(draft: Draft, layers: Sequence[LayerInfo]) -> Iterator[tuple[tuple[int, int], Share]]:
    target = draft.target
    if target is None:
        return
    items = target["items"] if target["kind"] == "list" else ()
    singles = [item["target"] for item in items] or [target]
    if not any(single["kind"] == "nm" for single in singles):
        return
    selectors = tuple(item["selector"] for item in items)
    for part in divide(draft.layers, draft.exclude, selectors, layers).parts:
        single = singles[part.item or 0]
        if single["kind"] == "nm":
            yield (single["n"], single["m"]), part


def _report(subject: Subject, draft: Draft, m: int, part: Share, misfit: Misfit) -> None:
    subject.diagnostics.add(
        CODE,
        misfit.message,
        _span(draft, part.item),
        label="does not fit these layers",
        help=misfit.help,
        fix=_without_layers(draft, m, part),
    )


def _span(draft: Draft, item: int | None) -> Span:
    """The span of the pattern; of the phase's keyword if the pattern is inherited."""
    written = draft.target_node
    if item is not None and isinstance(written, nodes.ListTarget):
        return written.items[item].span
    return draft.node.mode_span if written is None or written not in draft.node.items else written.span


def _without_layers(draft: Draft, m: int, part: Share) -> Fix | None:
    """Adds `except=` for the layers that do not fit, if others remain and the phase has no `except=`."""
    wrong = misfitting(m, part.weights)
    owners = tuple(dict.fromkeys(owner_of(weight) for weight in wrong))
    is_free = part.item is None and not draft.exclude and draft.item.repeat_span is None
    if not is_free or len(wrong) == len(part.weights) or len(owners) > _MOST_LEFT_OUT:
        return None
    text = "except=" + ",".join(f'"{owner}"' for owner in owners)
    end = draft.node.span
    point = Span(end.end_line, end.end_column, end.end_line, end.end_column, end.end, end.end)
    return Fix(f"write `{text}`", (Edit(point, f" {text}"),))
