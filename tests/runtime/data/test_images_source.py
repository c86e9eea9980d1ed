"""Laws of every image source: order from (key, epoch), skipping equals slicing, every evaluation sample once."""

import pytest
import torch

from dsd_runtime.data.images.augment import CIFAR
from dsd_runtime.data.images.digits import open_digits
from dsd_runtime.data.images.source import ImagesInMemory, LabelledImages, Presentation, channel_statistics


@pytest.fixture(scope="module")
def source():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (103, 3, 12, 12), dtype=torch.uint8, generator=generator)
    images[:, 0, 0, 0] = torch.arange(103, dtype=torch.uint8)  # an identity to find a sample again
    every = LabelledImages(images, torch.arange(103) % 7)
    splits = {"train": every, "val": every.take(torch.arange(20)), "test": every.take(torch.arange(33))}
    shown = Presentation((125.3, 123.0, 113.9), (63.0, 62.1, 66.7))
    return ImagesInMemory("made", splits, tuple("abcdefg"), shown, "content", CIFAR)


def _epoch(source, **options):
    return list(source.train_batches(**{"batch_size": 10, "epoch": 0, "key": 4, **options}))


def _equal(some, others):
    return len(some) == len(others) and all(
        torch.equal(one.images, other.images) and torch.equal(one.labels, other.labels)
        for one, other in zip(some, others, strict=True)
    )


def test_an_epoch_is_a_pure_function_of_key_and_epoch(source):
    first = _epoch(source)
    torch.manual_seed(99)
    assert _equal(first, _epoch(source))
    assert not _equal(first, _epoch(source, epoch=1))
    assert not _equal(first, _epoch(source, key=5))


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_change_no_number(source, workers):
    assert _equal(_epoch(source), _epoch(source, workers=workers))


@pytest.mark.parametrize("skip", [0, 1, 7, 11])
def test_skipping_equals_slicing(source, skip):
    assert _equal(_epoch(source)[skip:], _epoch(source, skip=skip))


def test_an_epoch_holds_every_sample_once(source):
    batches = _epoch(source)
    assert len(batches) == source.updates_per_epoch(10) == 11
    assert [len(batch) for batch in batches] == [10] * 10 + [3]
    counts = torch.cat([batch.labels for batch in batches]).bincount()
    assert torch.equal(counts, source.splits["train"].labels.bincount())


@pytest.mark.parametrize("batch_size", [1, 8, 100])
def test_every_evaluation_sample_once_in_order(source, batch_size):
    batches = list(source.evaluation_batches("test", batch_size=batch_size))
    pixels = torch.cat([batch.images for batch in batches])[:, 0, 0, 0] * 63.0 + 125.3
    assert pixels.round().int().tolist() == list(range(33))


def test_abandoned_epochs_leave_no_threads_waiting(source):
    batches = source.train_batches(batch_size=2, epoch=0, key=0, workers=2)
    next(batches)
    batches.close()


def test_normalisation_is_exact_on_the_evaluation_images(source):
    batch = next(source.evaluation_batches("val", batch_size=20))
    raw = source.splits["val"].images.double()
    mean, deviation = torch.tensor((125.3, 123.0, 113.9)), torch.tensor((63.0, 62.1, 66.7))
    expected = (raw - mean[:, None, None]) / deviation[:, None, None]
    assert torch.allclose(batch.images.double(), expected, atol=1e-6)


def test_statistics_of_channels():
    images = torch.randint(0, 256, (1500, 2, 5, 7), dtype=torch.uint8)
    mean, deviation = channel_statistics(images)
    pixels = images.double().permute(1, 0, 2, 3).reshape(2, -1)
    assert torch.allclose(torch.tensor(mean).double(), pixels.mean(1), atol=1e-3)
    assert torch.allclose(torch.tensor(deviation).double(), pixels.std(1, correction=0), atol=1e-3)


def test_an_unknown_split_is_refused(source):
    with pytest.raises(ValueError, match="unknown split"):
        next(source.evaluation_batches("dev", batch_size=2))


class TestDigits:
    def test_split_is_fixed_and_stratified(self):
        digits = open_digits()
        assert dict(digits.sizes) == {"train": 1259, "val": 179, "test": 359}
        assert all(count in (17, 18, 19) for count in digits.splits["val"].labels.bincount().tolist())
        assert all(count in (34, 35, 36, 37) for count in digits.splits["test"].labels.bincount().tolist())

    def test_splits_are_disjoint_and_whole(self):
        digits = open_digits()
        images = torch.cat([split.images for split in digits.splits.values()]).flatten(1)
        assert images.shape == (1797, 64)
        assert len(images.unique(dim=0)) == 1797

    def test_normalised_on_training_data(self):
        batch = next(open_digits().train_batches(batch_size=1259, epoch=0, key=0))
        assert batch.images.shape == (1259, 1, 8, 8)
        assert abs(float(batch.images.mean())) < 1e-3
        assert abs(float(batch.images.std()) - 1) < 1e-3

    @pytest.mark.parametrize(("size", "channels"), [(28, 1), (32, 3), (224, 3)])
    def test_shown_larger(self, size, channels):
        digits = open_digits(size=size, channels=channels)
        batch = next(digits.evaluation_batches("val", batch_size=2))
        assert digits.traits.image_shape == tuple(batch.images.shape[1:]) == (channels, size, size)

    def test_size_changes_the_fingerprint(self):
        assert open_digits().fingerprint != open_digits(size=32).fingerprint
        assert open_digits().fingerprint == open_digits().fingerprint
