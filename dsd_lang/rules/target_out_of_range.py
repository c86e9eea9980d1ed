"""A target is not a share from 0 to below 1.

What it does
------------
Reports numbers of 1 or more without `%` (`sparse 50`), 100% and above, negative shares, and patterns `N:M` without 0 <
N < M.

Why is this bad
---------------
`50` may mean 50% or fifty weights, and a target of 100% leaves nothing to train.

Example
-------
::

    sparse 50 20ep

Use instead
-----------
::

    sparse 50% 20ep

Fix safety
----------
Unsafe: `50%` for `50` and `2:4` for `4:2` are guesses.
"""

from __future__ import annotations

from fractions import Fraction

from dsd_lang.base.diagnostics import Diagnostic, Span, replacement
from dsd_lang.base.units import format_exact, format_percent
from dsd_lang.syntax import nodes

CODE = "DSD401"


def no_target(phase: nodes.Phase) -> Diagnostic:
    """`sparse 5ep`."""
    return Diagnostic(
        CODE,
        "`sparse` needs a target: the share that is pruned",
        phase.mode_span,
        label="pruned how much?",
        help="write `sparse 50%`, or `sparse held` to keep the masks",
    )


def target_is_a_length(found: str, span: Span) -> Diagnostic:
    """`sparse [fc: 5ep]`."""
    return Diagnostic(
        CODE, f"a target is a share, found the length `{found[:40]}`", span, label="expected a share such as `50%`"
    )


def not_a_share(value: Fraction, found: str, node: nodes.Value, *, is_percent: bool) -> Diagnostic:
    """A share that is negative, or 1 or more."""
    guess: str | None = None
    if value < 0:
        message, label = "a target cannot be negative", "below zero"
    elif is_percent:
        message, label = f"a target of {found[:40]} leaves nothing to train", "expected less than 100%"
    else:
        message = f"a target is the share pruned, from 0 to below 1, found `{found[:40]}`"
        guess = f"{format_exact(value)}%" if value < 100 else None
        label = f"did you mean `{guess}`?" if guess else "expected less than 100%"
    return Diagnostic(
        CODE,
        message,
        node.span,
        label=label,
        help="write the pruned share as a percentage (`50%`) or as a number below 1 (`0.5`)",
        fix=replacement(node.span, guess) if guess and isinstance(node, nodes.Number) else None,
    )


def subtracts(node: nodes.Binary, left: nodes.Number, right: nodes.Number) -> Diagnostic:
    """A range such as `0-90%` or `2-4` written with a minus sign."""
    is_pattern = not left.percent and not right.percent and 1 <= left.value < right.value
    meant = f"{left.text}:{right.text}" if is_pattern else f"{left.text}->{right.text}"
    what = "N:M" if is_pattern else "a ramp"
    return Diagnostic(
        CODE,
        f"`{left.text}-{right.text}` subtracts; {what} is written with `{':' if is_pattern else '->'}`",
        node.span,
        label=f"did you mean `{meant}`?",
        fix=replacement(node.span, meant),
    )


def pattern_of_shares(node: nodes.NofMTarget) -> Diagnostic:
    """`0.1:0.9`, which is most likely meant as a ramp."""
    ramp = f"{format_percent(node.keep)}->{format_percent(node.of)}"
    return Diagnostic(
        CODE,
        "`N:M` takes two whole numbers; a ramp is written with `->`",
        node.span,
        label=f"did you mean `{ramp}`?",
        fix=replacement(node.span, ramp),
    )


def not_a_pattern(node: nodes.NofMTarget) -> Diagnostic:
    """`4:2`, `0:4`, `1.5:4`."""
    keep, total = node.keep, node.of
    is_turned = keep.denominator == 1 and total.denominator == 1 and keep > total > 0
    swapped = f"{total}:{keep}" if is_turned else ""
    return Diagnostic(
        CODE,
        "`N:M` keeps N of each M weights: two whole numbers with 0 < N < M",
        node.span,
        label=f"did you mean `{swapped}`?" if swapped else "expected a pattern such as `2:4`",
        fix=replacement(node.span, swapped) if swapped else None,
    )
