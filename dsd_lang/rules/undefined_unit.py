"""A unit has no meaning for the phase's target or scope.

What it does
------------
Reports `unit=` other than `weight` on a phase with a pattern `N:M`, which keeps N of each M single weights; and units
that cannot compete within a row (`row`, `filter`, `channel`, blocks of several rows) on a phase with `scope=row`. The
value may be inherited from `set`.

Why is this bad
---------------
There is no selection that fits both. `dsd-run` and `attach()` refuse the plan.

Example
-------
::

    dense 5ep lr=0.1
    sparse 2:4 unit=filter 5ep
    dense

Use instead
-----------
::

    dense 5ep lr=0.1
    sparse 50% unit=filter 5ep
    dense

Fix safety
----------
There is no automatic fix: either of the two may be what was meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dsd_lang.base.diagnostics import Span
from dsd_lang.plan.fitting import unit_misfit
from dsd_lang.plan.weight_units import Unit
from dsd_lang.rules.subject import Subject

if TYPE_CHECKING:
    from dsd_lang.passes.draft import Draft

CODE = "DSD413"


def check(subject: Subject) -> None:
    """Checks the unit of every sparse phase, written or inherited."""
    if subject.book is None:
        return
    for draft in subject.book.phases:
        unit = draft.unit
        if draft.target is None or unit is None:
            continue
        scope = draft.attributes.get("scope", "layer")
        misfit = unit_misfit(Unit.of(unit["name"], unit["arguments"]), str(scope), _kinds(draft))
        if misfit is not None:
            subject.diagnostics.add(CODE, misfit.message, _span(draft), label="not defined here", help=misfit.help)


def _kinds(draft: Draft) -> Sequence[str]:
    target = draft.target
    assert target is not None
    return [item["target"]["kind"] for item in target["items"]] if target["kind"] == "list" else [target["kind"]]


def _span(draft: Draft) -> Span:
    """The span of `unit=`, else of `scope=`; of the phase's keyword if both are inherited."""
    unit = draft.span_of("unit")
    return unit if unit != draft.node.mode_span else draft.span_of("scope")
