"""The output of `dsd-plan --why`: the rule and the source position behind each derived value."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from dsd_lang.base.diagnostics import Span, place
from dsd_lang.passes.derivations import Derivation, SettingSource
from dsd_lang.plan import Phase, Plan, SpanInfo
from dsd_lang.plan.setting_text import setting_text
from dsd_lang.views.table import shown_numbers, start_text, target_text

_WORDS = {"duration": "length"}


def why_text(
    plan: Plan,
    derived: Sequence[Sequence[Derivation]],
    settings: Sequence[SettingSource],
    *,
    width: int,
    is_whole: bool = False,
) -> str:
    """One paragraph for each phase with derived values, then the settings; at most ``width`` columns wide."""
    lines = ["why (positions are line:column):"]
    explained = [number for number, some in enumerate(derived) if some]
    shown = shown_numbers(len(explained), is_whole=is_whole)
    for index, number in enumerate(explained):
        if index in shown:
            lines += _paragraph(number, plan.phases[number], derived[number], width)
    left = len(explained) - len(shown)
    if left:
        lines.append(f"  ({left} phases are left out: `--all` explains every one)")
    if not explained:
        lines.append("  every value is written in the schedule")
    if settings:
        lines.append("settings:")
        lines += [line for setting in settings for line in _wrapped(_setting_sentence(setting), "  ", width)]
    return "\n".join(lines) + "\n"


def _paragraph(number: int, phase: Phase, some: Sequence[Derivation], width: int) -> Iterator[str]:
    target = f" {target_text(phase.target)}" if phase.mode == "sparse" else ""
    names = ".".join(name for name in (phase.path, phase.label) if name)
    where = f", at {_written_at(phase.span)}" if phase.span is not None else ""
    values = "".join(f", {name} = {value}" for name, value in phase.variables.items())
    head = f"{number} {f'{names}: ' if names else ''}{phase.mode}{target}{where}{values}"
    yield from _wrapped(head, "  ", width)
    for one in some:
        name = _WORDS.get(one.name, one.name)
        yield from _wrapped(f"{name} {_value(phase, one.name)}: {_sentence(one)}", "    ", width)


def _written_at(span: SpanInfo) -> str:
    """Where a phase is written, and where it is called from if that is a `def`."""
    own = f"{span.line}:{span.column}"
    if span.defined is not None:
        return f"{own}, defined at {span.defined}"
    return own if span.called is None else f"{own}, called at {span.called}"


def _value(phase: Phase, name: str) -> str:
    if name == "duration":
        return phase.duration.length.short
    if name == "lr":
        return start_text(phase.lr)
    if name == "target":
        return target_text(phase.target)
    return ", ".join(phase.layers if name == "layers" else phase.except_)


def _sentence(one: Derivation) -> str:
    rule = one.rule if one.statement is None else f"{one.rule}, by the `repeat` at {place(one.statement)}"
    if one.written is None:
        return rule
    joint = ", at" if one.is_written_here else "; written at"
    return f"{rule}{joint} {place(one.written)}"


def _setting_sentence(setting: SettingSource) -> str:
    beaten = " and ".join(f"{who} ({setting_text(value)}{_at(span)})" for who, value, span in setting.beaten)
    over = f", overrides {beaten}" if beaten else ""
    return f"{setting.name}={setting_text(setting.shown)}: {setting.origin}{_at(setting.span)}{over}"


def _at(span: Span | None) -> str:
    return "" if span is None else f" at {place(span)}"


def _wrapped(text: str, indent: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        max(width, 24),
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_on_hyphens=False,
        break_long_words=False,
    )
