"""Messages of DSD209 about names, and about the values that a loop takes one after the other."""

from __future__ import annotations

from dsd_lang.base.arguments import ARGUMENTS, RATE_WORDS, Argument, allowed_at
from dsd_lang.base.diagnostics import Diagnostic, Edit, Fix, Span
from dsd_lang.base.layers import KINDS, ROLES
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes
from dsd_lang.syntax.terminals import widened

CODE = "DSD209"
_MEANINGS = frozenset((*KINDS, *ROLES, *RATE_WORDS, *(option.name for row in ARGUMENTS for option in row.options)))


def check(subject: Subject) -> None:
    """Checks the names that the program gives: words with a meaning of their own are none."""
    for statement in subject.statements:
        if isinstance(statement, nodes.Let):
            _check_name(subject, statement.name)
            is_setting = statement.name.text in allowed_at("set")
            if is_setting and any(statement is top for top in subject.program.statements):
                subject.diagnostics.report(name_of_setting(statement.name))
        elif isinstance(statement, nodes.Def):
            for parameter in statement.parameters:
                _check_name(subject, parameter.name)
            _check_parameters(subject, statement)


def _check_name(subject: Subject, name: nodes.Name) -> None:
    if name.text in _MEANINGS:
        subject.diagnostics.report(has_a_meaning(name))


def _check_parameters(subject: Subject, definition: nodes.Def) -> None:
    """Checks that no parameter is named twice, and that those with a default come last."""
    seen: set[str] = set()
    has_default = False
    for parameter in definition.parameters:
        if parameter.name.text in seen:
            subject.diagnostics.report(parameter_named_twice(parameter))
        elif has_default and parameter.default is None:
            subject.diagnostics.report(default_before(parameter))
        seen.add(parameter.name.text)
        has_default = has_default or parameter.default is not None


def parameter_named_twice(parameter: nodes.Parameter) -> Diagnostic:
    """`def f(s, s)`."""
    return Diagnostic(CODE, f"two parameters are named `{parameter.name.text}`", parameter.name.span, label="again")


def default_before(parameter: nodes.Parameter) -> Diagnostic:
    """`def f(s=50%, n)`."""
    return Diagnostic(
        CODE,
        f"the parameter `{parameter.name.text}` needs a default, because one before it has one",
        parameter.name.span,
        label="no default",
        help="write parameters without a default first",
    )


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


def _last_sign(span: Span) -> Span:
    return Span(span.end_line, span.end_column - 1, span.end_line, span.end_column, span.end - 1, span.end)


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
    """`for (s, r) in (1, 2, 3)`, `for s in (1, 2)`."""
    if wanted == 1:
        edits = tuple(Edit(part, "") for part in (widened(span, 1), _last_sign(span)))
        return Diagnostic(
            CODE,
            "the values of a loop are written without brackets, separated by `,`",
            span,
            label="leave the brackets out",
            fix=Fix("leave the brackets out", edits) if span.line == span.end_line else None,
        )
    return Diagnostic(
        CODE,
        f"each round takes {wanted} values, found {found}",
        span,
        label=f"expected {wanted} in each round",
        help="write `(value, ...)` with a value for each variable",
    )


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


def not_a_rate(span: Span) -> Diagnostic:
    """`lr=[conv: 2:4]`."""
    return Diagnostic(
        CODE, "each item of `lr=[...]` is a rate", span, label="not a rate", help="write `lr=[embed: 1e-5, all: 1e-4]`"
    )


def rates_not_comparable(span: Span) -> Diagnostic:
    """`lr=[embed: 1e-5, all: last]` where `last` is known only at run time."""
    return Diagnostic(
        CODE,
        "the rates of a list are multiples of its last one, and one of them is known only at run time",
        span,
        label="no common measure",
        help="write all of them as numbers, or all as multiples of one earlier rate",
    )


def not_a_target_of_one(span: Span) -> Diagnostic:
    """`[conv: q]` where `q` is a list itself."""
    return Diagnostic(
        CODE,
        "each item of a list has a target of its own: a share, `2:4` or a ramp",
        span,
        label="not a target of one selector",
    )
