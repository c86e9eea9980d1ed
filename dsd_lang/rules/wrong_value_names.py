"""Messages of DSD209 about names, and about the values that a loop takes one after the other."""

from __future__ import annotations

from dsd_lang.base.arguments import Argument
from dsd_lang.base.diagnostics import Diagnostic, Span
from dsd_lang.rules.wrong_value import CODE
from dsd_lang.syntax import nodes


def not_a_selector(span: Span) -> Diagnostic:
    """`let k = conv, 3`."""
    return Diagnostic(
        CODE,
        "several values of a `let` are selectors of layers",
        span,
        label="not a selector",
        help='selectors are words such as `conv`, "globs" and /regular expressions/; other values have a `let` each',
    )


def has_a_meaning(name: nodes.Name) -> Diagnostic:
    """`let conv = 3`."""
    return Diagnostic(
        CODE,
        f"`{name.text}` has a meaning of its own and cannot be a name",
        name.span,
        label="choose another name",
    )


def name_of_setting(name: nodes.Name) -> Diagnostic:
    """`let lr = 3e-4` at the top: `--set lr=...` would be both."""
    return Diagnostic(
        CODE,
        f"`{name.text}` is a setting, so `--set {name.text}=` would not say which of the two it changes",
        name.span,
        label="choose another name",
        help=f"write `set {name.text}=...` for the setting, or another name",
    )


def range_without_step(node: nodes.Range) -> Diagnostic:
    """`10%..90%`."""
    return Diagnostic(
        CODE,
        "a range of percentages needs its step",
        node.span,
        label="in which steps?",
        help="write for instance `10%..90% by 10%`",
    )


def range_of_units(node: nodes.Range, start: str, end: str, step: str) -> Diagnostic:
    """`1ep..100it`."""
    return Diagnostic(
        CODE,
        f"the ends and the step of a range have one unit, found {start}, {end} and {step}",
        node.span,
        label="different units",
        help="write for instance `10%..90% by 10%` or `1ep..9ep by 2ep`",
    )


def empty_range(node: nodes.Range, start: str, end: str, step: str) -> Diagnostic:
    """`5..1`."""
    return Diagnostic(
        CODE,
        f"no value lies between {start} and {end} in steps of {step}",
        node.span,
        label="empty",
        help="write the end in the direction of the step, which may be negative",
    )


def row_of_other_size(span: Span, found: int, wanted: int) -> Diagnostic:
    """`for (s, r) in (1, 2, 3)`."""
    return Diagnostic(
        CODE,
        f"each round takes {wanted} value{'s' if wanted > 1 else ''}, found {found}",
        span,
        label="write `(" + ", ".join("abcdefgh"[:wanted]) + ")`" if wanted > 1 else "write one value",
    )


def not_one_value(span: Span) -> Diagnostic:
    """A word or a list where arithmetic needs a number."""
    return Diagnostic(CODE, "only numbers and lengths can be computed with", span, label="not a number")


def parameter_missing(call: nodes.Invocation, names: tuple[str, ...]) -> Diagnostic:
    """`dsd()` where `s` has no default."""
    shown = ", ".join(f"`{name}`" for name in names)
    return Diagnostic(
        CODE,
        f"`{call.callee.text}` needs {shown}",
        call.span,
        label="not given",
        help=f"write `{call.callee.text}({', '.join(f'{name}=...' for name in names)})`",
    )


def rates_of_groups_in_setting(span: Span) -> Diagnostic:
    """`set lr=[embed: 1e-5, all: 1e-4]`."""
    return Diagnostic(
        CODE,
        "the setting `lr` is one rate; rates of groups stand on the phases",
        span,
        label="not in a setting",
        help="write `lr=[...]` on the first phase: later ones inherit it",
    )


def takes_no_list(argument: Argument, span: Span) -> Diagnostic:
    """`batch=[conv: 1]`."""
    return Diagnostic(
        CODE,
        f"`{argument.name}=` takes no list, pattern or ramp",
        span,
        label="not a value of it",
        help=f"`{argument.name}=`: {argument.meaning}",
    )


def name_of_no_selector(node: nodes.SelectorNode) -> Diagnostic:
    """`layers=s` where `s` is 50%."""
    return Diagnostic(
        CODE,
        f"`{node.selector.text}` stands for a value that is no selector",
        node.span,
        label="not a selector",
        help='a selector is a word such as `conv`, a "glob" or a /regular expression/',
    )
