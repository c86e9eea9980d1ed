"""The passes: one signature, one file each, and nothing can be read before the pass that fills it in has run."""

from __future__ import annotations

import inspect

import pytest

from dsd_lang.passes.collected_diagnostics import Diagnostics
from dsd_lang.passes.compilation import Compilation, Pass
from dsd_lang.passes.draft import Draft
from dsd_lang.passes.pipeline import PASSES, run_passes
from dsd_lang.syntax.parser import parse

TEXT = """\
set batch=64
first: dense 4ep lr=0.1 decay=step(50%, by=0.1)
fork { a: { sparse 50% layers=fc; dense from=@first.end } b: dense 8ep }
compare a vs b on=test.err
expect a.test.err < 0.2
repeat 2 { sparse 10% until val.err > 0.5; dense 2ep }
repeat
"""
FILLED_IN = {
    "collect_names": {"names"},
    "read_used_files": {"used", "used_texts"},
    "read_settings": {"settings"},
    "measure_program": set(),
    "expand_loops": {"outline"},
    "expand_repeats": set(),
    "expand_forks": {"book"},
    "read_phases": {"draft.given"},
    "resolve_lengths": {"draft.length"},
    "divide_wholes": {"draft.block"},
    "resolve_layers": {"draft.layers", "draft.exclude"},
    "resolve_learning_rates": {"draft.lr", "draft.rate"},
    "resolve_references": {"checkpoints", "draft.references"},
    "complete_phases": {"draft.target", "draft.until", "draft.rounds", "draft.attributes"},
    "resolve_claims": {"comparisons", "expectations"},
}


def _compilation(text: str = TEXT) -> Compilation:
    return Compilation(parse(text).program, text, Diagnostics())


def _filled_in(compilation: Compilation) -> set[str]:
    known = {name for name in Compilation.__slots__ if hasattr(compilation, name)}
    drafts = compilation.book.phases if "book" in known else []
    return known | {f"draft.{name}" for name in Draft.__slots__ if drafts and all(hasattr(d, name) for d in drafts)}


@pytest.mark.parametrize("lower", PASSES, ids=lambda lower: str(lower.__name__))
def test_every_pass_takes_the_compilation_and_has_a_file_of_its_name(lower: Pass) -> None:
    assert [str(row.annotation) for row in inspect.signature(lower).parameters.values()] == ["Compilation"]
    assert lower.__module__ == f"dsd_lang.passes.{getattr(lower, '__name__', '')}"


def test_nothing_can_be_read_before_its_pass_has_run() -> None:
    compilation = _compilation()
    later = {name for names in FILLED_IN.values() for name in names}
    for lower in PASSES:
        before = _filled_in(compilation)
        assert not before & later, "filled in too early"
        lower(compilation)
        filled_in = FILLED_IN[getattr(lower, "__name__", "")]
        later -= filled_in
        assert filled_in <= _filled_in(compilation)
    assert len(compilation.diagnostics) == 0
    assert not later


def test_a_pass_that_reads_too_early_fails_instead_of_reading_a_default() -> None:
    compilation = _compilation()
    with pytest.raises(AttributeError, match="book"):
        PASSES[-1](compilation)


def test_no_pass_runs_on_a_program_that_is_too_large() -> None:
    compilation = _compilation("repeat 400 { repeat 400 { dense 1ep lr=0.1 } }")
    assert not run_passes(compilation)
    assert not hasattr(compilation, "outline")
    assert "DSD405" in compilation.diagnostics
