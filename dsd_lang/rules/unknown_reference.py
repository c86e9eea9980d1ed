"""A reference names a phase or branch that does not exist or comes later.

What it does
------------
Reports `@name`, and arms of `compare` and `expect`, that do not name an earlier phase or branch.

Why is this bad
---------------
A phase can only start from weights that have already been trained when it begins.

Example
-------
::

    full: dense 50ep lr=8e-4
    sparse 50% from=@ful.start

Use instead
-----------
::

    full: dense 50ep lr=8e-4
    sparse 50% from=@full.start

Fix safety
----------
Unsafe: the nearest name is a guess. There is no fix if the name comes later or is not similar to any other.
"""

from __future__ import annotations

from dsd_lang.base.diagnostics import Diagnostic, Fix, Span, replacement
from dsd_lang.base.errors import nearest
from dsd_lang.plan.seeds import arm_of
from dsd_lang.syntax import nodes
from dsd_lang.syntax.terminals import widened

CODE = "DSD203"

Guess = str | None


def in_setting(name: str, span: Span) -> Diagnostic:
    """`set from=@a.end`."""
    return Diagnostic(
        CODE,
        f"`set {name}=` applies to every phase, and there is no phase before the first",
        span,
        label="nothing to refer to yet",
        help=f"write `{name}=` on the phases",
    )


def not_an_arm(node: nodes.Name, name: str, branches: tuple[str, ...], *, is_phase: bool, is_later: bool) -> Diagnostic:
    """An arm of `compare` or `expect` that does not name an earlier branch."""
    guess: Guess = None
    if is_phase:
        message, label = f"`{name}` is a phase, and only branches can be compared", "not a branch"
    elif is_later:
        message, label = f"the branch `{name}` comes later: write this after its fork", "not defined yet"
    else:
        whole = arm_of(name)
        is_seed = whole != name and whole in branches
        guess = whole if is_seed else nearest(name, branches)
        message = f"all seeds of `{whole}` are compared together" if is_seed else f"unknown branch `{name}`"
        label = f"did you mean `{guess}`?" if guess else "unknown branch"
    shown = ", ".join(f"`{branch}`" for branch in branches[:8])
    return Diagnostic(
        CODE,
        message,
        node.span,
        label=label,
        help=f"branches here: {shown}" if shown else "" if is_later else "there is no fork",
        fix=replacement(widened(node.span, len(name)), guess) if guess else None,
    )


def quoted(node: nodes.Text, name: str, meant: str) -> Diagnostic:
    """A reference in quotes: `from="a.start"`."""
    return Diagnostic(
        CODE,
        f'`"{node.value}"` in quotes is the name of a file, and `{name}` is a phase or branch',
        node.span,
        label=f"did you mean `{meant}`?",
        help=f'a file of that name is written `"./{node.value}"`',
        fix=replacement(node.span, meant),
    )


def moment_of_init(node: nodes.Reference) -> Diagnostic:
    """`@init.end`."""
    return Diagnostic(
        CODE,
        "`@init` is the model before training and has no moments",
        node.span,
        label="expected `@init`",
        help="write `@init` alone",
    )


def offset_too_long(node: nodes.Reference) -> Diagnostic:
    """`@a.1e999it`."""
    return Diagnostic(
        CODE,
        f"the length in `@{'.'.join(node.path)[:40]}` is out of range",
        node.span,
        label="too many digits",
        help="name a moment within the phase: `@label.500it`, `@label.end`",
    )


def behind_the_end(node: nodes.Reference, length: str) -> Diagnostic:
    """A moment after the end of its phase."""
    return Diagnostic(
        CODE,
        f"`@{'.'.join(node.path)}` is past the end of its phase, which lasts {length}",
        node.span,
        label="never reached",
        help="name a moment within the phase, or `end`",
    )


def which_seed(node: nodes.Reference, name: str, num_seeds: int) -> Diagnostic:
    """A branch with several seeds."""
    return Diagnostic(
        CODE,
        f"`@{name}` names a branch trained with {num_seeds} seeds",
        node.span,
        label="which seed?",
        help=f"write `@{name}.seed0.end`",
    )


def empty_branch(node: nodes.Reference, name: str) -> Diagnostic:
    """A branch in which nothing is trained."""
    return Diagnostic(CODE, f"`@{name}` names a branch without a phase", node.span, label="an empty branch")


def not_in_branch(node: nodes.Reference, path: tuple[str, ...], component: str, known: tuple[str, ...]) -> Diagnostic:
    """A name that does not exist in a branch."""
    guess = nearest(component, known)
    return Diagnostic(
        CODE,
        f"the branch `{'.'.join(path)}` has no `{component}`",
        node.span,
        label=f"did you mean `{guess}`?" if guess else "unknown in this branch",
        help="it has " + ", ".join(f"`{name}`" for name in known[:8]) if known else "",
        fix=_renamed(node, len(path), guess) if guess else None,
    )


def no_moment(node: nodes.Reference, path: tuple[str, ...], component: str, moments: tuple[str, ...]) -> Diagnostic:
    """`@a.strat`, `@a.final`, `@a.1000`: moments that a phase does not have."""
    from dsd_lang.base.foreign_words import FOREIGN_MOMENTS as MEANT

    word = component.lower()
    guess = word if word in moments else MEANT.get(word) or nearest(word, moments)
    return Diagnostic(
        CODE,
        f"`@{'.'.join(path)}` is a phase and has no moment `{component}`",
        node.span,
        label=f"did you mean `@{'.'.join((*path, guess))}`?" if guess else "unknown moment",
        help="a phase has `start`, `entered`, `end`, `best`, or a length such as `500it`",
        fix=_renamed(node, len(path), guess) if guess else None,
    )


def unknown_name(node: nodes.Reference, name: str, known: tuple[str, ...], *, is_later: bool) -> Diagnostic:
    """A reference whose first name does not exist or comes later; ``known`` are the names before it."""
    help = "give a phase a label: `full: dense 50ep`"
    guess: Guess = None
    if is_later:
        message, label = f"`@{name}` comes later: a reference must name an earlier phase", "not defined yet"
        help = f"write `{name}: ...` before this phase"
    else:
        message, label = f"unknown phase or branch `{name}`", "unknown"
        same = (word for word in known if word.lower() == name.lower())
        guess = next(same, None) or nearest(name, known)
        label = f"did you mean `{guess}`?" if guess else label
    shown = ", ".join(f"`{word}`" for word in dict.fromkeys(known[:8]))
    return Diagnostic(
        CODE,
        message,
        node.span,
        label=label,
        help=f"known here: {shown}" if shown else help,
        fix=_renamed(node, 0, guess) if guess else None,
    )


def _renamed(node: nodes.Reference, index: int, name: str) -> Fix:
    """The reference with another name at one position of its path."""
    path = (*node.path[:index], name, *node.path[index + 1 :])
    return replacement(node.span, f"@{'.'.join(path)}")


def unknown_definition(callee: nodes.Name, known: tuple[str, ...], *, is_later: bool, is_own: bool) -> Diagnostic:
    """A call of a `def` that does not exist, comes later, or is the one that the call stands in."""
    name = callee.text
    guess = None if is_later or is_own else nearest(name, known)
    if is_own:
        message, label = f"`{name}` cannot call itself: a schedule is expanded before it is trained", "inside itself"
    elif is_later:
        message, label = f"the `def` of `{name}` comes later", "not defined yet"
    else:
        message, label = f"there is no `def {name}`", f"did you mean `{guess}`?" if guess else "unknown"
    shown = ", ".join(f"`{one}`" for one in known[:8])
    help = "move it above its first call" if is_later else f"known here: {shown}" if shown and not is_own else ""
    return Diagnostic(
        CODE, message, callee.span, label=label, help=help, fix=replacement(callee.span, guess) if guess else None
    )


def not_a_sweep(label: nodes.Name, branches: tuple[str, ...]) -> Diagnostic:
    """`compare grid on=test.err` where no sweep has that label."""
    sweeps = tuple(dict.fromkeys(name.partition("[")[0] for name in branches if name.endswith("]")))
    guess = nearest(label.text, sweeps)
    known = ", ".join(f"`{name}`" for name in sweeps)
    return Diagnostic(
        CODE,
        f"`{label.text}` is not the label of a sweep with several arms",
        label.span,
        label=f"did you mean `{guess}`?" if guess else "one name alone means all arms of a sweep",
        help=f"sweeps here: {known}"
        if known
        else "write `compare a vs b on=test.err`, or label a sweep: `grid: sweep ...`",
        fix=replacement(label.span, guess) if guess else None,
    )


def one_arm(compare: nodes.Compare) -> Diagnostic:
    """`p(grid on=test.err)`: a p value is that of two arms."""
    return Diagnostic(
        CODE,
        "a p value is that of two arms",
        compare.span,
        label="only one arm",
        help="write `p(a vs b on=test.err)`",
    )


def no_arm_of_it(node: nodes.Reference, name: str, label: str, arms: tuple[str, ...]) -> Diagnostic:
    """`@a[500it]` where `a` is a phase or branch without arms, or `@grid[60%]` where the sweep has others."""
    inside = name[len(label) + 1 : -1]
    is_moment = not arms and (inside in ("start", "entered", "end", "best") or inside[-2:] in ("ep", "it"))
    meant = f"@{label}.{inside}"
    shown = ", ".join(f"`{arm}`" for arm in arms[:8])
    return Diagnostic(
        CODE,
        "a moment of a phase is written `@label.moment`" if is_moment else f"`{label}` has no arm `{name}`",
        node.span,
        label=f"write `{meant}`" if is_moment else "unknown arm" if arms else "it is no sweep",
        help=f"its arms are {shown}" if shown else "",
        fix=replacement(node.span, meant) if is_moment else None,
    )
