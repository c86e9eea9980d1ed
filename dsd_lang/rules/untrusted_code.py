"""A schedule names Python code as its model or its data.

What it does
------------
Warns about `set model="package.module:factory"` and `set data="package.module:factory"`.

Why is this bad
---------------
Running the schedule would import that module and call that function, so a downloaded schedule could run any code.
`dsd-run` therefore refuses such a name in a file unless `--trust-schedule` is given. On the command line it is allowed.

Example
-------
::

    set model="my_nets:make"
    dense 5ep lr=0.1

Use instead
-----------
::

    # dsd-run schedule.dsd --model my_nets:make
    dense 5ep lr=0.1

Fix safety
----------
There is no automatic fix.
"""

from __future__ import annotations

from dsd_lang.base.python_names import CODE_SETTINGS, python_target
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes
from dsd_lang.syntax.walk import phases_of

CODE = "DSD208"


def check(subject: Subject) -> None:
    """Checks every `set model=` and `set data=`, and the model of every teacher in a file."""
    for statement in subject.statements:
        for phase in phases_of(statement):
            _check_teachers(subject, phase)
        for argument in statement.arguments if isinstance(statement, nodes.SetStatement) else ():
            if argument.name in CODE_SETTINGS and isinstance(argument.value, nodes.Text):
                _check_value(subject, argument.name, argument.value)


def _check_teachers(subject: Subject, phase: nodes.Phase) -> None:
    for item in phase.items:
        call = item.value if isinstance(item, nodes.Argument) and item.name == "distill" else None
        for given in call.arguments if isinstance(call, nodes.Call) else ():
            target = python_target("model", given.value.value) if isinstance(given.value, nodes.Text) else None
            if given.name == "model" and target is not None:
                subject.diagnostics.add(
                    CODE,
                    f"`{target}` is Python code, which `dsd-run` does not run because a file says so",
                    given.value.span,
                    label="this is a module and a function",
                    help="run with `--trust-schedule` if you trust it",
                )


def _check_value(subject: Subject, setting: str, value: nodes.Text) -> None:
    target = python_target(setting, value.value)
    if target is None:
        return
    subject.diagnostics.add(
        CODE,
        f"`{target}` is Python code, which `dsd-run` does not run because a file says so",
        value.span,
        label="this is a module and a function",
        help=f"give it on the command line, `--{setting} {target}`, or run with `--trust-schedule`",
    )
