"""Resolves `compare` and `expect`: every arm becomes the path of a branch.

An arm is written as its path without seeds (`dsd` means `dsd.seed0`, `dsd.seed1`, ...). A statement inside a `sweep` or
loop is resolved once for each of its branches; a metric without an arm is that of the branch that it stands in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from dsd_lang import rules
from dsd_lang.base.arguments import BY_NAME
from dsd_lang.base.arms import split_index, split_path
from dsd_lang.base.diagnostics import CalledSpan, Span, here
from dsd_lang.base.metrics import split_metric
from dsd_lang.passes.bindings import named_arm
from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.compilation import Compilation
from dsd_lang.passes.draft import ClaimDraft, NamedThing, NameScope
from dsd_lang.passes.read_conditions import ExpectNames, read_condition
from dsd_lang.passes.read_values import read_value
from dsd_lang.passes.resolve_references import entries_of, find
from dsd_lang.syntax import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from dsd_lang.plan.shapes import ComparisonData, ExpectationData, SpanData

_ARM = r"\w+\[[^\[\]]*\]"


def resolve_claims(compilation: Compilation) -> None:
    """Fills in ``comparisons`` and ``expectations``, with their statements."""
    comparisons = _Comparisons()
    expectations: dict[str, tuple[ExpectationData, nodes.Expect]] = {}
    rng_of_arm = {phase.arm: phase.rng for phase in compilation.book.phases}
    for claim in compilation.book.claims:
        resolver = _Claims(claim, compilation.names, compilation.diagnostics, rng_of_arm, comparisons)
        if isinstance(claim.node, nodes.Compare):
            resolver.compared_arms(claim.node)
        else:
            expected = resolver.expectation(claim.node, text_of(claim.node.span, compilation))
            if expected is not None:
                key_text = repr((expected["condition"], expected["text"]))
                expectations.setdefault(key_text, (expected, claim.node))
    compilation.comparisons = tuple(comparisons.found)
    compilation.expectations = tuple(expectations.values())


def text_of(span: Span, compilation: Compilation) -> str:
    """The text that a span is a range of: the schedule's, or that of a file it uses."""
    file = span.file if isinstance(span, CalledSpan) else None
    return compilation.text if file is None else compilation.used_texts[file]


def span_data(node: nodes.Statement | nodes.Compare) -> SpanData:
    """A node's span in the schedule as plan data."""
    span = here(node.span)
    return {"line": span.line, "column": span.column, "end_line": span.end_line, "end_column": span.end_column}


class _Comparisons:
    """The comparisons of a program; one that is written twice is made once."""

    def __init__(self) -> None:
        self.found: list[tuple[ComparisonData, nodes.Compare]] = []
        self._indices: dict[tuple[object, ...], int] = {}

    def index(self, data: ComparisonData, node: nodes.Compare) -> int:
        """The index of a comparison, which is added if it is new."""
        key = tuple((name, value) for name, value in data.items() if name != "span")
        if key not in self._indices:
            self._indices[key] = len(self.found)
            self.found.append((data, node))
        return self._indices[key]


class _Claims:
    def __init__(
        self,
        claim: ClaimDraft,
        all_names: frozenset[str],
        diagnostics: Diagnostics,
        rng_of_arm: Mapping[str, str],
        comparisons: _Comparisons,
    ) -> None:
        self.claim = claim
        self.all_names = all_names
        self.diagnostics = diagnostics
        self.rng_of_arm = rng_of_arm
        self.comparisons = comparisons

    def compared_arms(self, node: nodes.Compare) -> None:
        """The comparison of two arms, or of every arm of a sweep with its first one."""
        if node.right is not None:
            self.comparison(node)
            return
        arms = self.arms_of(node.left)
        for arm in arms[1:]:
            first, other = (nodes.Name(name, node.left.span) for name in (arms[0], arm))
            self.comparison(nodes.Compare(first, other, node.arguments, node.span))

    def arms_of(self, label: nodes.Name) -> tuple[str, ...]:
        """The names of a sweep's arms, in order; none after reporting a word that names no sweep of two arms."""
        *path, name = self.parts(label.text)
        scope: NameScope | None = self.claim.scope
        if path:
            entry = find(self.claim.scope, path[0], self.claim.position)
            for part in path[1:]:
                entry = self.inside(entry, part)
            scope = entry.branch[0].scope if entry is not None and entry.branch else None
        while scope is not None:
            arms = [arm for arm in scope.names if arm.endswith("]") and split_index(arm)[0] == name]
            if len(arms) > 1:
                return tuple(".".join((*path, arm)) for arm in arms)
            scope = scope.around
        self.diagnostics.report(rules.unknown_reference.not_a_sweep(label, self.branches()))
        return ()

    def comparison(self, node: nodes.Compare) -> int | None:
        """The index of the comparison; None after reporting a mistake."""
        data = self.compared(node)
        return None if data is None else self.comparisons.index(data, node)

    def compared(self, node: nodes.Compare) -> ComparisonData | None:
        if node.right is None:
            self.diagnostics.report(rules.unknown_reference.one_arm(node))
            return None
        left, right = self.arm(node.left.text, node.left), self.arm(node.right.text, node.right)
        data: dict[str, object] = {"left": left, "right": right}
        for argument in node.arguments:
            row = BY_NAME.get(argument.name)
            if row is None or "compare" not in row.places or argument.name in data:
                continue
            value = read_value(row, argument.value, self.claim.names, self.diagnostics)
            if value is None:
                return None
            data[argument.name] = value
        if "on" not in data and any(argument.name not in BY_NAME for argument in node.arguments):
            return None  # `metric=test.err`: the rule `unknown_argument` reports it
        if "on" not in data:
            self.diagnostics.report(rules.unknown_metric.no_metric(node))
            return None
        if left is None or right is None:
            return None
        data.setdefault("test", "welch" if self.draws_apart(left, right) else "paired")
        made: Any = {**data, "span": span_data(node)}  # further arguments of the registry
        claim: ComparisonData = made
        return claim

    def draws_apart(self, *arms: str) -> bool:
        """Whether the seeds of an arm have random numbers of their own, so that they cannot be paired."""
        return any(self.rng_of_arm.get(arm) == "distinct" for arm in arms)

    def expectation(self, node: nodes.Expect, text: str) -> ExpectationData | None:
        expected = ExpectNames(self.metric, self.comparison)
        condition = read_condition(node.condition, self.claim.names, self.diagnostics, expected=expected)
        if condition is None:
            return None
        written = node.condition.span
        said = " ".join(text[written.start : written.end].split())
        said = re.sub(_ARM, lambda arm: named_arm("".join(arm[0].split()), self.claim.names), said)
        return {
            "condition": condition,
            "text": f"{self.claim.arm}: {said}" if self.claim.arm else said,
            "span": span_data(node),
        }

    def metric(self, name: nodes.Name) -> str | None:
        """A metric with the full path of its arm."""
        arm, metric = split_metric(name.text)
        if not arm:
            return f"{self.claim.arm}.{metric}" if self.claim.arm else metric
        path = self.arm(arm, name)
        return None if path is None else f"{path}.{metric}"

    def arm(self, name: str, node: nodes.Name) -> str | None:
        parts = self.parts(name)
        entry = find(self.claim.scope, parts[0], self.claim.position)
        for part in parts[1:]:
            entry = self.inside(entry, part)
        if entry is not None and entry.branch:
            return entry.branch[0].arm
        self.unknown(".".join(parts), entry, node)
        return None

    def parts(self, path: str) -> list[str]:
        """The parts of a path, with the values of the names in brackets."""
        return [named_arm(part, self.claim.names) for part in split_path(path)]

    def inside(self, entry: NamedThing | None, name: str) -> NamedThing | None:
        if entry is None or not entry.branch:
            return None
        inner = entries_of(entry.branch[0].scope, name)
        return inner[-1] if inner else None

    def unknown(self, name: str, entry: NamedThing | None, node: nodes.Name) -> None:
        is_later = name.split(".")[0] in self.all_names and "." not in name
        self.diagnostics.report(
            rules.unknown_reference.not_an_arm(
                node, name, self.branches(), is_phase=entry is not None, is_later=is_later
            )
        )

    def branches(self) -> tuple[str, ...]:
        names: list[str] = []
        scope: NameScope | None = self.claim.scope
        while scope is not None:
            names += [
                name
                for name, entries in scope.names.items()
                if entries[0].branch and entries[0].position < self.claim.position
            ]
            scope = scope.around
        return tuple(dict.fromkeys(names))
