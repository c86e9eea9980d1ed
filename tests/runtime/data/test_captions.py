"""Captions: preprocessing, vocabulary, random pairs, padding, evaluation over all pairs, the published layout."""

import numpy as np
import pytest
import torch

from dsd_lang.base.errors import DsdError
from dsd_runtime.data.captions.flickr8k import open_flickr8k, read_features
from dsd_runtime.data.captions.scenes import open_scenes
from dsd_runtime.data.captions.source import IGNORED, CaptionSource, captioned_splits, padded
from dsd_runtime.data.captions.text import START_END, build_vocabulary, plain_words


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("A child in a pink dress .", ("a", "child", "in", "a", "pink", "dress")),
        ("A tri-colored dog's 2 balls!", ("a", "tricolored", "dogs", "2", "balls")),
        (" . ", ()),
    ],
)
def test_plain_words(sentence, words):
    assert plain_words(sentence) == words


def test_vocabulary_keeps_frequent_words_and_counts_sentences():
    vocabulary = build_vocabulary([("a", "dog"), ("a", "cat"), ("b", "dog")], 2)
    assert vocabulary.words == (START_END, "a", "dog")
    assert vocabulary.counts == (3, 2, 2)


def test_padding():
    words, targets, lengths = padded([[5, 6, 7], [8]])
    assert words.tolist() == [[0, 5, 6, 7], [0, 8, 0, 0]]
    assert targets.tolist() == [[5, 6, 7, 0], [8, 0, IGNORED, IGNORED]]
    assert lengths.tolist() == [4, 2]


@pytest.fixture(scope="module")
def source():
    captions = [
        [("w", f"n{image}", f"c{caption}", "rare" * (image == 0)) for caption in range(3)] for image in range(8)
    ]
    captions = [[tuple(word for word in words if word) for words in several] for several in captions]
    members = list(enumerate(captions))
    splits, vocabulary = captioned_splits({"train": members[:6], "val": members[6:7], "test": members[6:]}, 3)
    table = torch.arange(8, dtype=torch.float16)[:, None].repeat(1, 4)
    return CaptionSource("made", table, splits, vocabulary, "content")


def _epoch(source, **options):
    return list(source.train_batches(**{"batch_size": 5, "epoch": 0, "key": 4, **options}))


def _equal(some, others):
    return len(some) == len(others) and all(
        torch.equal(one.features, other.features) and torch.equal(one.words, other.words)
        for one, other in zip(some, others, strict=True)
    )


def test_epoch_is_as_long_as_the_captions(source):
    assert source.updates_per_epoch(5) == 18 // 5 == len(_epoch(source))
    assert all(len(batch) == 5 for batch in _epoch(source))


def test_a_pure_function_of_key_and_epoch(source):
    assert _equal(_epoch(source), _epoch(source, workers=2))
    assert not _equal(_epoch(source), _epoch(source, epoch=1))
    assert not _equal(_epoch(source), _epoch(source, key=5))
    assert _equal(_epoch(source)[2:], _epoch(source, skip=2))


def test_features_and_words_belong_together_and_unknown_words_are_dropped(source):
    index = source.vocabulary.index
    for batch in _epoch(source, batch_size=1):
        image = int(batch.features[0, 0])
        known = [word for word in ("w", f"n{image}") if word in index]
        assert batch.words[0, 1 : 1 + len(known)].tolist() == [index[word] for word in known]
        assert batch.features.dtype == torch.float32


def test_all_images_and_captions_are_drawn_alike(source):
    pairs = [
        (int(batch.features[row, 0]), tuple(batch.targets[row, :3].tolist()))
        for epoch in range(100)
        for batch in _epoch(source, epoch=epoch, batch_size=18)
        for row in range(18)
    ]
    counts = np.unique([image for image, _ in pairs], return_counts=True)[1]
    assert len(counts) == 6
    assert counts.min() > 230
    assert len(set(pairs)) == 18


def test_evaluation_shows_every_pair_once_and_each_images_references_once(source):
    batches = list(source.evaluation_batches("test", batch_size=4))
    assert sum(len(batch) for batch in batches) == 6
    references = [several for batch in batches for several in batch.references]
    assert [len(several) for several in references] == [3, 0, 0, 3, 0, 0]
    assert references[0] == ("w n6 c0", "w n6 c1", "w n6 c2")


@pytest.fixture(scope="module")
def scenes():
    return open_scenes()


class TestScenes:
    def test_always_the_same(self, scenes):
        first, second = scenes, open_scenes()
        assert first.fingerprint == second.fingerprint
        assert dict(first.sizes) == {"train": 600, "val": 60, "test": 60}

    def test_no_two_pictures_have_the_same_features(self, scenes):
        assert scenes.features.shape == (720, 1344)
        assert torch.isfinite(scenes.features).all()
        assert len(scenes.features.unique(dim=0)) == 720

    def test_five_different_captions_in_known_words(self, scenes):
        for split in scenes.splits.values():
            assert all(len(set(several)) == 5 for several in split.sentences)
        words = {word for several in scenes.splits["test"].sentences for one in several for word in one.split()}
        assert words <= set(scenes.vocabulary.words)


class TestFlickr8k:
    @pytest.fixture
    def folder(self, tmp_path):
        names = [f"{index}.jpg" for index in range(230)]
        lines = [f"{name}#{number}\tA dog runs {number} ." for name in names for number in range(5)]
        (tmp_path / "Flickr8k.token.txt").write_text("\n".join(lines))
        for split, part in (("train", names[:200]), ("dev", names[200:215]), ("test", names[215:])):
            (tmp_path / f"Flickr_8k.{split}Images.txt").write_text("\n".join(part) + "\n")
        np.savez(tmp_path / "features.npz", names=np.array(names), feats=np.ones((230, 6), dtype=np.float32))
        return tmp_path

    def test_layout(self, folder):
        source = open_flickr8k(str(folder))
        assert dict(source.sizes) == {"train": 200, "val": 15, "test": 15}
        assert source.traits.feature_dim == 6
        assert source.traits.word_counts[0] == 1000

    def test_features_are_scaled_by_one_number_unless_told_not_to(self, folder):
        scaled, raw = open_flickr8k(str(folder)), open_flickr8k(str(folder), norm=0)
        factor = scaled.features / raw.features
        assert torch.allclose(factor, factor[0, 0].expand_as(factor))
        assert scaled.features.norm(dim=1).mean() == pytest.approx(30, rel=1e-4)
        assert scaled.fingerprint != raw.fingerprint

    def test_an_image_without_features_is_named_and_left_out(self, folder):
        names = [f"{index}.jpg" for index in range(230) if index != 17]
        np.savez(folder / "features.npz", names=np.array(names), feats=np.ones((229, 6), dtype=np.float32))
        with pytest.warns(UserWarning, match=r"17\.jpg"):
            assert open_flickr8k(str(folder)).sizes["train"] == 199

    def test_many_missing_images_are_an_error(self, folder):
        np.savez(folder / "features.npz", names=np.array(["0.jpg"]), feats=np.ones((1, 6), dtype=np.float32))
        with pytest.raises(DsdError, match="199 of 200 images"):
            open_flickr8k(str(folder))

    def test_pickles_in_the_features_are_refused(self, folder):
        np.savez(folder / "features.npz", names=np.array([{"a": 1}], dtype=object), feats=np.ones((1, 6)))
        with pytest.raises(DsdError, match="cannot be read"):
            open_flickr8k(str(folder))

    def test_a_line_that_is_no_caption_is_told(self, folder):
        with (folder / "Flickr8k.token.txt").open("a") as file:
            file.write("\nnonsense")
        with pytest.raises(DsdError, match="line 1151"):
            open_flickr8k(str(folder))

    def test_the_real_set(self, shared_data):
        source = open_flickr8k(str(shared_data / "flickr8k"))
        assert dict(source.sizes) == {"train": 6000, "val": 1000, "test": 1000}
        assert len(source.traits.vocabulary) == 2538
        assert sum(count >= 5 for count in source.traits.word_counts[1:]) == 2537
        assert source.updates_per_epoch(100) == 300
        assert source.traits.feature_dim == 4096
        rows, _ = read_features(shared_data / "flickr8k" / "features.npz")
        assert "2258277193_586949ec62.jpg" not in rows
        assert sum(len(batch) for batch in source.evaluation_batches("test", batch_size=1000)) == 5000
