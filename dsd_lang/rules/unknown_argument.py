"""An argument does not exist or is not allowed here.

What it does
------------
Reports arguments that a statement does not have, parameters that a function does not have, and arguments that do not
belong to the phase (`every=` without a ramp). An invalid value is DSD209.

Why is this bad
---------------
Ignoring a misspelled argument would silently change the experiment.

Example
-------
::

    sparse 50% layer=fc 50ep

Use instead
-----------
::

    sparse 50% layers=fc 50ep

Fix safety
----------
Unsafe: the nearest name is a guess. An argument without effect is removed.
"""

from __future__ import annotations

from itertools import chain

from dsd_lang.base.arguments import BY_NAME, allowed_at
from dsd_lang.base.diagnostics import Diagnostic, Span, replacement
from dsd_lang.base.errors import nearest
from dsd_lang.base.options import Option
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes
from dsd_lang.syntax.removal import without_argument
from dsd_lang.syntax.terminals import widened
from dsd_lang.syntax.walk import arguments_of, compares_in, phases_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.base.arguments import StatementKind
    from dsd_lang.base.foreign_words import Meant

CODE = "DSD202"


_STATEMENT_KINDS: dict[str, str] = {
    "dense": "`dense`",
    "sparse": "`sparse`",
    "set": "`set`",
    "repeat": "`repeat`",
    "fork": "`fork`",
    "compare": "`compare`",
}


def check(subject: Subject) -> None:
    """Checks the name of every argument."""
    for statement in subject.statements:
        kind = _kind_of(statement)
        if kind is not None:
            for argument in arguments_of(statement):
                _check(subject, argument, kind)
        for argument in chain.from_iterable(compare.arguments for compare in compares_in(statement)):
            _check(subject, argument, "compare")
        for phase in phases_of(statement):
            for item in phase.items:
                if isinstance(item, nodes.Argument):
                    _check(subject, item, phase.mode, phase)


def _kind_of(statement: nodes.Statement) -> StatementKind | None:
    if isinstance(statement, nodes.SetStatement):
        return "set"
    if isinstance(statement, nodes.RepeatTail):
        return "repeat"
    return "fork" if isinstance(statement, nodes.Fork) else None


def _check(subject: Subject, argument: nodes.Argument, kind: StatementKind, phase: nodes.Phase | None = None) -> None:
    row = BY_NAME.get(argument.name)
    if row is not None and kind in row.places:
        return
    here = allowed_at(kind)
    if row is not None and kind == "fork" and row.name == "seed":
        subject.diagnostics.add(
            CODE,
            "`fork` has no argument `seed`: it takes how many seeds there are",
            argument.name_span,
            label="did you mean `seeds`?",
            fix=replacement(argument.name_span, "seeds"),
        )
        return
    if row is not None:
        where = " or ".join(_STATEMENT_KINDS[name] for name in row.places)
        subject.diagnostics.add(
            CODE,
            f"`{argument.name}=` belongs to {where}, not to {_STATEMENT_KINDS[kind]}",
            argument.name_span,
            label="not here",
            help=f"leave it out here (`{row.name}=`: {row.meaning})",
            fix=None if phase is None else without_argument(phase, row.name, "display"),
        )
        return
    from dsd_lang.base.foreign_words import FOREIGN_ARGUMENTS

    meant = FOREIGN_ARGUMENTS.get(argument.name.lower())
    if meant is not None:
        _report_foreign(subject, argument, kind, meant, phase)
        return
    guess = argument.name.lower() if argument.name.lower() in here else nearest(argument.name, here)
    fix = replacement(argument.name_span, guess) if guess else None
    subject.diagnostics.add(
        CODE,
        f"{_STATEMENT_KINDS[kind]} has no argument `{argument.name}`",
        argument.name_span,
        label=f"did you mean `{guess}`?" if guess else "unknown argument",
        help="" if guess else f"{_STATEMENT_KINDS[kind]} takes {', '.join(f'`{name}=`' for name in here)}",
        fix=fix,
    )


def _report_foreign(
    subject: Subject, argument: nodes.Argument, kind: StatementKind, meant: Meant, phase: nodes.Phase | None
) -> None:
    """A name from another tool, and its equivalent in a schedule."""
    guess = meant.word if meant.word is not None and kind in BY_NAME[meant.word].places else None
    whole = _written_otherwise(argument, meant) if guess or phase is not None else None
    if whole is not None and phase is not None and _is_said_already(phase, argument, meant, whole):
        whole = None
    fix = replacement(argument.name_span, guess) if guess and not meant.form else None
    if whole is not None:
        fix = replacement(argument.span, whole)
    shown = whole or guess
    subject.diagnostics.add(
        CODE,
        f"{_STATEMENT_KINDS[kind]} has no argument `{argument.name}`",
        argument.name_span,
        label=f"did you mean `{shown}`?" if shown else "unknown argument",
        help=meant.help,
        fix=fix,
    )


def _written_otherwise(argument: nodes.Argument, meant: Meant) -> str | None:
    """The whole argument as a schedule writes it, if its value is a plain number or length."""
    value = argument.value
    if not meant.form or not isinstance(value, (nodes.Number, nodes.LengthLiteral)):
        return None
    if isinstance(value, nodes.LengthLiteral):
        return meant.form.format(value.text) if meant.unit else None
    if meant.unit and value.percent:
        return None
    return meant.form.format(value.text + meant.unit)


def _is_said_already(phase: nodes.Phase, argument: nodes.Argument, meant: Meant, whole: str) -> bool:
    """Whether the phase already has what the argument would become."""
    others = [item for item in phase.items if item is not argument]
    if meant.role == "target":
        return phase.mode == "dense" or any(not isinstance(item, (nodes.Argument, nodes.Until)) for item in others)
    if meant.role == "length":
        return any(isinstance(item, nodes.LengthLiteral) for item in others)
    return any(isinstance(item, nodes.Argument) and item.name == whole.partition("=")[0] for item in others)


def set_in_block(statement: nodes.Statement) -> Diagnostic:
    """A `set` inside a block."""
    return Diagnostic(
        CODE,
        "`set` belongs to the program, not to a block: it applies to every phase",
        statement.span,
        label="inside a block",
        help="move it to the top of the file, or write the argument on the phases",
    )


def target_of_dense(span: Span) -> Diagnostic:
    """`dense 50%`."""
    return Diagnostic(
        CODE,
        "a `dense` phase prunes nothing and takes no target",
        span,
        label="no target here",
        help="write `sparse` to prune, or a length such as `50ep`",
    )


def without_companion(phase: nodes.Phase, name: str, what: str) -> Diagnostic:
    """`every=` without a ramp, `of=` without a share."""
    argument = next(item for item in phase.items if isinstance(item, nodes.Argument) and item.name == name)
    return Diagnostic(
        CODE,
        f"`{name}=` goes with {what}",
        argument.span,
        label="no effect on this target",
        fix=without_argument(phase, name),
    )


def floor_without_decay(phase: nodes.Phase, span: Span) -> Diagnostic:
    """`floor=` with a constant rate."""
    return Diagnostic(
        CODE,
        "`floor=` needs a `decay=` other than `constant`",
        span,
        label="nothing decays here",
        help="leave it out, or write `decay=cosine` or another shape",
        fix=without_argument(phase, "floor"),
    )


def unknown_parameter(option: Option, name: str, item: nodes.CallArgument) -> Diagnostic:
    """A parameter that a word does not have; ``name`` is a number for a positional one."""
    choices = option.named
    num_unnamed = len(option.parameters) - len(choices)
    guess = nearest(name, choices)
    words = [f"{num_unnamed} unnamed value{'s' if num_unnamed > 1 else ''}"] if num_unnamed else []
    takes = ", ".join([*words, *(f"`{choice}=`" for choice in choices)]) or "nothing between parentheses"
    what = f"`{name}=`" if not name.isdigit() else "further unnamed value" if num_unnamed else "unnamed value"
    return Diagnostic(
        CODE,
        f"`{option.name}` takes no {what}",
        item.span,
        label=f"did you mean `{guess}`?" if guess else "unknown here",
        help=f"`{option.name}` takes {takes}",
        fix=replacement(widened(item.span, len(name)), guess) if guess else None,
    )


def unknown_condition_argument(function: str, known: tuple[str, ...], item: nodes.CallArgument) -> Diagnostic:
    """A parameter that a function of conditions does not have."""
    name = item.name or ""
    guess = nearest(name, known)
    return Diagnostic(
        CODE,
        f"`{function}` takes no `{name}`",
        item.span,
        label=f"did you mean `{guess}`?" if guess else "unknown here",
        help=f"`{function}` takes {', '.join(f'`{option}=`' for option in known) or 'one metric'}",
        fix=replacement(widened(item.span, len(name)), guess) if guess else None,
    )


def model_of_checkpoint(item: nodes.CallArgument) -> Diagnostic:
    """`distill=@teacher.end(model="resnet18")`."""
    return Diagnostic(
        CODE,
        "a checkpoint of this schedule has this run's model",
        item.span,
        label="only a file has a model of its own",
        help='leave out `model=`, or name a file: `distill="teacher.safetensors"(model="resnet18")`',
    )


def unknown_in_distill(item: nodes.CallArgument) -> Diagnostic:
    """A parameter that `distill=` does not have."""
    return Diagnostic(
        CODE,
        f"`distill=` takes no {f'`{item.name}`' if item.name else 'value without a name'}",
        item.span,
        label="unknown here",
        help="it takes `alpha=` and `T=`, for a file also `model=`: `distill=@teacher.end(alpha=0.8, T=10)`",
    )


def unknown_given(callee: str, item: nodes.GivenValue, known: tuple[str, ...]) -> Diagnostic:
    """A parameter that a `def` does not have, or more values than it has parameters."""
    takes = ", ".join(f"`{name}`" for name in known) or "nothing"
    if item.name is None:
        return Diagnostic(
            CODE, f"`{callee}` takes no further value", item.span, label="one too many", help=f"it takes {takes}"
        )
    guess = nearest(item.name.text, known)
    return Diagnostic(
        CODE,
        f"`{callee}` has no parameter `{item.name.text}`",
        item.name.span,
        label=f"did you mean `{guess}`?" if guess else "unknown parameter",
        help="" if guess else f"it takes {takes}",
        fix=replacement(item.name.span, guess) if guess else None,
    )
