"""A text and the codes looked for in, the findings out: what the linter and editors show of a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dsd_lang.base.diagnostics import Diagnostic
from dsd_lang.base.layers import LayerInfo

if TYPE_CHECKING:
    from dsd_lang.analysis import Analysis


_ON_A_MODEL = {"DSD201", "DSD409"}  # without a model they are only half looked for


def check_text(
    text: str, *, selected: frozenset[str], layers: Sequence[LayerInfo] | None = None
) -> tuple[Diagnostic, ...]:
    """The selected findings of a text, suppressions applied, in source order; never raises for what the text says."""
    from dsd_lang.analysis import analyse

    return check_analysis(text, analyse(text, layers=layers), selected=selected, has_layers=layers is not None)


def check_analysis(
    text: str, analysis: Analysis, *, selected: frozenset[str], has_layers: bool = False
) -> tuple[Diagnostic, ...]:
    """The same, of a text that has been analysed already."""
    kept = [finding for finding in analysis.diagnostics if finding.code in selected]
    if "DSD207" in selected and analysis.resolved is not None:
        from dsd_lang.rules import unsupported_yet

        kept = sorted([*kept, *unsupported_yet.find(analysis.resolved)], key=lambda finding: finding.span.start)
    if "DSD902" in selected:
        from dsd_lang.rules import not_canonical

        kept = sorted([*kept, *not_canonical.find(text)], key=lambda finding: finding.span.start)
    if "dsd:" not in text:
        return tuple(kept)
    from dsd_lang.base.source import Source
    from dsd_lang.lint.suppressions import apply_suppressions

    looked_for = selected if has_layers else selected - _ON_A_MODEL
    if analysis.resolved is None:
        looked_for = frozenset()  # what an error hides may be there
    return apply_suppressions(
        Source(text), analysis.program.comments, kept, looked_for=looked_for, reports="DSD903" in selected
    )
