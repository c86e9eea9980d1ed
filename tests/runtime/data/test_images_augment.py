"""The CIFAR recipe: normalise, zero-pad, crop, mirror, drawn from a generator and nothing else."""

import torch

from dsd_runtime.data.draws import generator
from dsd_runtime.data.images.augment import CIFAR, PLAIN, Augmentation, augment


def test_plain_gives_the_images_back():
    images = torch.randn(3, 3, 8, 8)
    assert augment(images, PLAIN, generator(0)) is images


def test_every_crop_is_a_window_of_the_zero_padded_image():
    images = torch.randn(40, 2, 6, 6)
    cropped = augment(images, Augmentation(padding=2), generator(1))
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2))
    for row in range(40):
        windows = [padded[row, :, y : y + 6, x : x + 6] for y in range(5) for x in range(5)]
        assert any(torch.equal(cropped[row], window) for window in windows)


def test_all_offsets_occur():
    ones = torch.ones(4000, 1, 4, 4)
    cropped = augment(ones, Augmentation(padding=4), generator(2))
    assert (
        len({tuple(one.flatten().tolist()) for one in cropped}) == 50
    )  # shifts of -3 to 3 on both axes, and nothing left


def test_about_half_are_mirrored():
    images = torch.arange(8.0).reshape(1, 1, 1, 8).repeat(2000, 1, 1, 1)
    mirrored = augment(images, Augmentation(mirror=True), generator(3))[:, 0, 0, 0] == 7
    assert 900 < int(mirrored.sum()) < 1100


def test_draws_depend_on_the_generator_alone():
    images = torch.randn(16, 3, 32, 32)
    torch.manual_seed(1)
    first = augment(images, CIFAR, generator(7, "augment", 0, 0))
    torch.manual_seed(2)
    assert torch.equal(first, augment(images, CIFAR, generator(7, "augment", 0, 0)))
    assert not torch.equal(first, augment(images, CIFAR, generator(7, "augment", 0, 1)))


def test_the_global_generator_is_not_moved():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    augment(torch.randn(4, 3, 8, 8, generator=generator(1)), CIFAR, generator(1))
    assert torch.equal(before, torch.get_rng_state())
