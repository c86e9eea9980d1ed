"""Compiles a schedule's text to a :class:`Plan`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dsd_lang.analysis import ResolvedProgram, analyse
from dsd_lang.base.diagnostics import CalledSpan, Diagnostic, Span, here
from dsd_lang.base.errors import DsdError
from dsd_lang.base.files import read_schedule
from dsd_lang.base.units import format_exact
from dsd_lang.passes.draft import Draft
from dsd_lang.passes.quantities import Quantity, length_data
from dsd_lang.plan import (
    Checkpoint,
    Comparison,
    Condition,
    Cycle,
    Duration,
    Expectation,
    Function,
    LearningRate,
    Phase,
    Plan,
    SpanInfo,
    Target,
)
from dsd_lang.plan.shapes import ConditionData, CycleData, RateData, TargetData

_DERIVED_ORDER = ("lr", "duration", "layers", "except", "target")

# shared, because pydantic would copy a default for every phase
_DEFAULT_FUNCTIONS = {
    name: field.default for name, field in Phase.model_fields.items() if isinstance(field.default, Function)
}


class ScheduleError(DsdError):
    """A schedule with errors; ``diagnostics`` has all of them, and the message shows them as `dsd-lint` does."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...], rendered: str) -> None:
        count = len(diagnostics)
        super().__init__(f"the schedule has {count} error{'s' if count != 1 else ''}\n\n{rendered}".rstrip())
        self.diagnostics = diagnostics


def compile(
    text: str,
    *,
    source: str | None = None,
    overrides: Mapping[str, str] | None = None,
    defaults: Mapping[str, str] | None = None,
) -> Plan:
    """Compiles a schedule to a plan; raises :class:`ScheduleError` with every error it has.

    ``source`` is the file's name in messages and in the plan. ``overrides`` take precedence over the text's `set`, and
    `set` over ``defaults`` (the model's preset). Both map a setting to its text, written as after `set`.

        >>> compile("dense 2ep lr=3e-4; sparse 50%; dense").phases[2].lr.start
        '3e-5'
    """
    analysis = analyse(text, source=source, overrides=overrides, defaults=defaults, selected=())
    if analysis.errors:
        raise ScheduleError(analysis.errors, _rendered(text, source, analysis.errors))
    assert analysis.resolved is not None, "no errors, so the program is resolved"
    return plan_of(analysis.resolved, source=source)


def compile_file(
    path: str | Path, *, overrides: Mapping[str, str] | None = None, defaults: Mapping[str, str] | None = None
) -> Plan:
    """Compiles a schedule file to a plan; raises :class:`DsdError` for a file that cannot be read."""
    return compile(read_schedule(path), source=str(path), overrides=overrides, defaults=defaults)


def plan_of(resolved: ResolvedProgram, *, source: str | None = None) -> Plan:
    """The plan of a resolved program."""
    builder = _PhaseBuilder()
    phases = tuple(builder.phase(draft) for draft in resolved.book.phases)
    settings = resolved.settings
    plan = Plan(
        source=source,
        settings={name: setting.shown for name, setting in settings.items()},
        settings_from={name: setting.origin for name, setting in settings.items()},
        overrides=dict(resolved.overrides),
        phases=phases,
        comparisons=tuple(Comparison.model_validate(data) for data in resolved.comparisons),
        expectations=tuple(Expectation.model_validate(data) for data in resolved.expectations),
        checkpoints=tuple(Checkpoint.model_validate(data) for data in resolved.checkpoints),
    )
    return plan.with_hash()


class _PhaseBuilder:
    """Builds the phases of a plan; equal lengths, targets and rates are built once."""

    def __init__(self) -> None:
        self._targets: dict[str, Target] = {}
        self._durations: dict[Quantity, Duration] = {}
        self._rates: dict[str, LearningRate] = {}
        self._spans: dict[int, SpanInfo] = {}
        self._conditions: dict[int, tuple[ConditionData, Condition]] = {}

    def phase(self, draft: Draft) -> Phase:
        assert draft.length is not None, "no errors, so every phase has its length"
        derived = set(draft.derived)
        fields: dict[str, Any] = {**_DEFAULT_FUNCTIONS, **draft.attributes}  # from the registry; pydantic checks them
        if draft.mode == "sparse":
            fields["layers"], fields["except"] = draft.layers, draft.exclude
        if draft.target is not None:
            fields["target"] = self.target(draft.target)
        if draft.until is not None:
            fields["until"] = self.condition(draft.until)
        if draft.rounds:
            fields["cycles"] = tuple(self.cycle(cycle) for cycle in draft.rounds)
        if draft.item.texts:
            fields["variables"] = {
                name: _exact_text(draft.item.names.get(name), text) for name, text in draft.item.texts.items()
            }
        if draft.seed_index:
            fields["seed_index"] = draft.seed_index
        if draft.rng != "shared":
            fields["rng"] = draft.rng
        return Phase(
            id=draft.id,
            label=draft.label,
            path=draft.path,
            parent=draft.parent.id if draft.parent is not None else None,
            mode=draft.mode,
            duration=self.duration(draft.length),
            lr=self.rate(draft.rate),
            derived=tuple(name for name in _DERIVED_ORDER if name in derived),
            why=draft.why,
            span=self.span(draft),
            **fields,
        )

    def duration(self, length: Quantity) -> Duration:
        if length not in self._durations:
            self._durations[length] = Duration.model_validate(length_data(length))
        return self._durations[length]

    def rate(self, data: RateData) -> LearningRate:
        key = repr(data)
        if key not in self._rates:
            self._rates[key] = LearningRate.model_validate(data)
        return self._rates[key]

    def target(self, data: TargetData) -> Target:
        key = repr(data)
        if key not in self._targets:
            self._targets[key] = Target.model_validate(data)
        return self._targets[key]

    def condition(self, data: ConditionData) -> Condition:
        if id(data) not in self._conditions:
            self._conditions[id(data)] = (data, Condition.model_validate(data))
        return self._conditions[id(data)][1]

    def cycle(self, data: CycleData) -> Cycle:
        return Cycle(
            loop=data["loop"],
            index=data["index"],
            is_last_of_cycle=data["is_last_of_cycle"],
            until=self.condition(data["until"]),
        )

    def span(self, draft: Draft) -> SpanInfo:
        key = id(draft.node)
        if key not in self._spans:
            self._spans[key] = _span_info(draft.node.span)
        return self._spans[key]


def _span_info(span: Span) -> SpanInfo:
    """A span in the schedule; for a phase of a `def`, with the call, and with the file that the `def` stands in."""
    own = here(span)
    place = SpanInfo(line=own.line, column=own.column, end_line=own.end_line, end_column=own.end_column)
    if not isinstance(span, CalledSpan):
        return place
    call = span
    while isinstance(call.call, CalledSpan):
        call = call.call
    defined = f"{span.file}:{span.line}:{span.column}" if span.file is not None else None
    called = None if own is not span else f"{call.call.line}:{call.call.column}"
    return place.model_copy(update={"defined": defined, "called": called})


def _exact_text(bound: object, text: str) -> str:
    """The text of a variable's value: exact for a number, unchanged for a word."""
    if isinstance(bound, Quantity):
        return format_exact(bound.value) + (bound.unit if bound.is_length else "")
    return text


def _rendered(text: str, source: str | None, diagnostics: tuple[Diagnostic, ...]) -> str:
    """The errors as `dsd-lint` shows them."""
    from dsd_lang.base.source import SourceText
    from dsd_lang.report import CheckedFile, render

    return render((CheckedFile(source or "<text>", SourceText(text), diagnostics),), "full")
