"""The part of DSD209 (`wrong-value`) on conditions: what `until` and `expect` cannot contain."""

from __future__ import annotations

from dsd_lang.base.diagnostics import Diagnostic, Span, replacement
from dsd_lang.base.errors import nearest
from dsd_lang.syntax import nodes
from dsd_lang.syntax.describe import describe

CODE = "DSD209"


def not_a_condition(name: str, span: Span) -> Diagnostic:
    """A function that returns a number, used as a condition."""
    return Diagnostic(
        CODE,
        f"`{name}(...)` is a number, not a condition",
        span,
        label="compare it with a number",
        help=f"write `{name}(val.err) < 0.1`",
    )


def compared_with_length(found: str, span: Span) -> Diagnostic:
    """`until val.loss < 5ep`."""
    return Diagnostic(CODE, f"a condition compares numbers, found `{found[:40]}`", span, label="no number")


def power_in_condition(span: Span) -> Diagnostic:
    """`until val.loss^2 < 1`."""
    return Diagnostic(CODE, "a condition takes `+ - * /` of metrics, not `^`", span, label="no power")


def unknown_condition_function(
    callee: nodes.Name | nodes.Reference | nodes.Text, functions: tuple[str, ...]
) -> Diagnostic:
    """A function that does not exist in conditions."""
    guess = nearest(callee.text if isinstance(callee, nodes.Name) else "", functions)
    known = ", ".join(f"`{function}`" for function in functions)
    return Diagnostic(
        CODE,
        f"a condition cannot contain {describe(callee)}",
        callee.span,
        label=f"did you mean `{guess}`?" if guess else "unknown here",
        help=f"conditions know {known} and comparisons of metrics",
        fix=replacement(callee.span, guess) if guess else None,
    )


def second_value_unnamed(function: str, option: str, value: nodes.Number) -> Diagnostic:
    """`plateau(val.loss, 5)`."""
    return Diagnostic(
        CODE,
        f"the second value of `{function}` needs its name",
        value.span,
        label=f"did you mean `{option}={value.text}`?",
        fix=replacement(value.span, f"{option}={value.text}"),
    )


def only_in_expect(function: str, node: nodes.Call | nodes.PValue) -> Diagnostic:
    """`until mean(val.err) < 1`."""
    return Diagnostic(
        CODE,
        f"`{function}(...)` is known after the training, and `until` is checked during it",
        node.span,
        label="belongs to `expect`",
        help="write it in an `expect`",
    )


def not_two_arms(node: nodes.Call) -> Diagnostic:
    """`p(a, b)`."""
    return Diagnostic(
        CODE,
        "`p(...)` takes two branches and the metric they are compared on",
        node.span,
        label="expected `p(a vs b on=test.err)`",
        help="write for instance `expect p(a vs b on=test.err) < 0.05`",
    )


def watches_one_metric(function: str, span: Span) -> Diagnostic:
    """`plateau()`, `plateau(val.loss, val.err)`."""
    return Diagnostic(CODE, f"`{function}` takes one metric", span, label=f"write for instance `{function}(val.loss)`")
