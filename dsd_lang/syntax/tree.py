"""Builds the nodes of each grammar rule, and checks values that the grammar cannot check.

A builder gets the kept children and the spans of the first and last symbol. A child with a mistake is None; the mistake
has been reported, and nodes that need the child are left out as well.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from dsd_lang.base.arms import split_path
from dsd_lang.base.diagnostics import Diagnostic, Fix, Span, replacement
from dsd_lang.base.layers import Selector
from dsd_lang.base.units import exact
from dsd_lang.syntax import nodes
from dsd_lang.syntax.phase_items import checked_items
from dsd_lang.syntax.terminals import Token

MAX_DEPTH = 100
CONDITIONS = (nodes.Comparison, nodes.Logical, nodes.Negation)
Children = list[Any]
Builder = Callable[[Children, Span, Span], Any]


class TreeBuilder:
    """Builds the nodes of one text and collects the diagnostics."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []
        self.is_quiet = False  # while completing a statement with a reported mistake
        self.shares: dict[int, Diagnostic] = {}  # by offset: mistakes unless a `within` or `def` is around them
        self.told_ranges: set[int] = set()  # spans of `range(...)` that were already reported
        self.numbers: dict[str, Fraction] = {}
        self.depths: dict[int, tuple[int, Any]] = {}
        self.builders: dict[str, Builder] = {
            name[len("build_") :]: getattr(self, name) for name in dir(self) if name.startswith("build_")
        }
        self.literals: dict[str, Callable[[str, Span], Any]] = {
            "NUMBER": self.number,
            "LENGTH": self.length,
            "NAME": nodes.Name,
            "DOTTED": nodes.Name,
            "CALLED": nodes.Name,
            "ARM": lambda text, span: nodes.Name(without_blanks(text), span),
            "STRING": lambda text, span: nodes.Text(text[1:-1], span),
            "REFERENCE": lambda text, span: nodes.Reference(reference_path(text), span),
        }

    def report(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        label: str = "",
        help: str = "",
        fix: Fix | None = None,
        is_share: bool = False,
    ) -> None:
        """Adds a diagnostic, unless this statement has one; ``is_share``: a `within` or `def` takes it back."""
        if not self.is_quiet:
            diagnostic = Diagnostic(code, message, span, label, help, fix)
            self.diagnostics.append(diagnostic)
            if is_share:
                self.shares[span.start] = diagnostic

    # --- values -------------------------------------------------------------------------------------------------------

    def number(self, text: str, span: Span) -> nodes.Number:
        value = self.numbers.get(text)
        if value is None:
            value = self.numbers[text] = exact(text or "1")
        return nodes.Number(text, value, text.endswith("%"), span)

    def length(self, text: str, span: Span) -> nodes.LengthLiteral:
        value = self.numbers.get(text)
        if value is None:
            value = self.numbers[text] = exact(text[:-2])
        return nodes.LengthLiteral(text, value, "ep" if text.endswith("ep") else "it", span)

    def value(self, child: Any) -> Any:
        """The child, if a number is allowed: not a comparison."""
        if isinstance(child, CONDITIONS):
            self.report(
                "DSD101",
                "a comparison is not allowed here: a value is expected",
                child.span,
                help="conditions follow `until` and `expect`",
            )
            return None
        return child

    def condition(self, child: Any) -> Any:
        """The child as a condition: a comparison, or a function such as `plateau(val.loss)`."""
        if child is None or isinstance(child, (*CONDITIONS, nodes.Call)):
            return child
        is_function = isinstance(child, nodes.Name) and child.text in ("plateau", "falling")
        self.report(
            "DSD101",
            f"`{child.text}` needs a metric"
            if is_function
            else "this is not a condition: a value must be compared with something",
            child.span,
            label=f"did you mean `{child.text}(val.loss)`?" if is_function else "",
            fix=replacement(child.span, f"{child.text}(val.loss)") if is_function else None,
            help="for example `val.err < 10%`, `gain(val.err) < 0.1` or `plateau(val.loss, patience=3)`",
        )
        return None

    def deepened(self, node: Any, *parts: Any) -> Any:
        """The node, or None if it is nested too deep for later passes."""
        depth = 1 + max((self.depths[id(part)][0] for part in parts if id(part) in self.depths), default=0)
        if depth > MAX_DEPTH:
            self.report("DSD101", f"this expression nests more than {MAX_DEPTH} operations", node.span)
            self.is_quiet = True
            return None
        self.depths[id(node)] = (depth, node)
        return node

    def build_group(self, children: Children, first: Span, last: Span) -> Any:
        return children[0]

    def operation(self, node: Any, children: Children, read: Callable[[Any], Any], span: Span) -> Any:
        """``node(operator, left, right, span)``, or None if ``read`` rejects an operand."""
        left, right = read(children[0]), read(children[2])
        if left is None or right is None:
            return None
        return self.deepened(node(children[1].text, left, right, span), left, right)

    def build_binary(self, children: Children, first: Span, last: Span) -> Any:
        return self.operation(nodes.Binary, children, self.value, first.to(last))

    def build_negative(self, children: Children, first: Span, last: Span) -> Any:
        operand = self.value(children[1])
        return None if operand is None else self.deepened(nodes.Unary("-", operand, first.to(last)), operand)

    def build_call(self, children: Children, first: Span, last: Span) -> Any:
        callee, *items = (child for child in children if child is not None)
        if any(isinstance(item, nodes.Compare) for item in items):
            return self.p_value(callee, items, first.to(last))
        node = nodes.Call(callee, tuple(items), first.to(last))
        return self.deepened(node, *(item.value for item in items))

    def p_value(self, callee: Any, items: Children, span: Span) -> nodes.PValue | None:
        """`p(a vs b on=test.err)`: two arms are compared nowhere else within parentheses, and nothing else is there."""
        if isinstance(callee, nodes.Name) and callee.text == "p" and len(items) == 1:
            return nodes.PValue(items[0], span)
        self.report(
            "DSD101",
            "`vs` within parentheses stands in `p(a vs b on=METRIC)`, with nothing else and without commas",
            span,
            label="expected `p(a vs b on=METRIC)`",
            help="write for instance `expect p(a vs b on=test.err) < 0.05`",
        )
        return None

    def build_call_item(self, children: Children, first: Span, last: Span) -> Any:
        value = self.value(children[0])
        return None if value is None else nodes.CallArgument(None, value, first.to(last))

    def build_named_item(self, children: Children, first: Span, last: Span) -> Any:
        value = self.value(children[1])
        return None if value is None else nodes.CallArgument(children[0].text, value, first.to(last))

    def build_versus_item(self, children: Children, first: Span, last: Span) -> Any:
        return self.build_compare(children, first, last)

    def build_comparison(self, children: Children, first: Span, last: Span) -> Any:
        return self.operation(nodes.Comparison, children, self.value, first.to(last))

    def build_logical(self, children: Children, first: Span, last: Span) -> Any:
        return self.operation(nodes.Logical, children, self.condition, first.to(last))

    def build_negation(self, children: Children, first: Span, last: Span) -> Any:
        operand = self.condition(children[0])
        return None if operand is None else self.deepened(nodes.Negation(operand, first.to(last)), operand)

    # --- targets and selectors ----------------------------------------------------------------------------------------

    def build_ramp(self, children: Children, first: Span, last: Span) -> Any:
        start, end = self.value(children[0]), self.value(children[1])
        return None if start is None or end is None else nodes.RampTarget(start, end, first.to(last))

    def build_n_of_m(self, children: Children, first: Span, last: Span) -> Any:
        return nodes.NofMTarget(children[0].value, children[-1].value, first.to(last))

    def build_held(self, children: Children, first: Span, last: Span) -> Any:
        return nodes.HeldTarget(first)

    def build_list_target(self, children: Children, first: Span, last: Span) -> Any:
        return nodes.ListTarget(tuple(child for child in children if child is not None), first.to(last))

    def build_list_item(self, children: Children, first: Span, last: Span) -> Any:
        target = self.value(children[1])
        return None if target is None else nodes.SelectorTarget(children[0], target, first.to(last))

    def build_selectors(self, children: Children, first: Span, last: Span) -> Any:
        return tuple(children)

    def build_selector(self, children: Children, first: Span, last: Span) -> Any:
        written = children[0]
        if isinstance(written, Token):
            return nodes.SelectorNode(Selector("regex", written.text[1:-1]), first)
        if isinstance(written, nodes.Text):
            return nodes.SelectorNode(Selector("glob", written.value), first)
        return nodes.SelectorNode(Selector("word", written.text), first)

    # --- statements ---------------------------------------------------------------------------------------------------

    def build_start(self, children: Children, first: Span, last: Span) -> Any:
        return tuple(children)

    def build_block(self, children: Children, first: Span, last: Span) -> Any:
        return tuple(children)

    def build_argument(self, children: Children, first: Span, last: Span) -> Any:
        value = self.value(children[1])
        return None if value is None else nodes.Argument(children[0].text, children[0].span, value, first.to(last))

    def build_selection(self, children: Children, first: Span, last: Span) -> Any:
        return nodes.Argument(children[0].text, children[0].span, children[1], first.to(last))

    def build_until(self, children: Children, first: Span, last: Span) -> Any:
        condition = self.condition(children[0])
        return None if condition is None else nodes.Until(condition, first.to(last))

    def build_label(self, children: Children, first: Span, last: Span) -> Any:
        return nodes.Label(children[0].text, children[0].span)

    def build_phase(self, children: Children, first: Span, last: Span) -> Any:
        label = children.pop(0) if isinstance(children[0], nodes.Label) else None
        word, *items = children
        mode = word.text if word.text in ("dense", "sparse") else word.kind.lower()
        return nodes.Phase(label, mode, word.span, checked_items(mode, items, self.report), first.to(last))

    def build_tail_sparse(self, children: Children, first: Span, last: Span) -> Any:
        return self.build_phase(children, first, last)

    def build_tail_dense(self, children: Children, first: Span, last: Span) -> Any:
        return self.build_phase(children, children[0].span, last)

    def build_repeat_block(self, children: Children, first: Span, last: Span) -> Any:
        count, *others, body = children
        if count is None or (isinstance(count, nodes.Number) and not count.text):
            return None
        variable = next((other for other in others if isinstance(other, nodes.Name)), None)
        until = next((other for other in others if isinstance(other, nodes.Until)), None)
        return nodes.RepeatBlock(count, variable, until, body, first.to(last))

    def build_repeat_tail(self, children: Children, first: Span, last: Span) -> Any:
        arguments = [child for child in children if isinstance(child, nodes.Argument)]
        phases = [child for child in children if isinstance(child, nodes.Phase)]
        untils = [child for child in children if isinstance(child, nodes.Until)]
        count = children[0] if children and not isinstance(children[0], _TAIL_PARTS) else None
        if phases:
            phases[-1], moved, moved_until = _without_scale(phases[-1])
            arguments += moved
            untils += [moved_until] if moved_until is not None else []
        for again in untils[1:]:
            self.report(
                "DSD206",
                "a `repeat` has one `until`",
                again.span,
                label="given before",
                help="join the conditions with `and` or `or`",
            )
        sparse = next((phase for phase in phases if phase.mode == "sparse"), None)
        dense = next((phase for phase in phases if phase.mode == "dense"), None)
        return nodes.RepeatTail(count, sparse, dense, tuple(arguments), untils[0] if untils else None, first.to(last))

    def build_for(self, children: Children, first: Span, last: Span) -> Any:
        variables, *values, body = children
        for value in values:
            if isinstance(value, nodes.Call):
                self.no_call(value)
        kept = tuple(value for value in map(self.value, values) if value is not None)
        return nodes.ForBlock(variables, kept, body, first.to(last))

    def build_variables(self, children: Children, first: Span, last: Span) -> Any:
        return tuple(children)

    def build_range(self, children: Children, first: Span, last: Span) -> Any:
        bounds = [self.value(child) for child in children if not isinstance(child, Token)]
        if None in bounds:
            return None
        start, end, *step = bounds
        return nodes.Range(start, end, step[0] if step else None, first.to(last))

    def build_tuple(self, children: Children, first: Span, last: Span) -> Any:
        values = tuple(map(self.value, children))
        return None if None in values else nodes.Row(values, first.to(last))

    # --- names and parts ----------------------------------------------------------------------------------------------

    def build_pattern(self, children: Children, first: Span, last: Span) -> Any:
        return self.build_selector(children, first, last)

    def build_let(self, children: Children, first: Span, last: Span) -> Any:
        _, name, *written = children
        values = tuple(value for value in map(self.value, written) if value is not None)
        return nodes.Let(name, values, first.to(last)) if values else None

    def build_parameter(self, children: Children, first: Span, last: Span) -> Any:
        name, *default = children
        name = nodes.Name(name.text, name.span)
        return nodes.Parameter(name, self.value(default[0]) if default else None, first.to(last))

    def build_def(self, children: Children, first: Span, last: Span) -> Any:
        _, name, *parameters, body = children
        self.take_back_shares(first.to(last))  # it may be called in a `within`
        return nodes.Def(name, tuple(parameters), body, first.to(last))

    def build_use(self, children: Children, first: Span, last: Span) -> Any:
        return nodes.Use(children[1], first.to(last))

    def build_given(self, children: Children, first: Span, last: Span) -> Any:
        value = self.value(children[0])
        return None if value is None else nodes.GivenValue(None, value, first.to(last))

    def build_named_given(self, children: Children, first: Span, last: Span) -> Any:
        name, value = children[0], self.value(children[1])
        return None if value is None else nodes.GivenValue(nodes.Name(name.text, name.span), value, first.to(last))

    def build_invocation(self, children: Children, first: Span, last: Span) -> Any:
        label = children.pop(0) if isinstance(children[0], nodes.Label) else None
        callee, *given = children
        return nodes.Invocation(label, callee, tuple(item for item in given if item is not None), first.to(last))

    def build_within(self, children: Children, first: Span, last: Span) -> Any:
        label = children.pop(0) if isinstance(children[0], nodes.Label) else None
        _, written, body = children
        length = self.value(written)
        self.take_back_shares(first.to(last))
        return None if length is None else nodes.Within(label, length, body, first.to(last))

    def take_back_shares(self, span: Span) -> None:
        """Drops what was reported of lengths that are shares, in a `within`."""
        inside = range(span.start, span.end)
        self.diagnostics = [
            item
            for item in self.diagnostics
            if item.span.start not in inside or self.shares.get(item.span.start) is not item
        ]

    def no_call(self, value: nodes.Call) -> None:
        """`for i in range(3)`: a loop needs a list of values."""
        numbers = [item.value for item in value.arguments if isinstance(item.value, nodes.Number)]
        bounds = [int(number.value) for number in numbers if number.value.denominator == 1 and number.value <= 1000]
        is_range = isinstance(value.callee, nodes.Name) and value.callee.text == "range"
        if not is_range or value.span.start in self.told_ranges:
            return
        listed = ", ".join(map(str, range(*bounds))) if 0 < len(bounds) == len(value.arguments) < 3 else ""
        is_short = 0 < len(listed) <= 60
        self.report(
            "DSD101",
            "a loop lists its values: there is no `range`",
            value.span,
            label=f"write `{listed}`" if is_short else "",
            help="N rounds, numbered from 0, are `repeat N as i { ... }`",
            fix=replacement(value.span, listed) if is_short else None,
        )

    def build_block_branch(self, children: Children, first: Span, last: Span) -> Any:
        label = children[0] if isinstance(children[0], nodes.Label) else None
        if label is not None and not label.name:
            return None
        return nodes.Branch(label, children[-1], first.to(last))

    def build_phase_branch(self, children: Children, first: Span, last: Span) -> Any:
        statement: nodes.Phase | nodes.Invocation | nodes.Within = children[0]
        if statement is None:
            return None
        if statement.label is None:
            return nodes.Branch(None, (statement,), statement.span)
        return nodes.Branch(statement.label, (_without_label(statement, last),), first.to(last))

    def build_fork(self, children: Children, first: Span, last: Span) -> Any:
        arguments = tuple(child for child in children if isinstance(child, nodes.Argument))
        branches = tuple(child for child in children if isinstance(child, nodes.Branch))
        return nodes.Fork(arguments, branches, first.to(last))

    def build_sweep_binding(self, children: Children, first: Span, last: Span) -> Any:
        value = self.value(children[1])
        values = () if value is None else (value,)
        return nodes.SweepBinding(children[0], values, first.to(last))

    def build_sweep(self, children: Children, first: Span, last: Span) -> Any:
        label = children.pop(0) if isinstance(children[0], nodes.Label) else None
        *written, body = children
        groups: list[tuple[nodes.SweepBinding, list[Any]]] = []
        for child in written:
            if isinstance(child, nodes.SweepBinding):
                groups.append((child, list(child.values)))
            elif (value := self.value(child)) is not None:
                groups[-1][1].append(value)
        bindings = tuple(
            nodes.SweepBinding(head.variables, tuple(values), head.span.to(values[-1].span) if values else head.span)
            for head, values in groups
        )
        return nodes.Sweep(label, bindings, body, first.to(last))

    def build_path(self, children: Children, first: Span, last: Span) -> Any:
        return children[0]

    def build_compare(self, children: Children, first: Span, last: Span) -> Any:
        arms = [child for child in children if isinstance(child, nodes.Name)]
        arguments = tuple(child for child in children if isinstance(child, nodes.Argument))
        return nodes.Compare(arms[0], arms[1] if len(arms) > 1 else None, arguments, first.to(last))

    def build_expect(self, children: Children, first: Span, last: Span) -> Any:
        condition = self.condition(children[0])
        return None if condition is None else nodes.Expect(condition, first.to(last))

    def build_set(self, children: Children, first: Span, last: Span) -> Any:
        return nodes.SetStatement(tuple(children), first.to(last))


_TAIL_PARTS = (nodes.Argument, nodes.Phase, nodes.Until)


def _without_scale(phase: nodes.Phase) -> tuple[nodes.Phase, list[nodes.Argument], nodes.Until | None]:
    """A repeat's last phase without the `scale=` that belongs to the repeat and the `until` after it."""
    position = next(
        (index for index, item in enumerate(phase.items) if isinstance(item, nodes.Argument) and item.name == "scale"),
        None,
    )
    if position is None:
        return phase, [], None
    scale, after = phase.items[position], phase.items[position + 1 :]
    until = next((item for item in after if isinstance(item, nodes.Until)), None)
    items = phase.items[:position] + tuple(item for item in after if item is not until)
    end = items[-1].span if items else phase.mode_span
    trimmed = nodes.Phase(phase.label, phase.mode, phase.mode_span, items, phase.span.to(end))
    assert isinstance(scale, nodes.Argument)
    return trimmed, [scale], until


def _without_label(statement: nodes.Phase | nodes.Invocation | nodes.Within, last: Span) -> nodes.Statement:
    """The statement of a branch, whose label is the branch's."""
    if isinstance(statement, nodes.Phase):
        span = statement.mode_span.to(last)
        return nodes.Phase(None, statement.mode, statement.mode_span, statement.items, span)
    if isinstance(statement, nodes.Invocation):
        return nodes.Invocation(None, statement.callee, statement.given, statement.callee.span.to(last))
    return nodes.Within(None, statement.length, statement.body, statement.length.span.to(last))


def without_blanks(text: str) -> str:
    """The name of an arm as messages and paths write it: `grid[s=25%,w=0]`."""
    return "".join(text.split())


def reference_path(text: str) -> tuple[str, ...]:
    """`@a.b[0.5].1.25ep` split into its parts; a length is one part, and so is what stands in brackets."""
    parts = split_path(without_blanks(text[1:]))
    if len(parts) > 2 and parts[-1][:1].isdecimal() and parts[-2].isdecimal():
        parts[-2:] = [f"{parts[-2]}.{parts[-1]}"]
    return tuple(parts)
