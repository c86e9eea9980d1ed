"""The word lists are the language's own: every word in them is taken by it, and none of its words is missing."""

from __future__ import annotations

import re

from dsd_lang.base.arguments import ARGUMENTS, BY_NAME
from dsd_lang.base.metrics import problem_of_metric
from dsd_lang.base.units import parse_length
from dsd_lang.editors.patterns import patterns
from dsd_lang.editors.vocabulary import vocabulary
from dsd_lang.syntax.build_table import GRAMMAR
from dsd_lang.syntax.parser import parse

WORDS = vocabulary()


def test_the_reserved_words_are_those_of_the_grammar() -> None:
    grammar = GRAMMAR.read_text(encoding="utf-8")
    written = re.findall(r'^[A-Z]+: "([a-z]+)"$', grammar, re.MULTILINE)
    assert sorted(WORDS.reserved) == sorted(written)
    assert len(set(WORDS.reserved)) == len(WORDS.reserved)


def test_reserved_words_are_no_names_and_others_are() -> None:
    for word in WORDS.reserved:
        assert parse(f"{word}: dense 5ep").diagnostics, word
    for word in (*WORDS.kinds, *WORDS.roles, *WORDS.rates, *WORDS.conditions, *WORDS.switches):
        assert not parse(f"{word}: dense 5ep").diagnostics, word


def test_arguments_and_their_words() -> None:
    assert set(WORDS.arguments) == {argument.name for argument in ARGUMENTS}
    assert set(WORDS.options) == {argument.name for argument in ARGUMENTS if argument.options}
    assert all(BY_NAME[name].kind == "text" for name in WORDS.text_arguments)
    assert {"sgd", "magnitude", "step", "norm"} <= set(WORDS.functions)
    assert "random" not in WORDS.functions
    assert {"momentum", "order", "patience", "alpha", "T"} <= set(WORDS.parameters)


def test_metrics_moments_and_units() -> None:
    for metric in (
        *(f"{split}.{name}" for split in WORDS.splits for name in WORDS.metrics),
        *WORDS.metrics_without_split,
    ):
        assert problem_of_metric(metric) is None, metric
    for moment in WORDS.moments:
        assert not parse(f"dense 5ep restore=@a.{moment}").diagnostics, moment
    assert [parse_length(f"5{unit}").unit for unit in WORDS.units] == list(WORDS.units)


def test_every_pattern_compiles_with_a_group_for_each_stretch() -> None:
    table = patterns(WORDS)
    rules = [rule for group in table.groups.values() for rule in group]
    rules += [rule for region in table.regions for rule in (region.opens, *region.ends)]
    for rule in rules:
        assert re.compile(rule.pattern, re.MULTILINE).groups == len(rule.stretches), rule.pattern


def test_every_group_and_region_is_used() -> None:
    table = patterns(WORDS)
    used = {*table.outside, *(name for region in table.regions for name in region.inside)}
    assert used == {*table.groups, *(region.name for region in table.regions)}
