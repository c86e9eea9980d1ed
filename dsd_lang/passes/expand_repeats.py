"""Replaces each `repeat` without a block by copies of the last sparse-dense pair before it.

The pair is the last group of consecutive sparse phases and the dense phases after them (usually one of each). Cycle k
copies it with its learning rates multiplied by `scale` k times; an override applies to the first sparse or first dense
phase of the pair.
"""

from __future__ import annotations

from fractions import Fraction

from dsd_lang import rules
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.compilation import Compilation
from dsd_lang.passes.expand_loops import whole_count
from dsd_lang.passes.outline import Element, ForkItem, Group, OutlineItem, Round, TailItem
from dsd_lang.passes.quantities import evaluate, is_too_long
from dsd_lang.rules.program_too_large import MAX_PHASES
from dsd_lang.syntax import nodes


class _Line(NamedTuple):
    """The phases of a line so far, last first."""

    item: OutlineItem
    before: _Line | None


def expand_repeats(compilation: Compilation) -> None:
    """Replaces ``outline`` by one without `TailItem`."""
    expansion = _Expansion(compilation.diagnostics)
    compilation.outline, _ = expansion.group(compilation.outline, None)


def pair_before(line: _Line | None) -> list[OutlineItem]:
    """The last group of sparse phases and the dense ones after them; empty if there is none."""
    while line is not None and line.item.node.mode == "sparse":
        line = line.before
    run: list[OutlineItem] = []
    while line is not None and line.item.node.mode == "dense":
        run.append(line.item)
        line = line.before
    num_dense = len(run)
    while line is not None and line.item.node.mode == "sparse":
        run.append(line.item)
        line = line.before
    return run[::-1] if len(run) > num_dense > 0 else []


class _Expansion:
    def __init__(self, diagnostics: Diagnostics) -> None:
        self.diagnostics = diagnostics
        self.num_tails = 0
        self.num_copies = 0

    def group(self, group: Group, line: _Line | None) -> tuple[Group, _Line | None]:
        elements: list[Element] = []
        for element in group.items:
            if isinstance(element, OutlineItem):
                line = _Line(element, line)
                elements.append(element)
            elif isinstance(element, Group):
                inner, line = self.group(element, line)
                elements.append(inner)
            elif isinstance(element, ForkItem):
                branches = tuple((name, self.group(body, line)[0]) for name, body in element.branches)
                elements.append(element._replace(branches=branches))
            elif isinstance(element, TailItem):
                for cycle in self.cycles(element, line):
                    inner, line = self.group(cycle, line)
                    elements.append(inner)
            else:
                elements.append(element)
        return Group(elements, is_block=group.is_block, round=group.round, label=group.label), line

    def cycles(self, tail: TailItem, line: _Line | None) -> list[Group]:
        pair = pair_before(line)
        if not pair:
            self.diagnostics.report(rules.repeat_without_pair.no_pair(tail.node))
            return []
        count = 1
        if tail.node.count is not None:
            count = whole_count(tail.node.count, tail.names, "the number of repeats", self.diagnostics) or 1
        self.num_copies += count * len(pair)
        if self.num_copies > MAX_PHASES:
            self.diagnostics.report(rules.program_too_large.too_many_phases(tail.node.span))
            return []
        scale = self.scale(tail)
        loop = f"tail{self.num_tails}"
        self.num_tails += 1
        until = tail.node.until
        return [
            Group(
                list(self.cycle(tail, pair, factor)),
                round=Round(loop, index, until, tail.names) if until is not None else None,
            )
            for index, factor in enumerate(self.factors(tail, scale, count, len(pair)))
        ]

    def cycle(self, tail: TailItem, pair: list[OutlineItem], factor: Fraction) -> list[OutlineItem]:
        """One copy of the pair; the overrides of `repeat` go to the first phase of their mode."""
        overrides = {"sparse": tail.node.sparse, "dense": tail.node.dense}
        copies: list[OutlineItem] = []
        for original in pair:
            override = overrides.pop(original.node.mode, None)
            copies.append(
                OutlineItem(
                    original.node,
                    tail.names,
                    {**original.texts, **tail.texts},
                    original=original,
                    override=override,
                    scale=factor,
                    repeat_span=tail.node.span,
                    whole=tail.whole,
                )
            )
        return copies

    def scale(self, tail: TailItem) -> Fraction:
        for argument in tail.node.arguments:
            if argument.name == "scale" and not isinstance(argument.value, (tuple, nodes.ListTarget)):
                quantity = evaluate(argument.value, tail.names, self.diagnostics)
                if quantity is not None and quantity.is_number and quantity.value > 0:
                    return quantity.value
                if quantity is not None:
                    self.diagnostics.report(rules.lr_not_positive.scale_not_positive(argument.value.span))
        return Fraction(1, 10)

    def factors(self, tail: TailItem, scale: Fraction, count: int, num_copied: int) -> list[Fraction]:
        """The factor of each cycle: scale, scale^2, ... within range; 1 if every copy has its own rate."""
        factors: list[Fraction] = []
        factor = Fraction(1)
        is_final = num_copied == 2 and all(
            phase is not None and any(isinstance(item, nodes.Argument) and item.name == "lr" for item in phase.items)
            for phase in (tail.node.sparse, tail.node.dense)
        )
        for _ in range(count):
            factor = factor if is_final else factor * scale
            if is_too_long(factor):
                self.diagnostics.report(rules.lr_not_positive.scaled_too_often(tail.node.span))
                break
            factors.append(factor)
        return factors
