"""A learning rate is not above 0, or cannot be computed.

What it does
------------
Reports learning rates of 0 and below, sums with a rate that is known only at run time, and rates outside the range of
numbers.

Why is this bad
---------------
With learning rate 0 a phase trains nothing. `last` is 0 after a cosine or linear decay without `floor=`.

Example
-------
::

    dense 50ep lr=1e-2 decay=cosine; sparse 50% lr=last

Use instead
-----------
::

    dense 50ep lr=1e-2 decay=cosine; sparse 50% lr=prev/10

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

from dsd_lang.base.diagnostics import Diagnostic, Span
from dsd_lang.base.units import RANGE_WORDS
from dsd_lang.syntax import nodes
from dsd_lang.syntax.describe import refused_operation

CODE = "DSD403"


def scale_not_positive(span: Span) -> Diagnostic:
    """The `scale=` of a `repeat` without a block."""
    return Diagnostic(CODE, "`scale=` must be a number above 0", span, label="not above 0")


def scaled_too_often(span: Span) -> Diagnostic:
    """A `repeat` whose last rates are outside the range of numbers."""
    return Diagnostic(
        CODE,
        f"the learning rate of the last cycles is out of range ({RANGE_WORDS})",
        span,
        label="scaled down too often",
        help="repeat less often, or write `scale=1`",
    )


def nothing_before(word: nodes.Name) -> Diagnostic:
    """`prev`, `last` or `base` in the first phase."""
    return Diagnostic(
        CODE,
        f"`{word.text}` needs a previous phase, and there is none",
        word.span,
        label="nothing before this",
        help="write a number, or `set lr=` for the program",
    )


def rate_not_computable(node: nodes.Binary, left: str, right: str) -> Diagnostic:
    """An operation that needs the value of a rate that is known only at run time."""
    message = refused_operation(node.operator, left, right)
    if node.operator in ("+", "-"):
        message += ": such a rate can only be multiplied or divided by a number"
    return Diagnostic(CODE, message, node.span, label="cannot be computed")


def setting_not_positive(found: str, span: Span, *, is_number: bool) -> Diagnostic:
    """The `lr=` of a `set`, a flag or a preset."""
    return Diagnostic(
        CODE,
        f"a learning rate is a number above 0, found `{found[:40]}`",
        span,
        label="not above 0" if is_number else "not a rate",
        help="write a number such as `8e-4`",
    )


def rate_is_a_length(found: str, span: Span) -> Diagnostic:
    """`lr=5ep`."""
    return Diagnostic(CODE, f"a learning rate is a number, found the length `{found[:40]}`", span, label="not a rate")


def not_above_zero(found: str, span: Span, *, is_decayed: bool) -> Diagnostic:
    """A rate of 0 or below; ``is_decayed`` if `last` is the reason."""
    return Diagnostic(
        CODE,
        f"a learning rate must be above 0, found `{found[:40]}`",
        span,
        label="not above 0",
        help="`last` is 0 after a `linear` or `cosine` decay without `floor=`"
        if is_decayed
        else "write a number above 0 such as `8e-4`",
    )


def too_long(span: Span) -> Diagnostic:
    """A rate that scaling takes outside the range of numbers."""
    return Diagnostic(
        CODE,
        "this learning rate is out of range",
        span,
        label="scaled too often",
        help=f"numbers have {RANGE_WORDS}",
    )
