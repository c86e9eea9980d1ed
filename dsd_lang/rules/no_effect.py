"""Something in the schedule has no effect.

What it does
------------
Reports arguments without effect on their phase (`sparse held by=random`, `sparse 2:4 scope=global`, `state=reset` where
no mask changes), conditions that are never true or measure nothing (`until gain(...)` on a phase), a `compare` of a
branch with itself or of one without phases of its own, an `expect` that nothing after the training can decide, a
`sweep` whose variable is not used, and the like. Values inherited from `set` are not reported: they need not apply to
every phase.

Why is this bad
---------------
The author expected an effect, so the experiment is not the intended one.

Example
-------
::

    dense 50ep lr=0.1; sparse 2:4 scope=global; dense

Use instead
-----------
::

    dense 50ep lr=0.1; sparse 2:4; dense

Fix safety
----------
Unsafe: the argument is removed, but something else may have been meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dsd_lang.base.diagnostics import Fix, Span
from dsd_lang.base.units import exact
from dsd_lang.rules.no_effect_claims import claims_without_answer
from dsd_lang.rules.no_effect_reasons import CHECKED, Reason, parts_of_condition, reason_without_effect
from dsd_lang.rules.subject import Subject
from dsd_lang.syntax import nodes
from dsd_lang.syntax.removal import without_argument
from dsd_lang.syntax.walk import statements, values_of, words_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dsd_lang.passes.draft import Draft, Draftbook
    from dsd_lang.plan.shapes import ConditionData

CODE = "DSD210"
_NEVER_OR_ALWAYS = "a condition compares a metric with a number, or two metrics"


def check(subject: Subject) -> None:
    """Checks every argument of every phase, then the statements around them."""
    if subject.book is None:
        return
    _check_phases(subject)
    _check_comparisons(subject)
    copies = _copies(subject.book)
    for statement in subject.statements:
        if isinstance(statement, nodes.Sweep):
            _check_sweep(subject, statement)
        elif isinstance(statement, nodes.Fork):
            _check_seeds(subject, statement)
        elif isinstance(statement, (nodes.RepeatBlock, nodes.RepeatTail)):
            _check_loop(subject, statement, copies.get(statement.span, ()))
    for condition, span in _conditions(subject):
        _check_condition(subject, condition, span)
    for span, reason in claims_without_answer(subject):
        subject.diagnostics.add(CODE, reason[0], span, label="never has an answer", help=reason[1])


def _check_phases(subject: Subject) -> None:
    """Reports an argument that has no effect in any round or copy of its phase."""
    judged: dict[int, tuple[Draft, nodes.Argument | nodes.Until, Reason]] = {}
    effective: set[int] = set()
    assert subject.book is not None
    for draft in subject.book.phases:
        for item in draft.node.items:
            if id(item) in effective or not isinstance(item, (nodes.Argument, nodes.Until)):
                continue
            name = item.name if isinstance(item, nodes.Argument) else "until"
            reason = reason_without_effect(draft, name, subject.layers) if name in CHECKED else None
            if reason is None:
                effective.add(id(item))
                judged.pop(id(item), None)
            else:
                judged[id(item)] = (draft, item, reason)
    for draft, item, reason in judged.values():
        fix = without_argument(draft.node, item.name) if isinstance(item, nodes.Argument) else None
        _report(subject, item.span, reason, fix=fix if "keep one" not in reason[1] else None)
    for draft in subject.book.phases:
        _check_ramp(subject, draft)


def _check_ramp(subject: Subject, draft: Draft) -> None:
    """A ramp whose phase is long enough for only one selection."""
    target, length = draft.target, draft.length
    if target is None or target["kind"] != "ramp" or length is None:
        return
    if exact(target["start"]) == exact(target["end"]):
        return
    every = target["every"]
    if every["unit"] == length.unit and exact(every["value"]) == length.value:
        what = "the left value of the ramp never holds: `every=` is as long as the phase, which selects once"
        _report(subject, draft.span_of("every"), (what, "write a shorter `every=`, or the right value alone"))


def _report(subject: Subject, span: Span, reason: Reason, *, fix: Fix | None = None) -> None:
    subject.diagnostics.add(CODE, reason[0], span, label="changes nothing", help=reason[1], fix=fix)


def _check_comparisons(subject: Subject) -> None:
    for data, node in subject.comparisons:
        if data["left"] == data["right"]:
            reason = f"`compare` has `{data['left']}` on both sides", "compare two branches"
            _report(subject, node.span, reason)


def _check_sweep(subject: Subject, sweep: nodes.Sweep) -> None:
    """Checks that every variable of a sweep is used, and that each value occurs once."""
    used = {word for statement, _ in statements(sweep.body) for root in values_of(statement) for word in words_in(root)}
    for variable in sweep.bindings:
        for name in variable.variables:
            if name.text not in used:
                help = f"use `{name.text}` in the block, or write `fork seeds=N` to train one thing several times"
                what = f"`{name.text}` is never used: every arm of the sweep trains the same"
                _report(subject, name.span, (what, help))
        seen: set[str] = set()
        for value in variable.values:
            text = subject.text[value.span.start : value.span.end]
            if text in seen:
                _report(subject, value.span, (f"`{text}` is in this sweep already", "write each value once"))
            seen.add(text)


def _check_seeds(subject: Subject, fork: nodes.Fork) -> None:
    for argument in fork.arguments:
        value = argument.value
        if argument.name == "seeds" and isinstance(value, nodes.Number) and value.value == 1:
            reason = "`seeds=1` trains each branch once, as a fork without it does", "write `seeds=5`, or leave it out"
            _report(subject, argument.span, reason)


def _copies(book: Draftbook) -> dict[Span, list[Draft]]:
    """The phases that each `repeat` without a block made, by its span."""
    copies: dict[Span, list[Draft]] = {}
    for draft in book.phases:
        if draft.item.repeat_span is not None:
            copies.setdefault(draft.item.repeat_span, []).append(draft)
    return copies


def _check_loop(subject: Subject, loop: nodes.RepeatBlock | nodes.RepeatTail, copies: Sequence[Draft]) -> None:
    count = 1 if loop.count is None else loop.count.value if isinstance(loop.count, nodes.Number) else None
    if loop.until is not None and count == 1:
        what = "`until` has no effect on a loop of one round: it is checked after each round"
        _report(subject, loop.until.span, (what, "write more rounds: they are the upper bound"))
    if isinstance(loop, nodes.RepeatTail):
        _check_scale(subject, loop, copies)


def _check_scale(subject: Subject, tail: nodes.RepeatTail, copies: Sequence[Draft]) -> None:
    """`scale=` where both phases of the copied pair have their own rate."""
    scale = next((item for item in tail.arguments if item.name == "scale"), None)
    if scale is None or not copies:
        return
    own = {id(draft.item.override) for draft in copies if "lr" in _written(draft.item.override)}
    if all(id(draft.item.override) in own for draft in copies):
        what = "`scale=` has no effect: every phase of the copy has its own `lr=`"
        _report(subject, scale.span, (what, "leave one of the two out"))


def _written(phase: nodes.Phase | None) -> set[str]:
    return {item.name for item in phase.items if isinstance(item, nodes.Argument)} if phase is not None else set()


def _conditions(subject: Subject) -> Iterator[tuple[ConditionData, Span]]:
    """Every condition with its span, each once."""
    assert subject.book is not None
    for draft in subject.book.phases:
        until = draft.until
        if until is not None:
            written = next((item for item in draft.node.items if isinstance(item, nodes.Until)), None)
            yield until, draft.node.mode_span if written is None else written.span
        for cycle, (round_, _) in zip(draft.rounds, draft.cycles, strict=False):
            yield cycle["until"], round_.until.span
    for data, node in subject.expectations:
        yield data["condition"], node.span


def _check_condition(subject: Subject, condition: ConditionData, span: Span) -> None:
    """A comparison without a metric, or of a metric with itself."""
    for part in parts_of_condition(condition):
        if part["kind"] != "compare":
            continue
        left, right = part["args"]
        if left == right:
            _report(subject, span, ("this condition compares a value with itself", _NEVER_OR_ALWAYS))
        elif not any(inner["kind"] in ("metric", "p") for inner in parts_of_condition(part)):
            _report(subject, span, ("this condition measures nothing: it has no metric", _NEVER_OR_ALWAYS))
