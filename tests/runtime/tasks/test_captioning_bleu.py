"""Corpus BLEU against values worked out by hand; NeuralTalk's perl has no brevity penalty."""

import math

import pytest

from dsd_runtime.training.tasks.bleu import corpus_bleu


def test_the_same_sentence_scores_100():
    scores = corpus_bleu(["the cat sat on the mat"], [["the cat sat on the mat"]])
    assert scores.without_penalty == pytest.approx((100, 100, 100, 100))
    assert scores.with_penalty == pytest.approx((100, 100, 100, 100))


def test_counts_are_clipped_to_the_most_any_one_reference_has():
    """Papineni's example: "the" occurs seven times, at most twice in one reference: 2 of 7."""
    scores = corpus_bleu(["the the the the the the the"], [["the cat is on the mat", "there is a cat on the mat"]])
    assert scores.without_penalty == pytest.approx((100 * 2 / 7, 0, 0, 0))


def test_by_hand():
    """a b c d e against a b c x e: 4 of 5, 2 of 4, 1 of 3, 0 of 2."""
    scores = corpus_bleu(["a b c d e"], [["a b c x e"]])
    expected = (80, 100 * math.sqrt(0.8 * 0.5), 100 * (0.8 * 0.5 / 3) ** (1 / 3), 0)
    assert scores.without_penalty == pytest.approx(expected)


def test_the_corpus_is_counted_as_a_whole():
    """Two sentences: 2 of 2 and 1 of 3 words give 3 of 5, not the mean of the two."""
    assert corpus_bleu(["a b", "c x y"], [["a b"], ["c d e"]]).without_penalty[0] == pytest.approx(60)


def test_brevity_penalty_uses_the_closest_reference_the_shorter_on_ties():
    """4 words; references of 3, 5 and 9 words: both 3 and 5 are one away, the shorter counts: no penalty."""
    references = [["a b c", "a b c d e", "a b c d e f g h i"]]
    assert corpus_bleu(["a b c d"], references).penalty == 1.0
    scores = corpus_bleu(["a b c d"], [["a b c d e f"]])
    assert scores.penalty == pytest.approx(math.exp(1 - 6 / 4))
    assert scores.without_penalty[3] == pytest.approx(100)
    assert scores.with_penalty[3] == pytest.approx(100 * math.exp(-0.5))


def test_different_numbers_of_references():
    scores = corpus_bleu(["a b", "c d"], [["a x", "b a", "a b"], ["c d"]])
    assert scores.without_penalty[:2] == pytest.approx((100, 100))


def test_empty_sentences_and_an_empty_corpus():
    assert corpus_bleu([""], [["a b"]]).without_penalty == (0, 0, 0, 0)
    assert corpus_bleu([""], [["a b"]]).penalty == 0.0
    assert corpus_bleu([], []).without_penalty == (0, 0, 0, 0)


def test_words_that_are_split_already_are_taken_without_a_word(caplog):
    """sacrebleu warns of a hundred sentences whose full stop stands alone."""
    assert corpus_bleu(["a b ."] * 101, [["a b ."]] * 101).without_penalty[0] == 100
    assert not caplog.records


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="references"):
        corpus_bleu(["a"], [])
