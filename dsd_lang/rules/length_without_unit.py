"""A length has no unit.

What it does
------------
Reports a number without a unit where a length is expected, and units that are written out: `50 epochs`,
`500iterations`.

Why is this bad
---------------
50 epochs and 50 updates are very different lengths.

Example
-------
::

    dense 50 lr=8e-4

Use instead
-----------
::

    dense 50ep lr=8e-4

Fix safety
----------
Unsafe: `50ep` chooses a unit. Display only if both units are equally likely, as in `warmup=5`.
"""

from __future__ import annotations

from dsd_lang.base.diagnostics import Diagnostic, Span, replacement
from dsd_lang.syntax import nodes

CODE = "DSD402"

_UNITS = "a length needs a unit: `ep` for epochs, `it` for optimizer updates"


def no_unit(item: nodes.Value | nodes.PhaseItem, number: str) -> Diagnostic:
    """A number without a unit where a phase's length is expected."""
    return Diagnostic(
        CODE,
        f"a length needs its unit, found `{number}`",
        item.span,
        label=f"did you mean `{number}ep`?",
        help=_UNITS,
        fix=replacement(item.span, f"{item.text}ep") if isinstance(item, nodes.Number) else None,
    )


def negative(span: Span) -> Diagnostic:
    """A negative length."""
    return Diagnostic(CODE, "a length cannot be negative", span, label="below zero")


def not_a_length(name: str, value: nodes.Value, found: str, number: str | None) -> Diagnostic:
    """`warmup=5`, `every=50%`; ``number`` is set if only the unit is missing."""
    bare = value.text if isinstance(value, nodes.Number) and not value.percent else None
    return Diagnostic(
        CODE,
        f"`{name}=` takes a length, found `{found[:40]}`",
        value.span,
        label="not a length" if number is None else f"did you mean `{number[:20]}it` or `{number[:20]}ep`?",
        help=_UNITS,
        fix=replacement(value.span, f"{bare}ep", "display") if bare else None,
    )


def not_a_milestone(item: nodes.CallArgument, found: str, number: str | None) -> Diagnostic:
    """`step(30)`, `step(-1ep)`; ``number`` is set if only the unit is missing."""
    return Diagnostic(
        CODE,
        f"a milestone is a share of the phase or a length, found `{found[:40]}`",
        item.span,
        label="below zero" if number is None else f"did you mean `{number}ep`?",
        help="write `33%`, `80ep` or `500it`",
        fix=replacement(item.value.span, f"{item.value.text}ep")
        if number is not None and isinstance(item.value, nodes.Number)
        else None,
    )
