"""The shares of a `within` are more than the whole.

What it does
------------
Reports phases of a `within` block whose lengths add up to more than its length, a second phase without a length, and
lengths in another unit.

Why is this bad
---------------
The block says how long all of its phases take together.

Example
-------
::

    within 100ep { dense 40%; sparse 50% 80%; dense }

Use instead
-----------
::

    within 100ep { dense 20%; sparse 50% 60%; dense }

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

from dsd_lang.base.diagnostics import Diagnostic, Span

CODE = "DSD408"


def too_much(span: Span, given: str, whole: str) -> Diagnostic:
    """Shares that add up to more than the whole."""
    return Diagnostic(
        CODE,
        f"the phases take {given}, the block around them {whole}",
        span,
        label="more than the whole",
        help="make the shares smaller, or the block longer",
    )


def nothing_left(span: Span, whole: str) -> Diagnostic:
    """A phase without a length, when the others take everything."""
    return Diagnostic(
        CODE,
        f"nothing is left of {whole} for the phase without a length",
        span,
        label="takes the rest, which is nothing",
        help="make the other shares smaller, or leave this phase out",
    )


def second_rest(span: Span) -> Diagnostic:
    """Two phases without a length."""
    return Diagnostic(
        CODE,
        "one phase of a `within` may leave its length out and takes the rest: this is a second one",
        span,
        label="how long?",
        help="write a share such as `20%`",
    )


def other_unit(span: Span, found: str, whole: str) -> Diagnostic:
    """A length in updates in a whole of epochs."""
    return Diagnostic(
        CODE,
        f"`{found}` is not a share of {whole}",
        span,
        label="another unit",
        help="write a share such as `20%`, or a length in the unit of the block",
    )


def not_a_whole(span: Span, found: str) -> Diagnostic:
    """`within 50% { ... }`."""
    return Diagnostic(
        CODE,
        f"`within` takes a length above 0, found {found}",
        span,
        label="how long is the whole?",
        help="write for instance `within 100ep { ... }`",
    )


def branches_inside(span: Span, word: str) -> Diagnostic:
    """A `fork` or `sweep` in a `within`."""
    return Diagnostic(
        CODE,
        f"a `{word}` cannot stand in a `within`: its branches have no common whole",
        span,
        label="branches here",
        help=f"write a `within` in each branch of the `{word}`",
    )


def nested(span: Span) -> Diagnostic:
    """A `within` in a `within`."""
    return Diagnostic(
        CODE,
        "a `within` cannot stand in another one",
        span,
        label="inside a block of shares",
        help="write the lengths as shares of the outer block",
    )
