"""Answers every `compare` of a plan: arms, tests over seeds and over test items, what qualifies them, the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from dsd_lang.base.errors import DsdError
from dsd_lang.plan import Comparison, Plan
from dsd_runtime.results.arms import measured_arm, phases_by_seed
from dsd_runtime.results.budgets import budgets_text
from dsd_runtime.results.directions import higher_is_better
from dsd_runtime.results.measurements import Measurements
from dsd_runtime.results.parts import ComparedArm, ComparisonResult, ItemTest, Provenance, SeedTest
from dsd_runtime.results.predictions import can_compare, compare_items, predictions_file, read_predictions
from dsd_runtime.results.seed_tests import compare_seeds, holm, seeds_needed
from dsd_runtime.results.verdicts import comparison_verdict


def compare_arms(
    plan: Plan, measured: Measurements, provenance: Provenance, notes: list[str]
) -> tuple[ComparisonResult, ...]:
    """One result for each `compare`; p is adjusted over all of them after Holm. Damaged predictions go to ``notes``."""
    sides = [
        (measured_arm(measured, one.left, one.on, one.at), measured_arm(measured, one.right, one.on, one.at))
        for one in plan.comparisons
    ]
    tests = [
        _over_seeds(one, *arms, higher_is_better(one.on, measured.own_metrics))
        for one, arms in zip(plan.comparisons, sides, strict=True)
    ]
    if len(tests) > 1:
        adjusted = holm([test.p for test in tests])
        tests = [test.model_copy(update={"p_holm": p}) for test, p in zip(tests, adjusted, strict=True)]
    return tuple(
        _result(one, *arms, test, measured, provenance, notes)
        for one, arms, test in zip(plan.comparisons, sides, tests, strict=True)
    )


def _result(
    one: Comparison,
    left: ComparedArm,
    right: ComparedArm,
    seeds: SeedTest,
    measured: Measurements,
    provenance: Provenance,
    notes: list[str],
) -> ComparisonResult:
    direction = higher_is_better(one.on, measured.own_metrics)
    items = tuple(_over_items(one, left, right, measured, notes))
    verdict = comparison_verdict(one.left, one.right, one.on, seeds, items, direction)
    flags = list(_flags(one, left, right, seeds, measured, provenance))
    told = [verdict, *flags]
    if left.budget is not None and right.budget is not None:
        costs = budgets_text(left.budget, right.budget)
        told.append(costs.text)
        flags += [] if costs.is_equal else [costs.text]
    return ComparisonResult(
        text=f"compare {one.left} vs {one.right} on={one.on}",
        on=one.on,
        at=one.at,
        higher_is_better=direction,
        left=left,
        right=right,
        seeds=seeds,
        items=items,
        flags=tuple(flags),
        verdict="; ".join(told),
    )


def _over_seeds(one: Comparison, left: ComparedArm, right: ComparedArm, direction: bool | None) -> SeedTest:
    sides = [{item.seed: item.value for item in arm.values if item.value is not None} for arm in (left, right)]
    found = compare_seeds(*sides, test=one.test, higher_is_better=direction)
    missing = [_missing(arm) for arm in (left, right) if any(item.value is None for item in arm.values)]
    if found.p is None and missing:
        return found.model_copy(update={"why_not": "; ".join(missing)})
    if found.effect is not None:
        needed = seeds_needed(found.effect, is_paired=one.test == "paired")
        found = found.model_copy(update={"seeds_needed": needed})
    return found


def _missing(arm: ComparedArm) -> str:
    """`` `dsd` has no value for seeds 3, 4: its last phase is not trained ``."""
    absent = [item for item in arm.values if item.value is None]
    seeds = "" if len(arm.values) == 1 else f" for seed{'s' if len(absent) > 1 else ''} "
    numbers = "" if len(arm.values) == 1 else ", ".join(str(item.seed) for item in absent)
    return f"`{arm.name}` has no value{seeds}{numbers}: {absent[0].why_not}"


def _over_items(
    one: Comparison, left: ComparedArm, right: ComparedArm, measured: Measurements, notes: list[str]
) -> Iterator[ItemTest]:
    """The test over items for each seed whose predictions are kept in both arms."""
    if one.at == "best" or not can_compare(one.on):
        return
    others = {item.seed: item for item in right.values}
    for item in left.values:
        other = others.get(item.seed)
        if other is None or item.phase is None or other.phase is None:
            continue
        files = [predictions_file(measured.folder, measured.nodes[phase]) for phase in (item.phase, other.phase)]
        try:
            kept = [read_predictions(file) for file in files]
            found = compare_items(*kept, metric=one.on, seed=item.seed) if all(kept) else None
        except DsdError as error:
            notes.append(str(error))
            continue
        if found is not None:
            yield found


def _flags(
    one: Comparison,
    left: ComparedArm,
    right: ComparedArm,
    seeds: SeedTest,
    measured: Measurements,
    provenance: Provenance,
) -> Iterator[str]:
    if provenance.scale != "1":
        yield f"every length is scaled by {provenance.scale}"
    if provenance.noise is not None:
        yield f"training labels have noise ({provenance.noise})"
    if one.test == "paired" and seeds.p is not None:
        sides = [{item.seed for item in arm.values if item.value is not None} for arm in (left, right)]
        alone = sides[0] ^ sides[1]
        if alone:
            yield f"{_seeds(alone)} in one arm only and left out"
    base = _shared_base(measured, one.left, one.right)
    if base is not None and seeds.p is not None:
        yield f"all seeds start at one checkpoint (`{base}`), and the answer is about that one"


def _seeds(seeds: set[int]) -> str:
    return (
        f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, sorted(seeds)))} {'are' if len(seeds) > 1 else 'is'}"
    )


def _shared_base(measured: Measurements, *arms: str) -> str | None:
    """The last phase that every seed of both arms comes from, by name; None where they share none, or for one seed."""
    lines: list[list[str]] = []
    for arm in arms:
        seeds: Mapping[int, Sequence[object]] = phases_by_seed(measured, arm)
        if len(seeds) < 2:
            return None
        lines += [
            [measured.nodes.get(phase.id, phase.id) for phase in measured.plan.line(phases[-1].id)]
            for phases in phases_by_seed(measured, arm).values()
        ]
    shared = [nodes[0] for nodes in zip(*lines, strict=False) if len(set(nodes)) == 1]
    if not shared:
        return None
    phase = next((one for one in measured.plan.phases if measured.nodes.get(one.id, one.id) == shared[-1]), None)
    return None if phase is None else phase.label or phase.id
