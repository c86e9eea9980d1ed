"""The speech source: skip is slicing, workers change nothing, evaluation covers all, broken files are told."""

from __future__ import annotations

from itertools import chain

import pytest
import torch
from speech_folders import write_manifest_folder

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.speech.manifest import open_manifest


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_manifest_folder(tmp_path_factory.mktemp("speech"))


def same(first, second):
    return all(
        torch.equal(getattr(a, name), getattr(b, name))
        for a, b in zip(first, second, strict=True)
        for name in ("features", "lengths", "targets", "target_lengths")
    ) and [batch.texts for batch in first] == [batch.texts for batch in second]


@pytest.mark.parametrize("options", [{}, {"memory_megabytes": 0}, {"spec_augment": True}, {"normalise": "utterance"}])
def test_skip_and_workers_change_no_number(folder, options):
    whole = list(open_manifest(str(folder), **options).train_batches(batch_size=3, epoch=2, key=5))
    source = open_manifest(str(folder), **options)
    assert source.updates_per_epoch(3) == len(whole) == 4
    for skip in range(5):
        assert same(list(source.train_batches(batch_size=3, epoch=2, key=5, skip=skip)), whole[skip:])
    assert same(
        list(open_manifest(str(folder), **options).train_batches(batch_size=3, epoch=2, key=5, workers=3)), whole
    )
    assert same(list(source.train_batches(batch_size=3, epoch=2, key=5, workers=2)), whole)


def test_skipped_batches_are_not_loaded(folder, monkeypatch):
    from dsd_runtime.data.speech import store as speech_store

    source = open_manifest(str(folder), normalise="utterance", memory_megabytes=0)
    read, loaded = speech_store.read_audio, []
    monkeypatch.setattr(speech_store, "read_audio", lambda path, **rest: loaded.append(path) or read(path, **rest))
    list(source.train_batches(batch_size=5, epoch=1, key=0, skip=1))
    assert len(loaded) == 5


def test_memory_does_not_change_numbers_and_decodes_once(folder, monkeypatch):
    kept, read_again = open_manifest(str(folder)), open_manifest(str(folder), memory_megabytes=0)
    first = list(kept.train_batches(batch_size=4, epoch=1, key=1))
    assert same(first, list(read_again.train_batches(batch_size=4, epoch=1, key=1)))
    monkeypatch.setattr("dsd_runtime.data.speech.store.read_audio", None)
    assert same(first, list(kept.train_batches(batch_size=4, epoch=1, key=1)))
    assert kept.fingerprint == read_again.fingerprint


def test_abandoned_iteration_with_workers_ends(folder):
    batches = open_manifest(str(folder)).train_batches(batch_size=1, epoch=0, key=0, workers=2)
    next(batches)
    batches.close()


def test_evaluation_covers_every_utterance_once_from_short_to_long(folder):
    source = open_manifest(str(folder), spec_augment=True)
    batches = list(source.evaluation_batches("val", batch_size=2))
    assert sorted(chain.from_iterable(batch.texts for batch in batches)) == sorted(source.texts("val"))
    lengths = torch.cat([batch.lengths for batch in batches]).tolist()
    assert lengths == sorted(lengths)
    assert same(batches, list(source.evaluation_batches("val", batch_size=2, workers=2)))
    with pytest.raises(ValueError, match="unknown split `dev`"):
        next(source.evaluation_batches("dev", batch_size=2))


def test_batches_hold_what_they_say(folder):
    source = open_manifest(str(folder), sorta_grad=True)
    assert source.task == source.traits.task == "ctc"
    assert source.traits.alphabet == (" ", "A", "B", "C")
    assert (source.traits.num_symbols, source.traits.num_features, source.traits.sample_rate) == (5, 161, 16_000)
    assert source.sizes == {"train": 10, "val": 3, "test": 2}
    batch = next(source.train_batches(batch_size=10, epoch=0, key=0))
    assert batch.lengths.tolist() == sorted(batch.lengths.tolist())
    assert batch.features.shape == (10, int(batch.lengths.max()), 161)
    assert batch.features.dtype == torch.float32
    for row, length in zip(batch.features, batch.lengths, strict=True):
        assert not row[length:].any()
    targets = batch.targets.split(batch.target_lengths.tolist())
    for text, target in zip(batch.texts, targets, strict=True):
        assert "".join(source.traits.alphabet[symbol - 1] for symbol in target.tolist()) == text
    valid = torch.cat([row[:length] for row, length in zip(batch.features, batch.lengths, strict=True)])
    torch.testing.assert_close(valid.mean(0), torch.zeros(161), atol=1e-3, rtol=0)


def test_fingerprint_follows_whatever_changes_numbers(folder, tmp_path):
    prints = {
        open_manifest(str(folder), **options).fingerprint
        for options in ({}, {"sorta_grad": True}, {"spec_augment": True}, {"normalise": "utterance"})
    }
    other = write_manifest_folder(tmp_path / "other", {"train": 11, "val": 3, "test": 2})
    assert len(prints | {open_manifest(str(other)).fingerprint}) == 5
    copy = write_manifest_folder(tmp_path / "copy")
    assert open_manifest(str(copy)).fingerprint == open_manifest(str(folder)).fingerprint


def test_broken_files_are_named_and_left_out_up_to_a_share(tmp_path):
    folder = write_manifest_folder(tmp_path)
    (folder / "train" / "3.flac").write_bytes(b"junk")  # broken header: known at once
    halved = folder / "train" / "4.flac"
    halved.write_bytes(halved.read_bytes()[:1500])  # a good header: known when decoded
    with pytest.raises(DsdError, match=r"1 of 15 audio files are broken \(0 allowed\).*train.jsonl:4.*3\.flac"):
        open_manifest(str(folder))
    with pytest.warns(RuntimeWarning, match=r"3\.flac.*left out"):
        source = open_manifest(str(folder), max_broken=0.2)
    assert source.sizes["train"] == 9
    with pytest.warns(RuntimeWarning, match=r"4\.flac.*left out"):
        batches = list(source.train_batches(batch_size=4, epoch=1, key=0))
    assert sum(len(batch) for batch in batches) == 8
    assert [path.name for path in source.broken.paths] == ["3.flac", "4.flac"]
    with pytest.warns(RuntimeWarning):
        strict = open_manifest(str(folder), max_broken=0.07)
    with pytest.raises(DsdError, match=r"2 of 15 audio files are broken \(1 allowed\)"):
        list(strict.train_batches(batch_size=4, epoch=1, key=0))


@pytest.mark.parametrize(("options", "words"), [({"normalise": "no"}, "normalise"), ({"max_broken": 2}, "max_broken")])
def test_wrong_options(folder, options, words):
    with pytest.raises(DsdError, match=words):
        open_manifest(str(folder), **options)
