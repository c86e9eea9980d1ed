"""A condition or comparison names a metric that does not exist.

What it does
------------
Reports metrics outside `train.loss`, `val.*`, `test.*`, `entropy.relu` and `sparsity`, misspellings of the built-in
ones, and a `compare` without `on=`. Any other word after `val.` or `test.` is taken as your own metric.

Why is this bad
---------------
A condition on a metric that is never reported would never be true.

Example
-------
::

    dense 50ep until plateau(val.los, patience=3)

Use instead
-----------
::

    dense 50ep until plateau(val.loss, patience=3)

Fix safety
----------
Unsafe: the nearest name is a guess.
"""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.base.diagnostics import Diagnostic, replacement
from dsd_lang.base.metrics import MEASURES, SPLITS, problem_of_metric, split_metric
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes
from dsd_lang.syntax.walk import below, compares_in, untils_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeGuard

CODE = "DSD205"


def check(subject: Subject) -> None:
    """Checks every metric in `until`, `expect` and `compare on=`."""
    branches = _branches(subject.statements)
    for statement in subject.statements:
        for until in untils_of(statement):
            _check_condition(subject, until.condition)
        if isinstance(statement, nodes.Expect):
            _check_condition(subject, statement.condition, branches)
        for compare in compares_in(statement):
            for argument in compare.arguments:
                if argument.name == "on" and isinstance(argument.value, nodes.Name):
                    _check_name(subject, argument.value, argument.value.text)


def _branches(statements: Sequence[nodes.Statement]) -> frozenset[str]:
    """The names of a program's branches."""
    found: set[str] = set()
    for statement in statements:
        if isinstance(statement, nodes.Sweep) and statement.label is not None:
            found.add(statement.label.name)
        elif isinstance(statement, nodes.Fork):
            found.update(branch.label.name for branch in statement.branches if branch.label is not None)
    return frozenset(found)


def _check_condition(subject: Subject, condition: nodes.Condition, branches: frozenset[str] | None = None) -> None:
    """Checks a condition; ``branches`` are given where metrics belong to one, as in `expect`."""
    parts = list(below(condition))
    quotients = [node for node in parts if isinstance(node, nodes.Binary) and _is_split(node)]
    arms = {id(item.value) for node in parts if _lacks_vs(node) for item in node.arguments}
    slashed = {id(side) for node in quotients for side in (node.left, node.right)}
    for quotient in quotients:
        if isinstance(quotient.left, nodes.Name) and isinstance(quotient.right, nodes.Name):
            _report_slash(subject, quotient, f"{quotient.left.text}.{quotient.right.text}")
    for node in parts:
        if id(node) in slashed or id(node) in arms:
            continue
        if isinstance(node, nodes.Name) and node.text not in subject.names:
            metric = node.text if branches is None else split_metric(node.text)[1]
            if branches is not None and _is_arm_alone(subject, node, branches):
                continue
            _check_name(subject, node, metric)


def _lacks_vs(node: object) -> TypeGuard[nodes.Call]:
    """`p(a, b)`: the pass that reads conditions says what is missing."""
    return isinstance(node, nodes.Call) and isinstance(node.callee, nodes.Name) and node.callee.text == "p"


def _is_split(node: nodes.Binary) -> bool:
    """`val/loss`, as loggers write metrics."""
    return (
        node.operator == "/"
        and isinstance(node.left, nodes.Name)
        and node.left.text in SPLITS
        and isinstance(node.right, nodes.Name)
    )


def _report_slash(subject: Subject, node: nodes.Binary, meant: str) -> None:
    subject.diagnostics.add(
        CODE,
        "the name of a metric is written with `.`, not with `/`",
        node.span,
        label=f"did you mean `{meant}`?",
        fix=replacement(node.span, meant),
    )


def _is_arm_alone(subject: Subject, node: nodes.Name, branches: frozenset[str]) -> bool:
    """Whether `a` or `a.err` in an `expect` is a branch without a complete metric; reports it."""
    arm, _, name = node.text.rpartition(".")
    arm, name = (arm, name) if arm else (name, "")
    if arm not in branches or (name and name not in MEASURES):
        return False
    meant = f"{arm}.test.{name or 'err'}"
    subject.diagnostics.add(
        CODE,
        f"`{node.text}` is a branch without a metric"
        if not name
        else f"`{node.text}` does not say which split it is measured on",
        node.span,
        label=f"did you mean `{meant}`?",
        help=f"write for instance `{meant}`, `{arm}.val.loss`",
        fix=replacement(node.span, meant),
    )
    return True


def _check_name(subject: Subject, node: nodes.Name, metric: str) -> None:
    problem = problem_of_metric(metric)
    if problem is None:
        return
    message, guess = problem
    from dsd_lang.base.foreign_words import COUNTERS

    help = "metrics are `train.loss`, `val.*`, `test.*`, `entropy.relu` and `sparsity`"
    if metric.lower() in COUNTERS:
        help, guess = "the length of a phase is its upper bound: `dense 50ep until ...`", None
    prefix = node.text[: len(node.text) - len(metric)]
    fix = replacement(node.span, prefix + guess) if guess else None
    subject.diagnostics.add(
        CODE,
        message,
        node.span,
        label=f"did you mean `{prefix}{guess}`?" if guess else "unknown metric",
        help=help,
        fix=fix,
    )


def no_metric(compare: nodes.Compare) -> Diagnostic:
    """A `compare` without `on=`."""
    return Diagnostic(
        CODE,
        "`compare` needs the metric it compares",
        compare.span,
        label="compared on what?",
        help="write `compare a vs b on=test.err`",
    )
