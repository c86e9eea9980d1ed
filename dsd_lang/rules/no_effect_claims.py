"""`compare` and `expect` that can have no answer after the training: an arm without phases, a function of `until`."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from dsd_lang.base.conditions import CONDITION_FUNCTIONS
from dsd_lang.base.diagnostics import Span
from dsd_lang.base.metrics import split_metric
from dsd_lang.rules.no_effect_reasons import Reason, parts_of_condition
from dsd_lang.rules.subject import Subject

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.plan.shapes import ExpectationData

MOST_SHOWN = 8


def claims_without_answer(subject: Subject) -> Iterator[tuple[Span, Reason]]:
    """The span and the reason of each one."""
    arms = dict.fromkeys(draft.arm for draft in subject.book.phases) if subject.book is not None else {}
    if not arms:
        return
    for data, node in subject.comparisons:
        for arm, name in ((data["left"], node.left), (data["right"], node.right)):
            if arm not in arms:
                yield (name or node).span, _without_phases(arm, arms)
    for expected, statement in subject.expectations:
        for reason in _of_expectation(expected, arms):
            yield statement.condition.span, reason


def _of_expectation(expected: ExpectationData, arms: Collection[str]) -> Iterator[Reason]:
    for part in parts_of_condition(expected["condition"]):
        if part["kind"] == "metric":
            arm, _ = split_metric(part["name"])
            if arm not in arms:
                yield _without_phases(arm, arms)
        elif part["kind"] == "call" and CONDITION_FUNCTIONS[part["name"]].statement == "until":
            yield (
                f"`{part['name']}(...)` watches a training, and `expect` is checked after it: it is never decided",
                "compare metrics: they are those of the end",
            )


def _without_phases(arm: str, arms: Collection[str]) -> Reason:
    if not arm:
        return "every phase is in a branch, so the main line has no metric", "name a branch: `expect a.test.err < 10%`"
    inner = [f"`{name}`" for name in arms if name.startswith(f"{arm}.")]
    if not inner:
        return f"`{arm}` has no phases: nothing is measured there", "compare a branch with phases"
    named = [name for name in inner if "=" not in name]
    help = f"name one of them: {', '.join(named[:MOST_SHOWN])}" if named else "write it inside the `sweep`"
    return f"`{arm}` has no phases of its own, only branches", help
