"""Token loss, perplexity and decoding against plain loops; a beam of one is greedy."""

import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional

from dsd_runtime.data.batch import CaptionBatch
from dsd_runtime.data.captions.source import padded
from dsd_runtime.training.tasks.captioning import CaptioningTask
from dsd_runtime.training.tasks.captioning_decode import MAX_WORDS, beam_search, greedy, select_rows

WORDS = ("#START#", "a", "b", "c", "d", "e")


class Recurrent(nn.Module):
    """A small captioner with the contract's three calls."""

    def __init__(self, seed=0, sharpness=3.0):
        super().__init__()
        draws = torch.Generator().manual_seed(seed)
        self.image, self.word, self.loop, self.out = (
            nn.Parameter(torch.randn(rows, columns, generator=draws) * scale)
            for rows, columns, scale in ((4, 8, 1), (6, 8, 1), (8, 8, 0.4), (8, 6, sharpness / 3))
        )

    def start(self, features):
        return (torch.tanh(features @ self.image),)

    def advance(self, state, words):
        hidden = torch.tanh(state[0] @ self.loop + self.word[words])
        return hidden @ self.out, (hidden,)

    def forward(self, features, words):
        state, logits = self.start(features), []
        for position in range(words.shape[1]):
            one, state = self.advance(state, words[:, position])
            logits.append(one)
        return torch.stack(logits, dim=1)


def _batch(captions, features, references=()):
    words, targets, lengths = padded(captions)
    return CaptionBatch(features, words, targets, lengths, references)


@pytest.fixture
def features():
    return torch.randn(40, 4, generator=torch.Generator().manual_seed(1))


def test_loss_is_the_summed_nll_over_captions(features):
    model, captions = Recurrent().requires_grad_(False), [[1, 2, 3], [4], [5, 5]]
    expected = sum(
        float(
            functional.cross_entropy(
                model(features[row : row + 1], torch.tensor([[0, *words]]))[0], target, reduction="sum"
            )
        )
        for row, words in enumerate(captions)
        for target in [torch.tensor([*words, 0])]
    )
    loss = CaptioningTask(WORDS).loss(model, _batch(captions, features[:3]))
    assert float(loss.detach()) == pytest.approx(expected / 3, rel=1e-5)


def test_a_model_with_states_gives_the_same_loss(features):
    class Split(Recurrent):
        def __init__(self):
            super().__init__()
            self.Wd = nn.Linear(8, 6, bias=False)
            self.Wd.weight = nn.Parameter(self.out.detach().t().clone())

        def states(self, features, words):
            state, hidden = self.start(features), []
            for position in range(words.shape[1]):
                _, state = self.advance(state, words[:, position])
                hidden.append(state[0])
            return torch.stack(hidden, dim=1)

    batch, task = _batch([[1, 2, 3], [4], [5, 5]], features[:3]), CaptioningTask(WORDS)
    expected = pytest.approx(float(task.loss(Recurrent(), batch).detach()))
    assert float(task.loss(Split(), batch).detach()) == expected
    only_states, only_last = Split(), Recurrent()
    only_states.Wd, only_last.Wd = None, nn.Linear(8, 6)
    for model in (only_states, only_last):
        assert float(task.loss(model, batch).detach()) == expected


@torch.no_grad()
def test_perplexity_counts_every_word_and_end(features):
    class Uniform(Recurrent):
        def advance(self, state, words):
            logits, state = super().advance(state, words)
            return torch.zeros_like(logits), state

    batches = [_batch([[1, 2], [3]], features[:2]), _batch([[4, 4, 4]], features[2:3])]
    metrics = CaptioningTask(WORDS).evaluate(Uniform(), batches)
    assert metrics["ppl"] == pytest.approx(6)
    assert metrics["loss"] == pytest.approx(9 * math.log(6) / 3)
    assert "bleu1" not in metrics
    assert CaptioningTask(WORDS).evaluate(Uniform(), []) == {}


@torch.no_grad()
def test_bleu_of_decoded_captions(features):
    model = Recurrent()
    task = CaptioningTask(WORDS)
    references = tuple((caption,) for caption in task.decode(model, features))
    metrics = task.evaluate(model, [_batch([[1]] * 40, features, references)])
    assert metrics["bleu1"] == pytest.approx(100)
    assert metrics.keys() == set(task.metrics)


@torch.no_grad()
@pytest.mark.parametrize("seed", range(5))
def test_a_beam_of_one_is_greedy(features, seed):
    model = Recurrent(seed)
    assert beam_search(model, features, beam_size=1) == greedy(model, features)


@torch.no_grad()
@pytest.mark.parametrize("beam_size", [2, 3, 6, 9])
def test_beams_equal_neuraltalks_plain_loop(features, beam_size):
    model = Recurrent(2, sharpness=1.5)
    expected = [_plain_beam(model, features[row : row + 1], beam_size, 7) for row in range(40)]
    assert beam_search(model, features, beam_size=beam_size, max_words=7) == expected


@torch.no_grad()
def test_greedy_does_not_depend_on_the_batch_and_stops_at_max_words(features):
    model = Recurrent(1)
    together = greedy(model, features, max_words=5)
    assert together == [greedy(model, features[row : row + 1], max_words=5)[0] for row in range(40)]
    assert max(len(words) for words in together) <= 5


@torch.no_grad()
@pytest.mark.parametrize("search", [greedy, partial(beam_search, beam_size=3)])
@pytest.mark.parametrize("length", [0, 2])
def test_decoding_stops_once_every_caption_has_ended(features, search, length):
    asked = []

    class Short(Recurrent):
        def advance(self, state, words):
            asked.append(len(asked))
            logits = torch.zeros(len(words), 6)
            logits[:, 0 if asked[-1] >= length else 1] = 50.0
            return logits, state

    assert search(Short(), features) == [[1] * length] * 40
    assert len(asked) == length + 1 if search is greedy else len(asked) < MAX_WORDS, "other beams end later"


def test_a_beam_has_a_width(features):
    with pytest.raises(ValueError, match="beam_size must be at least 1, not 0"):
        beam_search(Recurrent(), features, beam_size=0)


def test_select_rows_reaches_into_nests():
    state = {"a": (torch.arange(3), [torch.arange(3) * 2])}
    chosen = select_rows(state, torch.tensor([2, 0]))
    assert chosen["a"][0].tolist() == [2, 0]
    assert chosen["a"][1][0].tolist() == [4, 0]
    with pytest.raises(ValueError, match="str"):
        select_rows("state", torch.tensor([0]))


def _plain_beam(model, features, beam_size, max_words):
    """NeuralTalk's search (imagernn/lstm_generator.py), one image, lists of candidates."""
    beams = [(0.0, [], model.start(features))]
    for _ in range(max_words):
        candidates = []
        for score, words, state in beams:
            if words and words[-1] == 0:
                candidates.append((score, words, state))
                continue
            logits, following = model.advance(state, torch.tensor([words[-1] if words else 0]))
            gains = torch.log_softmax(logits[0].double(), 0)
            for word in gains.argsort(descending=True)[:beam_size].tolist():
                candidates.append((score + float(gains[word]), [*words, word], following))
        beams = sorted(candidates, key=lambda beam: -beam[0])[:beam_size]
    best = beams[0][1]
    return best[: best.index(0)] if 0 in best else best


def test_the_rows_for_a_teacher_are_the_words_and_ends(features):
    model, batch = Recurrent().requires_grad_(False), _batch([[1, 2, 3], [4]], features[:2])
    logits = model(batch.features, batch.words)
    loss, rows = CaptioningTask(WORDS).loss_and_rows(model, batch)
    assert torch.equal(rows, torch.cat([logits[0], logits[1, :2]]))
    assert torch.equal(CaptioningTask(WORDS).rows(model, batch), rows)
    assert float(loss) == pytest.approx(float(CaptioningTask(WORDS).loss(model, batch)))
