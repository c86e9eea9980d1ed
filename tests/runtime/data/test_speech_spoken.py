"""The embedded corpus: whole, small, with voices of its own in every split, and the same at every reading."""

from __future__ import annotations

import json

import pytest
import torch

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.speech.spoken import CORPUS, open_spoken


@pytest.fixture(scope="module")
def index():
    return json.loads((CORPUS / "index.json").read_text())


def test_sizes_and_alphabet():
    source = open_spoken()
    assert source.sizes == {"train": 900, "val": 120, "test": 120}
    assert source.traits.num_symbols == 29
    assert sum(path.stat().st_size for path in CORPUS.iterdir()) <= 4_000_000


def test_every_voice_speaks_in_one_split_only(index):
    voices = {
        split: {entry["voice"] for entry in described["utterances"]} for split, described in index["splits"].items()
    }
    assert not voices["train"] & voices["val"]
    assert not voices["train"] & voices["test"]
    assert not voices["val"] & voices["test"]


def test_every_word_is_in_every_split(index):
    assert 20 <= len(index["words"]) <= 30
    for described in index["splits"].values():
        words = [word for entry in described["utterances"] for word in entry["text"].split()]
        assert set(words) == set(index["words"])
        assert all(1 <= len(entry["text"].split()) <= 3 for entry in described["utterances"])


def test_utterances_lie_end_to_end_and_are_heard(index):
    for described in index["splits"].values():
        end = 0
        for entry in described["utterances"]:
            assert entry["start"] == end
            end += entry["samples"]
    loud = [batch.features.amax(dim=2) for batch in open_spoken().evaluation_batches("val", batch_size=40)]
    assert all(float(peaks.amax(dim=1).min()) > 0.5 for peaks in loud)


def test_decoding_is_the_same_at_every_reading():
    batches = [next(open_spoken().evaluation_batches("test", batch_size=30, workers=workers)) for workers in (0, 2)]
    assert torch.equal(batches[0].features, batches[1].features)
    assert batches[0].texts == batches[1].texts
    assert open_spoken().fingerprint == open_spoken().fingerprint


def test_a_path_is_refused():
    with pytest.raises(DsdError, match="takes no path"):
        open_spoken("somewhere")


def test_a_changed_file_is_noticed(tmp_path, monkeypatch):
    for file in CORPUS.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "val.ogg").write_bytes((tmp_path / "test.ogg").read_bytes())
    monkeypatch.setattr("dsd_runtime.data.speech.spoken.CORPUS", tmp_path)
    with pytest.raises(DsdError, match="differs from the file that belongs to the corpus"):
        open_spoken()
