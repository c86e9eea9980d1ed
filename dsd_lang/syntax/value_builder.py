"""Builds the nodes of values, conditions, targets and selectors, and checks what the grammar cannot check of them.

A builder gets the kept children and the spans of the first and last symbol. A child with a mistake is None; the mistake
has been reported, and nodes that need the child are left out as well.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from dsd_lang.base.arms import split_path
from dsd_lang.base.diagnostics import Diagnostic, Fix, Span, replacement
from dsd_lang.base.layers import Selector
from dsd_lang.base.units import exact
from dsd_lang.syntax import nodes
from dsd_lang.syntax.terminals import Token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Children = list[Any]

    Builder = Callable[[Children, Span, Span], Any]


MAX_DEPTH = 100
CONDITIONS = (nodes.Comparison, nodes.Logical, nodes.Negation)


class ValueBuilder:
    """Builds the values of one text and collects the diagnostics."""

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

    def build_comparison(self, children: Children, first: Span, last: Span) -> Any:
        return self.operation(nodes.Comparison, children, self.value, first.to(last))

    def build_logical(self, children: Children, first: Span, last: Span) -> Any:
        return self.operation(nodes.Logical, children, self.condition, first.to(last))

    def build_negation(self, children: Children, first: Span, last: Span) -> Any:
        operand = self.condition(children[0])
        return None if operand is None else self.deepened(nodes.Negation(operand, first.to(last)), operand)

    def build_range(self, children: Children, first: Span, last: Span) -> Any:
        bounds = [self.value(child) for child in children if not isinstance(child, Token)]
        if None in bounds:
            return None
        start, end, *step = bounds
        return nodes.Range(start, end, step[0] if step else None, first.to(last))

    def build_tuple(self, children: Children, first: Span, last: Span) -> Any:
        values = tuple(map(self.value, children))
        return None if None in values else nodes.Row(values, first.to(last))

    def build_pattern(self, children: Children, first: Span, last: Span) -> Any:
        return self.build_selector(children, first, last)

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


def without_blanks(text: str) -> str:
    """The name of an arm as messages and paths write it: `grid[s=25%,w=0]`."""
    return "".join(text.split())


def reference_path(text: str) -> tuple[str, ...]:
    """`@a.b[0.5].1.25ep` split into its parts; a length is one part, and so is what stands in brackets."""
    parts = split_path(without_blanks(text[1:]))
    if len(parts) > 2 and parts[-1][:1].isdecimal() and parts[-2].isdecimal():
        parts[-2:] = [f"{parts[-2]}.{parts[-1]}"]
    return tuple(parts)
