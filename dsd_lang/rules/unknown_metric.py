"""A condition or comparison names a metric that does not exist.

What it does
------------
Reports metrics outside `train.loss`, `val.*`, `test.*`, `entropy.relu` and `sparsity`, misspellings of the built-in
ones, and a `compare` without `on=`. Any other word after `val.` or `test.` is taken as a metric of your own.

Why is this bad
---------------
A condition on a metric that is never reported would never hold.

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

from dsd_lang.base.diagnostics import replacement
from dsd_lang.base.metrics import problem_of_metric, split_metric
from dsd_lang.passes.walk import below, statements, values_of
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes

CODE = "DSD205"


def check(subject: Subject) -> None:
    """Every metric in `until`, `expect` and `compare on=`."""
    variables = _variables(subject.program)
    for statement, _ in statements(subject.program.statements):
        for root in values_of(statement):
            if isinstance(root, nodes.Until):
                _check_condition(subject, root.condition, variables, has_arms=False)
        if isinstance(statement, nodes.Expect):
            _check_condition(subject, statement.condition, variables, has_arms=True)
        for argument in statement.arguments if isinstance(statement, nodes.Compare) else ():
            if argument.name == "on" and isinstance(argument.value, nodes.Name):
                _check_name(subject, argument.value, argument.value.text)


def _variables(program: nodes.Program) -> set[str]:
    names: set[str] = set()
    for statement, _ in statements(program.statements):
        if isinstance(statement, nodes.RepeatBlock | nodes.ForBlock) and statement.variable is not None:
            names.add(statement.variable.text)
        elif isinstance(statement, nodes.Sweep):
            names.update(variable.variable.text for variable in statement.variables)
    return names


def _check_condition(subject: Subject, condition: nodes.Condition, variables: set[str], *, has_arms: bool) -> None:
    for node in below(condition):
        if isinstance(node, nodes.Name) and node.text not in variables:
            metric = split_metric(node.text)[1] if has_arms else node.text
            _check_name(subject, node, metric)


def _check_name(subject: Subject, node: nodes.Name, metric: str) -> None:
    problem = problem_of_metric(metric)
    if problem is None:
        return
    message, guess = problem
    prefix = node.text[: len(node.text) - len(metric)]
    fix = replacement(node.span, prefix + guess) if guess else None
    subject.findings.add(
        CODE,
        message,
        node.span,
        label=f"did you mean `{prefix}{guess}`?" if guess else "unknown metric",
        help="metrics are `train.loss`, `val.*`, `test.*`, `entropy.relu` and `sparsity`",
        fix=fix,
    )
