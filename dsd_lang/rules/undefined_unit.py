"""A unit has no meaning for the phase's target or scope.

What it does
------------
Reports `unit=` other than `weight` on a phase with a pattern `N:M`, which keeps N of each M single weights; and units
that cannot compete within a row (`row`, `filter`, `channel`, blocks of several rows) on a phase with `scope=row`. The
value may be inherited from `set`.

Why is this bad
---------------
There is no selection that fits both. The schedule still compiles: `dsd-plan` shows it, and `dsd-run` and `attach()`
refuse it before anything is trained.

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
There is no automatic fix. Either of the two may be what was meant.
"""

from __future__ import annotations

from dsd_lang.base.diagnostics import Diagnostic, Span
from dsd_lang.plan.fitting import unit_misfit
from dsd_lang.plan.weight_units import Unit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.analysis import ResolvedProgram
    from dsd_lang.passes.draft import Draft

CODE = "DSD413"


def find(resolved: ResolvedProgram) -> tuple[Diagnostic, ...]:
    """Reports the unit of every sparse phase, written or inherited; this does not prevent compilation."""
    found: dict[tuple[str, Span], Diagnostic] = {}
    for draft in resolved.book.phases:
        unit, target = draft.unit, draft.target
        if target is None or unit is None:
            continue
        kinds = [item["target"]["kind"] for item in target["items"]] if target["kind"] == "list" else [target["kind"]]
        scope = str(draft.attributes.get("scope", "layer"))
        misfit = unit_misfit(Unit.of(unit["name"], unit["arguments"]), scope, kinds)
        if misfit is not None:
            span, label = _span(draft), "`dsd-run` refuses this"
            found[misfit.message, span] = Diagnostic(CODE, misfit.message, span, label=label, help=misfit.help)
    return tuple(found.values())


def _span(draft: Draft) -> Span:
    """The span of `unit=`, else of `scope=`; of the phase's keyword if both are inherited."""
    unit = draft.span_of("unit")
    return unit if unit != draft.node.mode_span else draft.span_of("scope")
