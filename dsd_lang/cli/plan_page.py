"""The default output of `dsd-plan`: table, timeline, counts, totals, settings, comparisons."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from dsd_lang.base.errors import DsdError
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.cli.flags import Given
from dsd_lang.cli.options import is_coloured

if TYPE_CHECKING:
    from dsd_lang.base.layers import LayerInfo
    from dsd_lang.cli.plan_source import Compiled
    from dsd_lang.plan import Plan
    from dsd_lang.plan.cost import Densities
    from dsd_lang.plan.layer_counts import PhaseCounts
    from dsd_lang.views.diff.run_effect import NodeState

_WIDTH = 80
_ORIGINS = {"set": "set", "flag": "--set", "preset": "preset"}


class Page(NamedTuple):
    """How the page is shown: the width and whether the table must fit it; colour; whether all rows are shown."""

    width: int
    is_fitted: bool
    is_coloured: bool
    is_whole: bool


def page_of(given: Given) -> Page:
    """The page settings from the command line and the terminal: 80 columns without a terminal."""
    is_terminal = sys.stdout.isatty()
    width = _number(given, "--width", least=24)
    if width is None and is_terminal:
        import shutil

        return Page(
            max(24, shutil.get_terminal_size((_WIDTH, 24)).columns),
            True,
            is_coloured(given.last("--color"), is_terminal=True),
            given.has("--all"),
        )
    colour = is_coloured(given.last("--color"), is_terminal=is_terminal)
    return Page(width or _WIDTH, width is not None, colour, given.has("--all"))


def _number(given: Given, name: str, *, least: int) -> int | None:
    text = given.last(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()) or int(text) < least:
        raise DsdError(f"`{name} {text}` is not a whole number of at least {least}")
    return int(text)


def page_text(compiled: Compiled, given: Given, page: Page, states: Mapping[str, NodeState]) -> str:
    """The complete page."""
    from dsd_lang.plan.layer_counts import count_weights, densities

    plan, layers = compiled.plan, compiled.circumstances.layers
    counts = None if layers is None else count_weights(plan, layers)
    known = None if counts is None else densities(plan, counts)
    parts = [_table(plan, page, states)]
    if given.last("--timeline") != "none":
        parts.append(_timeline(plan, given, page, known))
    if counts is not None and layers is not None:
        parts.append(_counts(plan, counts, layers, page))
    if given.has("--why"):
        parts.append(_why(compiled, page))
    parts.append("\n".join([*_totals(plan, known, page), *_claims(compiled, given, page), *_trained(states)]) + "\n")
    return "\n".join(parts) + f"hash: {plan.hash}\n"


def _table(plan: Plan, page: Page, states: Mapping[str, NodeState]) -> str:
    from dsd_lang.views.table import MARK, aligned, fitted, shown_numbers, table_rows

    headers, rows = table_rows(plan, states={phase: node.state for phase, node in states.items()})
    shown = shown_numbers(len(rows), is_whole=page.is_whole)
    notes = []
    if len(shown) < len(rows):
        gap = next(number for number in range(len(rows)) if number not in shown)
        after = next(number for number in range(gap, len(rows)) if number in shown)
        notes.append(f"phases {gap} to {after - 1} are left out: `--all` shows every one")
        rows = [*rows[:gap], ["...", *[""] * (len(headers) - 1)], *rows[after:]]
    text, left_out = fitted(headers, rows, page.width) if page.is_fitted else (aligned(headers, rows), ())
    if any(phase.derived for phase in plan.phases):
        notes.append(f"{MARK} derived, not written: see {'`--why`' if 'why' in left_out else '`why`'}")
    if left_out:
        notes.append(f"columns left out for width: {', '.join(left_out)} (see `--json`)")
    wrapped = [line for note in notes for line in _wrapped(note, page)]
    return text + "".join(f"{line}\n" for line in ["", *wrapped] if notes)


def _wrapped(text: str, page: Page) -> list[str]:
    return textwrap.wrap(text, page.width, subsequent_indent="  ", break_on_hyphens=False) if page.is_fitted else [text]


def _timeline(plan: Plan, given: Given, page: Page, known: Densities | None) -> str:
    from dsd_lang.views.timeline import can_draw_blocks, timeline_text

    wanted = given.last("--timeline")
    return timeline_text(
        plan,
        width=page.width,
        is_coloured=page.is_coloured,
        is_ascii=wanted == "ascii" or (wanted is None and not can_draw_blocks(sys.stdout.encoding)),
        steps_per_epoch=_number(given, "--steps-per-epoch", least=1),
        is_whole=page.is_whole,
        densities=known,
    )


def _counts(plan: Plan, counts: Mapping[str, PhaseCounts], layers: tuple[LayerInfo, ...], page: Page) -> str:
    from dsd_lang.views.counts import counts_table

    model = plan.settings.get("model")
    return counts_table(plan, counts, layers, model=None if model is None else str(model), is_whole=page.is_whole)


def _why(compiled: Compiled, page: Page) -> str:
    from dsd_lang.passes.collected_diagnostics import Diagnostics
    from dsd_lang.passes.derivations import derivations, setting_sources
    from dsd_lang.passes.read_settings import effective_settings
    from dsd_lang.syntax.nodes import Program
    from dsd_lang.views.why import why_text

    resolved, program, preset = compiled.resolved, compiled.program, compiled.circumstances.preset
    if resolved is None or program is None:
        raise DsdError(
            f"`--why` explains a schedule, and `{compiled.plan.source}` is a saved plan",
            help="give the schedule itself; the column `why` is in the plan",
        )
    by_origin = {
        origin: effective_settings(program, overrides, defaults, Diagnostics(), used=resolved.used)
        for origin, program, overrides, defaults in (
            ("set", program, None, None),
            ("preset", Program((), (), program.span), None, preset),
        )
    }
    return why_text(
        compiled.plan,
        derivations(resolved.book, resolved.settings, compiled.text, resolved.used_texts),
        setting_sources(resolved.settings, by_origin),
        width=page.width,
        is_whole=page.is_whole,
    )


def _totals(plan: Plan, known: Densities | None, page: Page) -> Iterator[str]:
    from dsd_lang.plan.content import distinct_phases
    from dsd_lang.plan.cost import arms, budget, first_phase_multiple, in_words, times

    total = budget(plan, known)
    weighted = in_words(total.weighted_epochs, total.weighted_updates)
    note = "" if total.is_complete else " (shares that are not known counted as dense)"
    if not total.is_complete and known is None:
        note = " (shares that depend on the model counted as dense: give `--model`)"
    multiple = first_phase_multiple(plan)
    first = "" if multiple is None else f", {times(multiple)} x the first phase"
    sums = f"total: {in_words(total.epochs, total.updates)}{first}; density-weighted: {weighted}{note}"
    yield from _wrapped(sums, page)
    num_shared = len(plan.phases) - len(distinct_phases(plan))
    if num_shared:
        them = "1 phase does" if num_shared == 1 else f"{num_shared} phases do"
        yield from _wrapped(f"{them} what a phase before does from the same start: trained and counted once", page)
    for arm in arms(plan):
        own = in_words(arm.epochs, arm.updates)
        yield f"{arm.name}: {own}, {times(arm.multiple)} x {arm.baseline}"


def _claims(compiled: Compiled, given: Given, page: Page) -> Iterator[str]:
    from dsd_lang.plan.setting_text import setting_text

    plan = compiled.plan
    settings = [
        f"{name}={setting_text(value)} ({_ORIGINS[plan.settings_from[name]]})" for name, value in plan.settings.items()
    ]
    if compiled.circumstances.scale != "1" and compiled.resolved is not None:
        yield f"scale: every length x {compiled.circumstances.scale}, as in {given.last('--out')}"
    if settings and not given.has("--why"):
        yield from _wrapped(f"settings: {', '.join(settings)}", page)
    for item in plan.comparisons:
        yield from _wrapped(f"compares: {item.left} vs {item.right} on {item.on} ({item.test})", page)
    for expectation in plan.expectations:
        yield from _wrapped(f"expects: {expectation.text}", page)


def _trained(states: Mapping[str, NodeState]) -> Iterator[str]:
    """How many phases of a run folder are trained; a phase shared by several branches counts once."""
    if not states:
        return
    nodes = {node.key: node.state for node in states.values()}
    words = list(nodes.values())
    num_trained, num_skipped = words.count("trained"), words.count("skipped")
    skipped = f", {num_skipped} skipped" if num_skipped else ""
    left = len(nodes) - num_trained - num_skipped
    yield f"trained: {num_trained} of {len(nodes)} phases{skipped}; left: {left}"
