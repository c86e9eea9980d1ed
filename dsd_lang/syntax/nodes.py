"""The syntax tree: frozen nodes with spans, as written, before names are resolved.

There is one class for each statement of the language; read it together with the grammar (`grammar.lark`).
"""

from __future__ import annotations

from fractions import Fraction

from dsd_lang.base.diagnostics import Span
from dsd_lang.base.layers import Selector
from dsd_lang.base.records import record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

    from dsd_lang.base.units import Unit

# --- values -----------------------------------------------------------------------------------------------------------


@record
class Number:
    """`12`, `8e-4`, `50_000`, or `30%` (then ``percent`` is true and ``value`` is 3/10)."""

    text: str
    value: Fraction
    percent: bool
    span: Span


@record
class LengthLiteral:
    """`50ep`, `1.25ep`, `500it`."""

    text: str
    value: Fraction
    unit: Unit
    span: Span


@record
class Name:
    """A word: a variable, `prev`, `cosine`, `on`, ... or a dotted name (`val.loss`, `grid[25%].test.err`)."""

    text: str
    span: Span


@record
class Text:
    """A quoted string, without its quotes."""

    value: str
    span: Span


@record
class Reference:
    """`@label.moment`: ``path`` is what follows the `@`, split at its dots (`full`, `500it`, `grid[25%]`)."""

    path: tuple[str, ...]
    span: Span


@record
class Unary:
    """`-x`."""

    operator: Literal["-"]
    operand: Value
    span: Span


@record
class Binary:
    """`x + y`, `x - y`, `x * y`, `x / y`, `x ^ y`."""

    operator: Literal["+", "-", "*", "/", "^"]
    left: Value
    right: Value
    span: Span


@record
class CallArgument:
    """One item in the parentheses of a call, named or positional."""

    name: str | None
    value: Value
    span: Span


@record
class Call:
    """`step(33%, 66%, by=0.1)`, `@T.end(alpha=0.8, T=10)`, `"t.safetensors"(alpha=0.8)`, `plateau(val.loss)`."""

    callee: Name | Reference | Text
    arguments: tuple[CallArgument, ...]
    span: Span


@record
class PValue:
    """`p(a vs b on=test.err)` in an `expect`: the p value of a comparison."""

    compare: Compare
    span: Span


Value = Number | LengthLiteral | Name | Text | Reference | Unary | Binary | Call | PValue

# --- targets ----------------------------------------------------------------------------------------------------------


@record
class NofMTarget:
    """`2:4`."""

    keep: Fraction
    of: Fraction
    span: Span


@record
class RampTarget:
    """`0->90%`."""

    start: Value
    end: Value
    span: Span


@record
class HeldTarget:
    """`held`."""

    span: Span


@record
class SelectorNode:
    """One selector with its span."""

    selector: Selector
    span: Span


@record
class SelectorList:
    """`conv, "head.*"` in a `let`: several selectors that a name stands for."""

    items: tuple[SelectorNode, ...]
    span: Span


@record
class SelectorTarget:
    """`fc: 50%` inside a list target (`conv, fc: 30%` is not allowed: one selector each)."""

    selector: SelectorNode
    target: Value | NofMTarget | RampTarget
    span: Span


@record
class ListTarget:
    """`[conv: 30%, fc: 50%]`."""

    items: tuple[SelectorTarget, ...]
    span: Span


WrittenTarget = NofMTarget | RampTarget | HeldTarget | ListTarget
TARGETS = (NofMTarget, RampTarget, HeldTarget, ListTarget)
"""The targets with a form of their own; a share is a plain value."""


Domain = Value | WrittenTarget | SelectorNode
"""What a name can stand for: whatever may follow `=` or be a target."""


@record
class Range:
    """`10%..90% by 10%`: both ends included; the step is 1 if it is not written."""

    start: Value
    end: Value
    step: Value | None
    span: Span


@record
class Row:
    """`(25%, 1e-3)`: values of several variables that change together."""

    values: tuple[Domain, ...]
    span: Span


Each = Domain | Range | Row
"""What `for` and `sweep` take one after the other."""


# --- conditions -------------------------------------------------------------------------------------------------------


@record
class Comparison:
    """`val.wer < 10%`, `gain(val.err) < 0.1`: values compared."""

    operator: Literal["<", "<=", ">", ">=", "==", "!="]
    left: Value
    right: Value
    span: Span


@record
class Logical:
    """`a and b`, `a or b`."""

    operator: Literal["and", "or"]
    left: Condition
    right: Condition
    span: Span


@record
class Negation:
    """`not a`."""

    operand: Condition
    span: Span


Condition = Comparison | Logical | Negation | Call

# --- statements -------------------------------------------------------------------------------------------------------


@record
class Argument:
    """`name=value`; `layers=` and its like carry a tuple of selectors, `lr=[...]` a list instead of a value."""

    name: str
    name_span: Span
    value: Value | ListTarget | tuple[SelectorNode, ...]
    span: Span


@record
class Until:
    """`until CONDITION` at the end of a phase or at the start of a repeat."""

    condition: Condition
    span: Span


@record
class Label:
    """`name:` before a phase or a branch."""

    name: str
    span: Span


PhaseItem = Value | NofMTarget | RampTarget | HeldTarget | ListTarget | Argument | Until


@record
class Phase:
    """`[label:] dense ARG*` or `[label:] sparse TARGET ARG*`; ``items`` in the order written.

    Among the positional items, a length is the phase's length and any other value is its target.
    """

    label: Label | None
    mode: Literal["dense", "sparse"]
    mode_span: Span
    items: tuple[PhaseItem, ...]
    span: Span


@record
class SetStatement:
    """`set name=value ...`."""

    arguments: tuple[Argument, ...]
    span: Span


@record
class RepeatTail:
    """`repeat [N] [sparse ...] [then dense ...] [scale=0.1] [until COND]`: copies the last sparse-dense pair."""

    count: Value | None
    sparse: Phase | None
    dense: Phase | None
    arguments: tuple[Argument, ...]
    until: Until | None
    span: Span


@record
class RepeatBlock:
    """`repeat N [as i] [until COND] { ... }`."""

    count: Value
    variable: Name | None
    until: Until | None
    body: tuple[Statement, ...]
    span: Span


@record
class ForBlock:
    """`for x in 1, 2, 4 { ... }`, `for (x, y) in (1, 2), (3, 4) { ... }`."""

    variables: tuple[Name, ...]
    values: tuple[Each, ...]
    body: tuple[Statement, ...]
    span: Span


@record
class Branch:
    """`name: { ... }` or `name: phase` inside a fork; ``label`` is None if it is missing (reported later).

    A call or a `within` can stand in place of the phase.
    """

    label: Label | None
    body: tuple[Statement, ...]
    span: Span

    @property
    def is_phase(self) -> bool:
        """Whether it is one statement without braces of its own."""
        return len(self.body) == 1 and self.body[0].span.end == self.span.end


@record
class Fork:
    """`fork [seeds=N] [rng=shared|distinct] { ... }`."""

    arguments: tuple[Argument, ...]
    branches: tuple[Branch, ...]
    span: Span


@record
class SweepBinding:
    """`s in 25%, 50%`, `(s, r) in (25%, 1e-3), (50%, 5e-4)`."""

    variables: tuple[Name, ...]
    values: tuple[Each, ...]
    span: Span


@record
class Sweep:
    """`[label:] sweep s in 25%, 50% [, w in 0, 1e-4] { ... }`."""

    label: Label | None
    bindings: tuple[SweepBinding, ...]
    body: tuple[Statement, ...]
    span: Span


@record
class Compare:
    """`compare a vs b on=test.err [test=...] [at=...]`, or the same within `p(...)`; the arms are branch paths.

    `compare grid on=test.err` compares every arm of a sweep with the first one; then ``right`` is None.
    """

    left: Name
    right: Name | None
    arguments: tuple[Argument, ...]
    span: Span


@record
class Expect:
    """`expect a.test.err < b.test.err - 0.1`."""

    condition: Condition
    span: Span


@record
class Let:
    """`let s = 50%`: the name stands for the value from here to the end of the block; several are selectors."""

    name: Name
    values: tuple[Domain, ...]
    span: Span


@record
class Parameter:
    """`n=45ep` in the head of a `def`; ``default`` is None if a call must give it."""

    name: Name
    default: Domain | None
    span: Span


@record
class Def:
    """`def dsd(s, n=45ep) { ... }`."""

    name: Name
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]
    span: Span


@record
class Use:
    """`use "common.dsd"`: brings the `def`s and `let`s of another file."""

    path: Text
    span: Span


@record
class GivenValue:
    """One value of an invocation, with the parameter's name or by position."""

    name: Name | None
    value: Domain
    span: Span


@record
class Invocation:
    """`dsd(50%)`, `dsd(s=25%, n=10ep)`: the statements of a `def` with its parameters replaced."""

    label: Label | None
    callee: Name
    given: tuple[GivenValue, ...]
    span: Span


@record
class Within:
    """`within 100ep { dense 10%; sparse 50% 60%; dense }`: lengths in the block are shares of the whole."""

    label: Label | None
    length: Value
    body: tuple[Statement, ...]
    span: Span


Statement = (
    Phase
    | SetStatement
    | RepeatTail
    | RepeatBlock
    | ForBlock
    | Fork
    | Sweep
    | Compare
    | Expect
    | Let
    | Def
    | Use
    | Invocation
    | Within
)


@record
class Comment:
    """`# ...`, with whether it stands alone on its line."""

    text: str
    is_alone: bool
    span: Span


@record
class Program:
    """A whole file: its statements and comments, both in source order."""

    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...]
    span: Span
