"""Collects the words of the language by category from its tables; no word is written here.

Terminals of the grammar are grouped by name. Everything else is read from the tables that the language itself uses.
"""

from __future__ import annotations

from collections.abc import Iterable

from dsd_lang.base.arguments import ARGUMENTS, RATE_WORDS
from dsd_lang.base.conditions import CONDITION_FUNCTIONS
from dsd_lang.base.diagnostics import CATALOGUE
from dsd_lang.base.layers import KINDS, PARTS, ROLES
from dsd_lang.base.metrics import MEASURES, SPLITS, WITHOUT_SPLIT
from dsd_lang.base.named_tuples import NamedTuple
from dsd_lang.base.options import DISTILL_PARAMETERS, Option
from dsd_lang.base.units import UNITS
from dsd_lang.passes.read_functions import SWITCHES
from dsd_lang.passes.resolve_references import MOMENTS
from dsd_lang.syntax.table import load_table
from dsd_lang.syntax.terminals import SOFT_WORDS, STATEMENT_WORDS

_MODES = frozenset({"DENSE", "SPARSE"})
_LOGICAL = frozenset({"AND", "OR", "NOT"})
_TARGETS = frozenset({"HELD"})


class Vocabulary(NamedTuple):
    """All word lists of the language; the first five divide up the reserved words.

    ``openers`` are reserved only where a statement begins.
    """

    modes: tuple[str, ...]
    statements: tuple[str, ...]
    connectives: tuple[str, ...]
    logical: tuple[str, ...]
    targets: tuple[str, ...]
    openers: tuple[str, ...]
    kinds: tuple[str, ...]
    roles: tuple[str, ...]
    parts: tuple[str, ...]
    arguments: tuple[str, ...]
    text_arguments: tuple[str, ...]
    options: dict[str, tuple[str, ...]]
    functions: tuple[str, ...]
    parameters: tuple[str, ...]
    conditions: tuple[str, ...]
    rates: tuple[str, ...]
    switches: tuple[str, ...]
    splits: tuple[str, ...]
    metrics: tuple[str, ...]
    metrics_without_split: tuple[str, ...]
    moments: tuple[str, ...]
    units: tuple[str, ...]
    rules: tuple[str, ...]

    @property
    def reserved(self) -> tuple[str, ...]:
        """The words that cannot be names."""
        return tuple(sorted((*self.modes, *self.statements, *self.connectives, *self.logical, *self.targets)))


def vocabulary() -> Vocabulary:
    """The words of this version of the language."""
    terminals = load_table().keywords

    def words(names: frozenset[str]) -> tuple[str, ...]:
        return tuple(word for word, terminal in terminals.items() if terminal in names)

    others = frozenset(terminals.values()) - STATEMENT_WORDS - _LOGICAL - _TARGETS
    return Vocabulary(
        modes=words(_MODES),
        statements=words(STATEMENT_WORDS - _MODES),
        connectives=words(others),
        logical=words(_LOGICAL),
        targets=words(_TARGETS),
        openers=tuple(SOFT_WORDS),
        kinds=tuple(KINDS),
        roles=tuple(ROLES),
        parts=tuple(PARTS),
        arguments=tuple(argument.name for argument in ARGUMENTS),
        text_arguments=tuple(argument.name for argument in ARGUMENTS if argument.kind == "text"),
        options={
            argument.name: tuple(option.name for option in argument.options)
            for argument in ARGUMENTS
            if argument.options
        },
        functions=_unique(option.name for option in _options() if option.parameters),
        parameters=_unique((*_option_parameters(), *_distill_parameters(), *_condition_parameters())),
        conditions=tuple(CONDITION_FUNCTIONS),
        rates=RATE_WORDS,
        switches=tuple(SWITCHES),
        splits=tuple(SPLITS),
        metrics=tuple(MEASURES),
        metrics_without_split=tuple(WITHOUT_SPLIT),
        moments=MOMENTS,
        units=UNITS,
        rules=tuple(CATALOGUE),
    )


def _options() -> list[Option]:
    return [option for argument in ARGUMENTS for option in argument.options]


def _option_parameters() -> list[str]:
    return [name for option in _options() for name in option.named]


def _distill_parameters() -> list[str]:
    return [parameter.name for parameter in DISTILL_PARAMETERS]


def _condition_parameters() -> list[str]:
    return [parameter.name for function in CONDITION_FUNCTIONS.values() for parameter in function.parameters]


def _unique(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
