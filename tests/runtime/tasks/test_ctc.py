"""The CTC task: loss against all alignments by hand, greedy decoding by hand, error rates by hand."""

from __future__ import annotations

import itertools
import math
import warnings

import pytest
import torch
from torch import nn

from dsd_runtime.data.batch import ImageBatch, SpeechBatch
from dsd_runtime.data.speech.alphabet import Alphabet, collapse
from dsd_runtime.training.tasks.ctc import CtcTask
from dsd_runtime.training.tasks.ctc_decoding import greedy_decode
from dsd_runtime.training.tasks.ctc_errors import counted_errors, error_rates

SYMBOLS = ("a", "b")


class Given(nn.Module):
    """A model that returns its features as logits, scaled by one weight."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, features, lengths):
        return features * self.scale, lengths


def batch_of(logits, lengths, texts):
    encoded = [Alphabet(SYMBOLS).encode(text) for text in texts]
    return SpeechBatch(
        logits,
        torch.tensor(lengths),
        torch.tensor(list(itertools.chain(*encoded)), dtype=torch.int64),
        torch.tensor([len(symbols) for symbols in encoded]),
        tuple(texts),
    )


def negative_log_likelihood(logits, text):
    """Summed over every path of frames that collapses to the text."""
    probabilities = logits.softmax(-1)
    paths = itertools.product(range(3), repeat=logits.shape[0])
    fitting = (path for path in paths if collapse(path, SYMBOLS) == text)
    return -math.log(sum(float(probabilities[range(len(path)), path].prod()) for path in fitting))


def test_loss_is_the_mean_over_utterances_of_the_sum_over_alignments():
    logits = torch.randn(3, 5, 3)
    batch = batch_of(logits, [5, 4, 3], ["ab", "aa", "b"])
    by_hand = [
        negative_log_likelihood(logits[n, :length], text)
        for n, (length, text) in enumerate([(5, "ab"), (4, "aa"), (3, "b")])
    ]
    assert float(CtcTask(SYMBOLS).loss(Given(), batch).detach()) == pytest.approx(sum(by_hand) / 3, rel=1e-5)


def test_too_short_utterances_add_nothing_and_are_counted():
    task, model = CtcTask(SYMBOLS), Given()
    logits = torch.randn(3, 4, 3)
    batch = batch_of(logits, [4, 2, 1], ["ab", "aa", "ab"])  # `aa` needs three frames: a, blank, a
    loss = task.loss(model, batch)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(negative_log_likelihood(logits[0], "ab") / 3, rel=1e-5)
    assert bool(torch.isfinite(model.scale.grad))
    assert task.num_too_short == 2
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error")
        CtcTask(SYMBOLS).evaluate(model, [batch_of(logits[:1], [3], ["aa"])])
    with pytest.warns(RuntimeWarning, match="5 of 7 utterances so far have more symbols than frames"), torch.no_grad():
        task.evaluate(model, [batch, batch_of(logits[:1], [1], ["aa"])])
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error")
        task.evaluate(model, [batch_of(logits[:1], [3], ["aa"])])


@pytest.mark.parametrize(("text", "frames"), [("a", 1), ("ab", 2), ("aa", 3), ("aba", 3), ("abb", 4), ("aaa", 5)])
def test_a_repeated_symbol_takes_a_frame_more(text, frames):
    for length, too_short in ((frames, 0), (frames - 1, 1)):
        task = CtcTask(SYMBOLS)
        task.loss(Given(), batch_of(torch.randn(2, 6, 3), [length, 6], [text, "ab"]))
        assert task.num_too_short == too_short


def test_half_precision_logits_are_scored_in_single():
    logits = torch.randn(2, 5, 3)
    single = CtcTask(SYMBOLS).loss(Given(), batch_of(logits.bfloat16().float(), [5, 5], ["ab", "b"]))
    half = CtcTask(SYMBOLS).loss(Given().bfloat16(), batch_of(logits.bfloat16(), [5, 5], ["ab", "b"]))
    assert half.dtype == torch.float32
    assert float(half.detach()) == pytest.approx(float(single.detach()), rel=1e-6)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ([], ""),
        ([0, 0, 0], ""),
        ([1], "a"),
        ([1, 1, 1], "a"),
        ([1, 0, 1], "aa"),
        ([0, 1, 1, 0, 2, 2, 1], "aba"),
        ([2, 0, 0, 2, 2], "bb"),
    ],
)
def test_greedy_decoding_by_hand(path, text):
    assert collapse(path, SYMBOLS) == text
    logits = nn.functional.one_hot(torch.tensor([[*path, 1, 2]]), 3).float()
    assert greedy_decode(logits, torch.tensor([len(path)]), SYMBOLS) == [text]


@pytest.mark.parametrize(
    ("references", "hypotheses", "wer", "cer"),
    [
        (["a b"], ["a b"], 0, 0),
        (["a b c d"], ["a x c"], 50, 100 * 3 / 7),  # one word replaced, one lost; "b" -> "x", " d" lost
        (["ab"], [""], 100, 100),
        (["a"], ["a b c"], 200, 400),
        (["go", "go on now on"], ["no", "go on now on"], 20, 100 / 14),  # the corpus, not the mean of utterances
        (["", "a b"], ["c", "a b"], 50, 100 / 3),
        (["a  b "], [" a b"], 0, 0),
    ],
)
def test_error_rates_by_hand(references, hypotheses, wer, cer):
    rates = error_rates(references, hypotheses)
    assert (rates.wer, rates.cer) == (pytest.approx(wer), pytest.approx(cer))


def test_the_errors_of_each_utterance():
    found = counted_errors(["a b c d", "", "a  b "], ["a x c", "x y", " a b"], ["s1", None, None])
    names = ("reference", "hypothesis", "word_errors", "words", "character_errors", "characters")
    assert [tuple(one[name] for name in names) for one in found] == [
        ("a b c d", "a x c", 2, 4, 3, 7),
        ("", "x y", 2, 0, 3, 0),
        ("a b", "a b", 0, 2, 0, 3),
    ]
    assert [one.get("speaker") for one in found] == ["s1", None, None]
    assert "speaker" not in found[1]


def test_error_rates_without_references():
    assert math.isnan(error_rates([], []).wer)
    assert math.isnan(error_rates([""], ["a"]).wer)
    with pytest.raises(ValueError, match="1 references for 0"):
        error_rates(["a"], [])


def test_evaluation_is_over_the_whole_split():
    first = nn.functional.one_hot(torch.tensor([[1, 0, 2], [2, 2, 0]]), 3).float() * 9
    second = nn.functional.one_hot(torch.tensor([[1, 1, 1]]), 3).float() * 9
    batches = [batch_of(first, [3, 3], ["ab", "b"]), batch_of(second, [3], ["b"])]
    task = CtcTask(SYMBOLS)
    metrics = task.evaluate(Given(), batches)
    assert metrics.keys() == set(task.metrics)
    assert metrics["wer"] == pytest.approx(100 / 3)
    assert metrics["cer"] == pytest.approx(25)
    losses = [float(task.loss(Given(), batch).detach()) for batch in batches]
    assert metrics["loss"] == pytest.approx((2 * losses[0] + losses[1]) / 3)


def test_other_batches_are_refused():
    with pytest.raises(ValueError, match="not ImageBatch"):
        CtcTask(SYMBOLS).loss(Given(), ImageBatch(torch.zeros(1, 3, 2, 2), torch.zeros(1, dtype=torch.int64)))


def test_the_rows_for_a_teacher_are_the_valid_frames():
    logits = torch.randn(2, 4, 3)
    batch = batch_of(logits, [4, 2], ["a", "b"])
    loss, rows = CtcTask(SYMBOLS).loss_and_rows(Given(), batch)
    assert torch.equal(rows, torch.cat([logits[0], logits[1, :2]]))
    assert torch.equal(CtcTask(SYMBOLS).rows(Given(), batch), rows)
    assert float(loss.detach()) == pytest.approx(float(CtcTask(SYMBOLS).loss(Given(), batch).detach()))
