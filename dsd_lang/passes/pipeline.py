"""The passes in order: each reads the results of earlier ones and does one thing."""

from __future__ import annotations

from dsd_lang.passes.collect_names import collect_names
from dsd_lang.passes.compilation import Compilation, Pass
from dsd_lang.passes.complete_phases import complete_phases
from dsd_lang.passes.divide_wholes import divide_wholes
from dsd_lang.passes.expand_forks import expand_forks
from dsd_lang.passes.expand_loops import expand_loops
from dsd_lang.passes.expand_repeats import expand_repeats
from dsd_lang.passes.measure_program import measure_program
from dsd_lang.passes.read_phases import read_phases
from dsd_lang.passes.read_settings import read_settings
from dsd_lang.passes.read_used_files import read_used_files
from dsd_lang.passes.resolve_claims import resolve_claims
from dsd_lang.passes.resolve_layers import resolve_layers
from dsd_lang.passes.resolve_learning_rates import resolve_learning_rates
from dsd_lang.passes.resolve_lengths import resolve_lengths
from dsd_lang.passes.resolve_references import resolve_references

PASSES: tuple[Pass, ...] = (
    collect_names,
    read_used_files,
    read_settings,
    measure_program,
    expand_loops,
    expand_repeats,
    expand_forks,
    read_phases,
    resolve_lengths,
    divide_wholes,
    resolve_layers,
    resolve_learning_rates,
    resolve_references,
    complete_phases,
    resolve_claims,
)


def run_passes(compilation: Compilation) -> bool:
    """Runs all passes; False if the program is too large to be expanded, which has been reported."""
    for lower in PASSES:
        lower(compilation)
        if compilation.is_too_large:
            return False
    return True
