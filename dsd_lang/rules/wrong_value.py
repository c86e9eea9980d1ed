"""An argument, setting or count has an invalid value.

What it does
------------
Reports values of the wrong kind or range (`batch=1.5`, `scope=globl`), invalid parameters in parentheses
(`plateau(val.loss, patience=0)`), invalid counts (`repeat 0 { ... }`), and expressions that cannot be computed.

Why is this bad
---------------
A value that is misread or ignored would silently change the experiment.

Example
-------
::

    sparse 50% scope=globl 50ep

Use instead
-----------
::

    sparse 50% scope=global 50ep

Fix safety
----------
Unsafe: the nearest word is a guess.
"""

from __future__ import annotations

import re
from collections.abc import Container

from dsd_lang.base.arguments import RATE_WORDS, Argument
from dsd_lang.base.diagnostics import Diagnostic, Fix, Span, replacement
from dsd_lang.base.errors import nearest
from dsd_lang.base.expected_values import expected, expected_by
from dsd_lang.base.options import Option, Parameter
from dsd_lang.syntax import nodes
from dsd_lang.syntax.describe import describe, refused_operation

CODE = "DSD209"

_EXPONENT = r"[+-][eE][+-]?(\d{1,3})"
_PERCENT = r"[1-9]\d?"
_PLAIN_NUMBER = r"(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?%?(?P<unit>ep|it)?"


def not_taken(argument: Argument, value: nodes.Value) -> Diagnostic:
    """A value that an argument does not accept."""
    guess = _meant_value(argument, value)
    return Diagnostic(
        CODE,
        f"`{argument.name}=` does not take {describe(value)}",
        value.span,
        label=f"did you mean `{guess}`?" if guess else "not a value it takes",
        help=f"`{argument.name}=` takes {expected(argument)}",
        fix=_written(value.span, guess),
    )


def _written(span: Span, guess: str | None) -> Fix | None:
    return replacement(span, guess) if guess else None


def _meant_value(argument: Argument, value: nodes.Value) -> str | None:
    """What an invalid value is most likely meant to be; None if that is not clear."""
    from dsd_lang.base.foreign_words import FOREIGN_MOMENTS, value_meant

    if argument.kind == "source" and isinstance(value, nodes.Name) and "." in value.text:
        return f"@{value.text}"
    words = tuple(option.name for option in argument.options)
    if argument.kind == "source" and isinstance(value, nodes.Binary) and isinstance(value.left, nodes.Reference):
        if value.operator != "+" or not isinstance(value.right, nodes.LengthLiteral):
            return None
        return f"@{'.'.join(value.left.path)}.{value.right.text}"
    if isinstance(value, nodes.Name):
        guess = value_meant(argument.name, value.text, words) or nearest(value.text.lower(), words)
        is_reference = guess is None and argument.kind in ("source", "distill") and value.text not in FOREIGN_MOMENTS
        return f"@{value.text}" if is_reference else guess
    if isinstance(value, nodes.Number) and not value.percent:
        return value_meant(argument.name, value.text, words)
    if isinstance(value, nodes.Number):  # `noise=30%`
        first = ((option.name, one) for option in argument.options for one in option.parameters[:1])
        shares = [name for name, one in first if one.kind == "share" and not one.is_named]
        return f"{shares[0]}({value.text})" if shares else None
    if isinstance(value, nodes.Text):
        return value_meant(argument.name, value.value, words) or _unquoted(argument, value.value)
    return None


def _unquoted(argument: Argument, text: str) -> str | None:
    """The contents of a string, if the argument accepts them without quotes."""
    if argument.kind not in ("lr", "number", "ratio", "whole", "length", "scale", "metric", "clip"):
        return None
    plain = re.fullmatch(_PLAIN_NUMBER, text)
    is_length = argument.kind == "length"
    return text if plain is not None and bool(plain["unit"]) == is_length else None


def takes_no_selectors(argument: Argument, span: Span) -> Diagnostic:
    """`batch=fc,conv`."""
    return Diagnostic(CODE, f"`{argument.name}=` takes no selectors", span, label=f"expected {expected(argument)}")


def outside(argument: Argument, found: str, span: Span) -> Diagnostic:
    """An invalid number, or one outside of the range of an argument."""
    wanted = expected(argument)
    return Diagnostic(
        CODE, f"`{argument.name}=` takes {wanted}, found `{found[:40]}`", span, label=f"expected {wanted}"
    )


def parameter_outside(name: str, parameter: Parameter, span: Span) -> Diagnostic:
    """A number that a parameter of `distill=` or of a condition does not accept."""
    wanted = expected_by(parameter)
    return Diagnostic(CODE, f"`{name}=` takes {wanted}", span, label=f"expected {wanted}")


def parameter_not_taken(option: Option, parameter: Parameter, data: str | bool, span: Span) -> Diagnostic:
    """A value that a parameter of an option does not accept, in plan form."""
    guess = nearest(data, parameter.words) if isinstance(data, str) else None
    if parameter.kind == "share" and isinstance(data, str) and re.fullmatch(_PERCENT, data):
        guess = f"{data}%"
    named = f"`{parameter.name}=`" if parameter.is_named else f"`{option.name}(...)`"
    shown = ("on" if data else "off") if isinstance(data, bool) else data[:40]
    return Diagnostic(
        CODE,
        f"{named} takes {expected_by(parameter)}, found `{shown}`",
        span,
        label=f"did you mean `{guess}`?" if guess else f"expected {expected_by(parameter)}",
        fix=_written(span, guess),
    )


def parameter_absent(option: Option, parameter: Parameter, span: Span) -> Diagnostic:
    """`symmetric` without its share; the example has all that is needed."""
    named = f"`{parameter.name}=`, " if parameter.is_named else ""
    required = [one for one in option.parameters if one.is_required]
    examples = ", ".join(f"{one.name}={one.example}" if one.is_named else one.example for one in required)
    return Diagnostic(
        CODE,
        f"`{option.name}` needs {named}{expected_by(parameter)}",
        span,
        label=f"expected `{option.name}({examples})`",
    )


def not_a_switch(found: nodes.Name, word: str) -> Diagnostic:
    """`True` for `on`."""
    return Diagnostic(
        CODE,
        f"a switch is `on` or `off`, found `{found.text}`",
        found.span,
        label=f"did you mean `{word}`?",
        fix=replacement(found.span, word),
    )


def nesterov_without_momentum(span: Span) -> Diagnostic:
    """`sgd(nesterov=on)`."""
    return Diagnostic(
        CODE,
        "`nesterov=on` needs a `momentum=` above 0 and no `dampening=`",
        span,
        label="no Nesterov momentum without",
        help="write `sgd(momentum=0.9, nesterov=on)`",
    )


def several_bounds(span: Span) -> Diagnostic:
    """`clip=norm(1, 2)`."""
    return Diagnostic(CODE, "`clip=` takes one bound", span, label="expected `norm(100)` or `value(5)`")


def not_a_count(what: str, found: str, span: Span) -> Diagnostic:
    """An invalid number of rounds, repeats or seeds."""
    return Diagnostic(
        CODE,
        f"{what} must be a whole number of at least 1, found `{found[:40]}`",
        span,
        label="expected 1, 2, 3, ...",
    )


def no_value(item: nodes.Name, meaning: str) -> Diagnostic:
    """An argument's name without a value: `batch`."""
    message = f"the argument `{item.text}` has no value"
    help = f"`{item.text}=` is {meaning}"
    return Diagnostic(CODE, message, item.span, label=f"expected `{item.text}=...`", help=help)


def no_item_of_phase(item: nodes.Name, meant: str | None, help: str) -> Diagnostic:
    """A word among the items of a phase; ``meant`` is what it most likely means."""
    return Diagnostic(
        CODE,
        f"expected a target, a length or an argument, found the word `{item.text[:40]}`",
        item.span,
        label=f"did you mean `{meant}`?" if meant else "",
        help=help,
        fix=_written(item.span, meant),
    )


def not_a_number(value: nodes.Value) -> Diagnostic:
    """Something else where a number is expected."""
    return Diagnostic(
        CODE,
        f"expected a number, found {describe(value)}",
        value.span,
        label="no number",
        help="numbers, loop variables and `+ - * / ^ ( )` are allowed here",
    )


def misplaced_exponent(node: nodes.Binary, names: Container[str]) -> Diagnostic | None:
    """`1-e3` and `1-e-3`, meant as `1e-3`; None for any other expression. ``names`` are the variables."""
    if isinstance(node.left, nodes.Binary) and isinstance(node.right, nodes.Number):
        inner, digits = node.left, f"{node.operator}{node.right.text}"
    else:
        inner, digits = node, ""
    number, word = inner.left, inner.right
    if not isinstance(number, nodes.Number) or not isinstance(word, nodes.Name) or word.text in names:
        return None
    text = f"{inner.operator}{word.text}{digits}"
    exponent = re.fullmatch(_EXPONENT, text)
    if number.percent or exponent is None:
        return None
    better = f"{number.text}e{'-' if '-' in text else ''}{exponent[1]}"
    return Diagnostic(
        CODE,
        f"`{number.text}{text}` is not a number: the `e` follows the digits, and its sign comes after it",
        node.span,
        label=f"write `{better}`",
        fix=_written(node.span, better),
    )


def reads_as_call(value: nodes.Call) -> Diagnostic:
    """Parentheses that read as a call but are meant as a separate value or a factor: `lr=prev (1/3)`."""
    called = describe(value).strip("`").partition("(")[0]
    return Diagnostic(
        CODE,
        f"`{called} (...)` reads as a call, and `{called}` is a number",
        value.span,
        label="not a function",
        help=f"write the value in parentheses before `{called}`, or a product: `{called}*(...)`",
    )


def word_for_number(value: nodes.Name, known: tuple[str, ...], *, is_bound: bool) -> Diagnostic:
    """A word where a number is expected; ``known`` are the names of numbers here.

    ``is_bound``: the word is a variable of another kind.
    """
    if is_bound:
        message, label = f"`{value.text}` has a word as its value here, expected a number", "not a number"
    else:
        message, label = f"expected a number, found the word `{value.text[:40]}`", "not a number or a variable"
    guess, help = _meant_number(value.text, known)
    choices = ", ".join(f"`{name}`" for name in known)
    text = help or (f"the names known here are {choices}" if choices else "")
    advice = (
        "write a number such as `0.5` or `8e-4`; a word is a number only as a loop variable: `for x in 1, 2 { ... }`"
    )
    return Diagnostic(
        CODE,
        message,
        value.span,
        label=f"did you mean `{guess}`?" if guess else label,
        help=text or advice,
        fix=_written(value.span, guess),
    )


def _meant_number(word: str, known: tuple[str, ...]) -> tuple[str | None, str]:
    """The known name that an unknown word most likely means, and a line of help."""
    from dsd_lang.base.foreign_words import FOREIGN_RATES, ITEMS

    meant = FOREIGN_RATES.get(word.lower()) if set(RATE_WORDS) <= set(known) else None
    meant = meant or ITEMS.get(word)
    if meant is not None:
        return meant.word, meant.help
    return nearest(word, known), ""


def word_for_rate(word: nodes.Name, meant: str | None, help: str) -> Diagnostic:
    """A word in `lr=` that looks like `prev`, `last` or `base`."""
    return Diagnostic(
        CODE,
        f"expected a number, found the word `{word.text}`",
        word.span,
        label=f"did you mean `{meant}`?" if meant else "",
        help=help,
        fix=_written(word.span, meant),
    )


def not_computable(node: nodes.Binary, left: str, right: str) -> Diagnostic:
    """An operation on two kinds of quantities (`a number`, `a length in epochs`) that cannot be combined."""
    message = refused_operation(node.operator, left, right)
    return Diagnostic(CODE, message, node.span, label="cannot be computed")


def division_by_zero(span: Span) -> Diagnostic:
    """`1/0`, `0^-1`."""
    return Diagnostic(CODE, "division by zero", span, label="cannot be computed")


def broken_exponent(span: Span) -> Diagnostic:
    """`2^0.5`."""
    return Diagnostic(CODE, "a power needs a whole number as its exponent", span, label="cannot be computed")


def factor_among_milestones(item: nodes.CallArgument, number: nodes.Number, share: str, *, has_by: bool) -> Diagnostic:
    """A plain number among milestones, most likely meant for `by=`; ``share`` is the milestone it could be."""
    return Diagnostic(
        CODE,
        f"`{number.text}` would be a milestone at {share} of the phase",
        item.span,
        label="not a milestone in order" if has_by else f"did you mean `by={number.text}`?",
        help="the factor of each step is written `by=0.1`, a milestone `50%`, `80ep` or `500it`",
        fix=None if has_by else replacement(item.span, f"by={number.text}"),
    )


def unnamed_in_decay(kind: str, span: Span) -> Diagnostic:
    """`cosine(0.1)`."""
    return Diagnostic(CODE, f"`{kind}` takes no unnamed value", span, label="expected nothing, or `floor=`")


def decay_parameter(name: str, span: Span) -> Diagnostic:
    """`exp(1.5)`, `cosine(floor=-1)`."""
    if name == "floor":
        message, wanted = "`floor=` takes a number of 0 or more", "a number such as `1e-5`"
    else:
        message, wanted = "a decay's factor is above 0 and at most 1", "a factor such as `0.1`"
    return Diagnostic(CODE, message, span, label=f"expected {wanted}")


def no_milestones(span: Span) -> Diagnostic:
    """`decay=step`."""
    return Diagnostic(
        CODE,
        "`step` needs its milestones",
        span,
        label="no milestone",
        help="write `decay=step(33%, 66%, by=0.1)`",
    )


def no_factor(span: Span) -> Diagnostic:
    """`decay=exp`."""
    return Diagnostic(CODE, "`exp` needs its factor per epoch", span, label="no factor", help="write `exp(0.95)`")
