"""The tests over test items, against scipy, statsmodels, sacrebleu and formulas written out."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from scipy import stats

from dsd_lang.base.errors import DsdError
from dsd_runtime.results.item_tests import CaptionCounts, CountedErrors, bleu_test, error_rate_test, mcnemar
from dsd_runtime.results.predictions import can_compare, compare_items


@pytest.mark.parametrize("seed", range(10))
def test_mcnemar_is_the_exact_test(seed: int) -> None:
    chance = random.Random(seed)
    left = [chance.random() < 0.8 for _ in range(120)]
    right = [answer if chance.random() < 0.8 else not answer for answer in left]
    found = mcnemar(left, right, seed=3)
    table = pytest.importorskip("statsmodels.stats.contingency_tables", reason="statsmodels is a development tool")
    counts = [
        [sum(a == x and b == y for a, b in zip(left, right, strict=True)) for y in (True, False)] for x in (True, False)
    ]
    assert found.p == pytest.approx(table.mcnemar(counts, exact=True).pvalue)
    assert found.difference == pytest.approx(100 * (sum(right) - sum(left)) / 120)
    assert found.interval is not None
    assert found.interval.low <= found.difference <= found.interval.high
    assert (found.interval.low > 0 or found.interval.high < 0) == (found.p is not None and found.p < 0.05)
    assert (found.left_only, found.right_only) == (counts[0][1], counts[1][0])


def test_accuracy_has_the_other_sign() -> None:
    left, right = [True, True, True, False], [True, False, False, False]
    assert mcnemar(left, right, seed=0).difference == -50
    assert mcnemar(left, right, seed=0, errors=False).difference == 50


def test_models_that_agree_have_a_sentence_and_no_p() -> None:
    found = mcnemar([True, False], [True, False], seed=0)
    assert (found.p, found.why_not) == (None, "both models are right on the same items")


def test_error_rates_of_single_words_are_a_paired_t_test() -> None:
    """Utterances of one word each: the ratio is a mean, and the test the ordinary one."""
    chance = random.Random(1)
    left = [CountedErrors(chance.randint(0, 1), 1) for _ in range(60)]
    right = [CountedErrors(chance.randint(0, 1), 1) for _ in range(60)]
    found = error_rate_test(left, right, seed=0)
    plain = stats.ttest_rel([100 * item.errors for item in left], [100 * item.errors for item in right])
    assert found.p == pytest.approx(plain.pvalue)
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(plain.confidence_interval()))
    assert (found.unit, found.units) == ("utterances", 60)


def test_speakers_are_the_clusters_where_all_are_known() -> None:
    """Two speakers of twelve: their utterances count as two units, not as twelve."""
    left = [CountedErrors(2, 10, f"s{index % 2}") for index in range(12)]
    right = [CountedErrors(1 if index % 2 else 0, 10, f"s{index % 2}") for index in range(12)]
    found = error_rate_test(left, right, seed=0)
    assert (found.unit, found.units, found.items) == ("speakers", 2, 12)
    ratio, residual = 18 / 120, [12 - 18 / 120 * 60, 6 - 18 / 120 * 60]
    error = math.sqrt(2 * sum(value**2 for value in residual)) / 120
    assert found.p == pytest.approx(2 * stats.t.sf(ratio / error, 1))
    alone = [CountedErrors(2, 10, "s0"), CountedErrors(1, 10)]
    assert error_rate_test(alone, alone, seed=0).unit == "utterances"


def test_a_single_speaker_and_equal_models_have_a_sentence() -> None:
    one = [CountedErrors(1, 5, "s"), CountedErrors(0, 5, "s")]
    assert "at least 2 speakers" in (error_rate_test(one, one, seed=0).why_not or "")
    two = [CountedErrors(1, 5), CountedErrors(0, 5)]
    assert "no variance" in (error_rate_test(two, two, seed=0).why_not or "")


def test_bleu_is_the_corpus_score_and_its_interval_is_that_of_the_bootstrap() -> None:
    chance = np.random.default_rng(2)
    totals = tuple(np.array([10, 9, 8, 7]))
    left = [
        CaptionCounts(tuple(int(chance.integers(3, total + 1)) for total in totals), (10, 9, 8, 7)) for _ in range(80)
    ]
    right = [
        CaptionCounts(tuple(int(chance.integers(1, total - 1)) for total in totals), (10, 9, 8, 7)) for _ in range(80)
    ]
    found = bleu_test(left, right, order=2, seed=0)
    precision = [sum(item.matches[n] for item in left) / sum(item.totals[n] for item in left) for n in (0, 1)]
    assert found.left == pytest.approx(100 * math.sqrt(precision[0] * precision[1]))
    assert found.interval is not None
    assert found.interval.low > 0
    assert found.p == pytest.approx(2 / 2001)
    same = bleu_test(left, left, order=4, seed=0)
    assert (same.difference, same.p) == (0.0, 1.0)


def test_bleu_counts_agree_with_the_metric_that_is_reported() -> None:
    from dsd_runtime.training.tasks.bleu import caption_counts, corpus_bleu

    captions, references = ["a dog runs fast", "two men"], [["a dog runs", "the dog ran fast"], ["two men sit there"]]
    counts = [caption_counts(caption, several) for caption, several in zip(captions, references, strict=True)]
    sides = [CaptionCounts(*both) for both in counts]
    for order in (1, 2, 3, 4):
        score = corpus_bleu(captions, references).without_penalty[order - 1]
        assert bleu_test(sides, sides, order=order, seed=0).left == pytest.approx(score)


def test_other_items_are_refused_and_other_metrics_have_no_test() -> None:
    left, right = [{"target": 1, "guess": 1}], [{"target": 2, "guess": 1}]
    with pytest.raises(DsdError, match="not tested on the same items"):
        compare_items(left, right, metric="test.err", seed=0)
    assert compare_items(left, left, metric="test.loss", seed=0) is None
    assert compare_items(left, left, metric="test.wer", seed=0) is None
    assert can_compare("test.bleu4")
    assert not can_compare("val.err")
    assert not can_compare("test.top5_err")
