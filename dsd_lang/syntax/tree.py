"""Builds the nodes of each statement of the grammar; those of the values in them are built by value_builder.py."""

from __future__ import annotations

from collections.abc import Sequence

from dsd_lang.base.diagnostics import Span, replacement
from dsd_lang.syntax import nodes
from dsd_lang.syntax.phase_items import checked_items
from dsd_lang.syntax.value_builder import ValueBuilder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dsd_lang.syntax.value_builder import Children


class TreeBuilder(ValueBuilder):
    """Builds the nodes of one text."""

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
        variables, *written, body = children
        kept = self.loop_values(written)
        return nodes.ForBlock(variables, kept, body, first.to(last))

    def build_variables(self, children: Children, first: Span, last: Span) -> Any:
        return tuple(children)

    # --- names and parts ----------------------------------------------------------------------------------------------

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

    def loop_values(self, written: Sequence[Any]) -> tuple[Any, ...]:
        """The values of a loop but for Python's ranges, which are reported: `for i in range(3)`."""
        found: list[Any] = []
        for value in written:
            called = value.callee if isinstance(value, nodes.Call) else None
            if isinstance(called, nodes.Name) and called.text in _RANGE_FUNCTIONS:
                self.no_range_function(called.text, value)
            elif (read := self.value(value)) is not None:
                found.append(read)
        return tuple(found)

    def no_range_function(self, name: str, value: nodes.Call) -> None:
        """`range(3)` where a loop lists its values."""
        if value.span.start in self.told_ranges:
            return
        numbers = [item.value for item in value.arguments if isinstance(item.value, nodes.Number)]
        bounds = [int(number.value) for number in numbers if number.value.denominator == 1 and number.value <= 10**6]
        is_known = name == "range" and 0 < len(bounds) == len(value.arguments) <= 3 and bounds[2:] != [0]
        numbered = range(*bounds) if is_known else range(0)
        step = f" by {numbered.step}" if numbered.step != 1 else ""
        meant = f"{numbered[0]}..{numbered[-1]}{step}" if numbered else ""
        self.report(
            "DSD101",
            f"a loop has no `{name}(...)`: a range is written `0..9`, or with its step `10%..90% by 10%`",
            value.span,
            label=f"write `{meant}`" if meant else "",
            help="N rounds, numbered from 0, are `repeat N as i { ... }`",
            fix=replacement(value.span, meant) if meant else None,
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
        return nodes.SweepBinding(children[0], self.loop_values(children[1:]), first.to(last))

    def build_sweep(self, children: Children, first: Span, last: Span) -> Any:
        label = children.pop(0) if isinstance(children[0], nodes.Label) else None
        *written, body = children
        groups: list[tuple[nodes.SweepBinding, list[Any]]] = []
        for child in written:
            if isinstance(child, nodes.SweepBinding):
                groups.append((child, list(child.values)))
            else:
                groups[-1][1].extend(self.loop_values([child]))
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

    def build_versus_item(self, children: Children, first: Span, last: Span) -> Any:
        return self.build_compare(children, first, last)

    def build_expect(self, children: Children, first: Span, last: Span) -> Any:
        condition = self.condition(children[0])
        return None if condition is None else nodes.Expect(condition, first.to(last))

    def build_set(self, children: Children, first: Span, last: Span) -> Any:
        return nodes.SetStatement(tuple(children), first.to(last))


_RANGE_FUNCTIONS = ("range", "xrange", "arange", "linspace", "logspace", "geomspace")
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
